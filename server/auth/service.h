/*
 * Services: other programs of the team, known by name and bearer token in the configuration, that may hand over events
 * or ask about tokens.
 */
#ifndef TOKENFIRST_SERVER_AUTH_SERVICE_H
#define TOKENFIRST_SERVER_AUTH_SERVICE_H

#include "config/options.h"
#include "server/http/route.h"

/*
 * The service whose token `Authorization: Bearer` holds; NULL: none, and the request has been answered with 401. Tokens
 * are compared as digests, in a time that says nothing of them.
 */
const struct service_config *service_authenticate(struct exchange *x, const struct config *config);

/*
 * The same for what services do as clients (RFC 6749 2.3.1): besides Bearer they may say Basic, with name and token.
 * Counted by the throttle, so 429 as well. As clients differ in whether they encode what goes into Basic, the token is
 * taken as it is and form-decoded.
 */
const struct service_config *service_authenticate_client(struct exchange *x, struct app *app);
/*
 * The same without a wait and without an answer, for a loop's thread. NULL: it is none, or the throttle has more to say:
 * ask service_authenticate_client.
 */
const struct service_config *service_recognise_client(struct exchange *x, struct app *app);

/* Whether it may send events of this type. */
bool service_may_send(const struct service_config *service, const char *event_type);

#endif
