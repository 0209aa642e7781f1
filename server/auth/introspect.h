/*
 * POST /introspect (RFC 7662): whether a token is active, for services with `introspect`, who say who they are by their
 * bearer token or by Basic (name and token, RFC 6749 2.3.1).
 */
#ifndef TOKENFIRST_SERVER_AUTH_INTROSPECT_H
#define TOKENFIRST_SERVER_AUTH_INTROSPECT_H

#include "server/http/route.h"

/*
 * 200: {"active":false} alone for everything doubtful, else true with what the token says: of an access token sub,
 * username, client_id, iss, aud, exp, iat, jti, sid and, of an administrator's, scope; of a refresh token sub, exp,
 * iat, sid. "token_type" is "access_token" or "refresh_token". A hint is not needed, and not looked at. 400, 401, 403,
 * 429, 503.
 */
void introspect(struct exchange *x, struct request_thread *thread);
/* The same answer, where it has been given about this token before and is still true; else nothing (route.h). */
void introspect_at_once(struct exchange *x, struct request_thread *thread);

#endif
