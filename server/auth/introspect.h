/*
 * POST /introspect (RFC 7662): whether a token is active, for services with `introspect`, who say who they are by their bearer token or by Basic
 * (name and token, RFC 6749 2.3.1).
 */
#ifndef TOKENFIRST_SERVER_AUTH_INTROSPECT_H
#define TOKENFIRST_SERVER_AUTH_INTROSPECT_H

#include "server/http/route.h"

/* 200 {"active":false} for everything doubtful; 401, 403, 429 */
void introspect(struct exchange *x, struct request_thread *thread);

#endif
