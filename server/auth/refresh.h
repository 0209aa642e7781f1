/*
 * POST /token/refresh {"refresh_token"}: a new access token and the next refresh token (RFC 6749 6, RFC 9700 4.14.2),
 * by generation in one atomic step (sessions_refresh).
 */
#ifndef TOKENFIRST_SERVER_AUTH_REFRESH_H
#define TOKENFIRST_SERVER_AUTH_REFRESH_H

#include "server/http/route.h"

/* 200 as a login without "user" and "event_id"; 401 invalid_grant */
void token_refresh(struct exchange *x, struct request_thread *thread);

#endif
