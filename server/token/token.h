/*
 * Access tokens: compact JWS (RFC 7515) with the JWT profile for access tokens (RFC 9068,
 * typ "at+jwt"), and refresh tokens: session id and generation under an HMAC.
 *
 * The one piece of token code that is ours, because Debian 12's JOSE libraries either lack EdDSA or
 * carry open timing advisories: strict and small. Verification pins type, key, the key's own algorithm,
 * issuer and audience (RFC 8725); header members other than alg, typ, kid are refused.
 */
#ifndef TOKENFIRST_SERVER_TOKEN_TOKEN_H
#define TOKENFIRST_SERVER_TOKEN_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "config/buf.h"
#include "config/id.h"
#include "config/options.h"
#include "server/token/keys.h"

struct token_claims {
	char subject[ID_SIZE];	     /* users.public_id */
	char token_id[ID_SIZE];	     /* jti */
	int64_t session_id;	     /* sid */
	int64_t issued_s, expires_s; /* iat, exp: seconds since the epoch */
	/*
	 * scope "admin" (RFC 8693 4.2): an administrator's rights, which a login gives for token.admin_ttl and a refresh does not
	 * renew. The account must still be an administrator's when it is used.
	 */
	bool admin;
};

/* iss, aud from the configuration; appends the token. */
int token_issue(const struct config *config, const struct signing_key *key, const struct token_claims *claims,
	struct buf *out) MUST_CHECK;

/* 0, or ERR_DENIED with `ret_why` a static text naming the rule that failed; ERR_MEMORY, which says nothing of the token. */
int token_verify(const struct config *config, const struct keys *keys, const char *token, int64_t now_s,
	struct token_claims *ret_claims, const char **ret_why) MUST_CHECK;

enum { REFRESH_TOKEN_SIZE = 80 }; /* base64url of 8 + 8 + 32 bytes, and the NUL; some room */

/* DESIGN 10: no row per token; a token is recomputed from its session's id and generation. */
void refresh_token_make(
	const unsigned char secret[32], int64_t session_id, int64_t generation, char ret_token[REFRESH_TOKEN_SIZE]);
/* 0 and what the token says, or ERR_DENIED. Compares in constant time. */
int refresh_token_read(
	const unsigned char secret[32], const char *token, int64_t *ret_session_id, int64_t *ret_generation) MUST_CHECK;

#endif
