/*
 * Which pages of other origins may call this server: the CORS protocol
 * (https://fetch.spec.whatwg.org/#http-cors-protocol).
 *
 * An origin of cors.origins is answered with its own name, never with "*"; any other with nothing, so that its browser
 * keeps the answer from it. That protects no server by itself: an access token is needed all the same, and a cookie has
 * refresh_cookie.h.
 */
#ifndef TOKENFIRST_SERVER_HTTP_CORS_H
#define TOKENFIRST_SERVER_HTTP_CORS_H

#include "config/options.h"
#include "server/http/exchange.h"

/* What a page may read of an answer, and send with a request, beyond what is always allowed. */
#define CORS_EXPOSED "X-Request-Id, X-Event-Id, Retry-After, WWW-Authenticate"
#define CORS_ALLOWED "Authorization, Content-Type, X-Request-Id, traceparent, Idempotency-Key"

/* The listed origin that this one is, in the config's own memory; NULL: it is not listed ("null" never is). */
const char *cors_match(const struct config *config, const char *origin);

/*
 * Before the answer to a preflight request of a listed origin: what may be done here, and how long that may be
 * remembered.
 */
void cors_preflight(struct exchange *x, const struct config *config, const char *methods);

#endif
