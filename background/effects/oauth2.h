/*
 * OAuth 2.0 client credentials (RFC 6749 4.4): the request that fetches an access token, and what its reply says. Pure,
 * as all of effects/; who fetches, keeps and refreshes a token is delivery/token_cache.h.
 *
 * The client proves itself by HTTP Basic with its id and secret encoded as in a form (2.3.1), which every authorization
 * server has to know.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_OAUTH2_H
#define TOKENFIRST_BACKGROUND_EFFECTS_OAUTH2_H

#include "background/effects/effect.h"

/*
 * Builds it into a fresh request, with a URL of its own. ERR_INVALID: token_url, client_id or client_secret is missing,
 * or the two can't be sent in a header; ERR_LIMIT, ERR_MEMORY.
 */
int oauth2_request(const struct auth_config *auth, struct request *request) MUST_CHECK;

/*
 * Reads the reply. True: `ret_token` is a token that can be sent in a header (wipe and free it), good for `ret_ttl_ms`:
 * what expires_in says, LIMIT_TOKEN_TTL_MS where it is missing or odd. False: a verdict on the target, never on an
 * effect, whose reason begins with "token endpoint: "; so it does without memory.
 */
bool oauth2_reply(const struct reply *reply, char **ret_token, int64_t *ret_ttl_ms, struct verdict *ret_verdict);

#endif
