/*
 * POST /password/change {"current_password","new_password"} with an access token: a new password, every other session
 * ended, and a mail to the owner. Links to reset the password are void after it.
 */
#ifndef TOKENFIRST_SERVER_AUTH_PASSWORD_CHANGE_H
#define TOKENFIRST_SERVER_AUTH_PASSWORD_CHANGE_H

#include "server/http/route.h"

/* 200 {"revoked":N,"event_id"}; 400 malformed or password_refused, 401, 403 wrong_password, 429 */
void password_change(struct exchange *x, struct request_thread *thread);

#endif
