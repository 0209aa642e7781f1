/*
 * Salesforce: upsert of one record by an external id
 * (https://developer.salesforce.com/docs/platform/api-rest/guide/dome-upsert.html). The configured URL ends with the
 * field,
 *   https://DOMAIN.my.salesforce.com/services/data/v61.0/sobjects/Contact/External_Id__c
 * and the event's subject is appended as the field's value. Keyed so, a repeat changes nothing.
 *
 * Written are Email, where there is one, and LastName, without which Salesforce makes no Contact or Lead: the user
 * name, or the subject. Format `json` carries everything.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_SALESFORCE_H
#define TOKENFIRST_BACKGROUND_EFFECTS_SALESFORCE_H

#include <jansson.h>

#include "background/effects/effect.h"

/* effect_kind.build, with the event's data. ERR_NOT_FOUND: the event is about nobody. */
int salesforce_build(const struct effect_config *config, const struct event *event, const json_t *data,
	struct request *request, const char **ret_why) MUST_CHECK;
/* effect_kind.check */
int salesforce_check(const struct effect_config *config, struct buf *why);
/* effect_kind.judge */
void salesforce_judge(const struct reply *reply, struct verdict *ret_verdict);

#endif
