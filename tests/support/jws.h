/*
 * A second opinion on access tokens: taken apart and verified against a JWK set (RFC 7515, RFC 7517, RFC 8037) with
 * nothing but OpenSSL and jansson, as a resource server of somebody else's would.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_JWS_H
#define TOKENFIRST_TESTS_SUPPORT_JWS_H

#include <jansson.h>
#include <stdbool.h>

/* Part 0, the header, or part 1, the claims, of a compact JWS; json_decref it. NULL: it is none. */
json_t *jws_part(const char *token, int part);

/* Whether the key that the token's kid names in the set is of the token's alg (EdDSA, ES256, RS256) and verifies it. */
bool jws_verifies(const char *token, const json_t *jwks);

#endif
