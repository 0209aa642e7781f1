/*
 * Azure Service Bus, by its REST API
 * (https://learn.microsoft.com/rest/api/servicebus/send-message-to-queue): one message to a queue or topic, by POST to
 * https://NAMESPACE.servicebus.windows.net/QUEUE/messages. MessageId is the effect's id, so that a queue with duplicate
 * detection takes a repeat once.
 *
 * Authorization is a shared access signature made here when `auth` is basic, with the policy's name and key as user
 * name and password (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas); or a bearer token,
 * configured or by OAuth2, as for all effects.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_SERVICE_BUS_H
#define TOKENFIRST_BACKGROUND_EFFECTS_SERVICE_BUS_H

#include "background/effects/effect.h"

/* effect_kind.build */
int service_bus_build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why) MUST_CHECK;
/* effect_kind.judge */
void service_bus_judge(const struct reply *reply, struct verdict *ret_verdict);
/* effect_kind.check */
int service_bus_check(const struct effect_config *config, struct buf *why);

/*
 * The value of the Authorization header for this URL. It is good for 20 to 40 minutes and the same throughout a window
 * of 20, so that a receiver's cache of tokens is of use. ERR_MEMORY.
 */
int service_bus_signature(
	const char *url, const char *policy, const char *key, int64_t now_ms, struct buf *signature) MUST_CHECK;

#endif
