/*
 * POST /logout: ends the session of the access token, or with {"all":true} every session of its user.
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGOUT_H
#define TOKENFIRST_SERVER_AUTH_LOGOUT_H

#include "server/http/route.h"

/* 200 {"revoked":N,"event_id"} */
void logout(struct exchange *x, struct request_thread *thread);

#endif
