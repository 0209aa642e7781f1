/*
 * The refresh token as a cookie, for browser clients that must not hold it in script (option cookie.enabled): HttpOnly,
 * Secure, SameSite, and bound to /token below public_url's path, so that it goes to nobody but POST /token/refresh (RFC
 * 6265, RFC 9700 4.14, the OAuth browser-based-apps BCP).
 *
 * Against forgery a request that comes with the cookie must say an Origin that is public_url's own or one of
 * cors.origins.
 */
#ifndef TOKENFIRST_SERVER_AUTH_REFRESH_COOKIE_H
#define TOKENFIRST_SERVER_AUTH_REFRESH_COOKIE_H

#include <jansson.h>

#include "config/options.h"
#include "server/http/exchange.h"

/* Whether a request asks for it ({"cookie": true}, `body` may be NULL) and may have it. */
bool refresh_cookie_wanted(const struct config *config, const json_t *body);
/* Before the answer. `max_age_ms` is what is left of the session. */
void refresh_cookie_set(struct exchange *x, const struct config *config, const char *token, int64_t max_age_ms);
/* Makes the browser forget it; nothing where cookies are not enabled. */
void refresh_cookie_clear(struct exchange *x, const struct config *config);
/*
 * 0 and the token, copied (free() it after wiping), NULL if there is no such cookie or cookies are not enabled; or
 * ERR_DENIED and the request has been answered: 403 origin_not_allowed.
 */
int refresh_cookie_take(struct exchange *x, const struct config *config, char **ret_token) MUST_CHECK;

#endif
