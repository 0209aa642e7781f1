/*
 * A user's own sessions.
 */
#ifndef TOKENFIRST_SERVER_AUTH_ME_SESSIONS_H
#define TOKENFIRST_SERVER_AUTH_ME_SESSIONS_H

#include "server/http/route.h"

/*
 * GET /me/sessions: {"sessions":[{"id","created","refreshed","expires","client","user_agent","current"}]}, newest first
 */
void me_sessions_list(struct exchange *x, struct request_thread *thread);
/* DELETE /me/sessions/{id}: 200 {"revoked":1,"event_id"}; 404 for what is not theirs, or not live */
void me_sessions_revoke(struct exchange *x, struct request_thread *thread);

#endif
