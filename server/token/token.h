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

#include <sodium.h>
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
	int64_t not_before_s;	     /* nbf, which none of ours has: 0 */
	/*
	 * scope "admin" (RFC 8693 4.2): an administrator's rights, which a login gives for token.admin_ttl and a refresh does not
	 * renew. The account must still be an administrator's when it is used.
	 */
	bool admin;
};

/*
 * What all tokens of one configuration begin with, issuer and audience, rendered once. Constant after token_issuer_init;
 * any thread.
 */
struct token_issuer {
	char *encoded; /* base64url of the common claims as far as it goes in whole groups of three bytes */
	size_t len;
	char rest[4]; /* and what is left of them, fewer than three */
};

/* ERR_MEMORY. */
int token_issuer_init(struct token_issuer *issuer, const struct config *config) MUST_CHECK;
void token_issuer_release(struct token_issuer *issuer); /* one that is all zero is fine */

/* Appends the token. ERR_LIMIT: it would be longer than LIMIT_TOKEN; ERR_INVALID: subject or token_id is no id. */
int token_issue(const struct token_issuer *issuer, const struct signing_key *key, const struct token_claims *claims,
	struct buf *out) MUST_CHECK;

/* 0, or ERR_DENIED with `ret_why` a static text naming the rule that failed; ERR_MEMORY, which says nothing of the token. */
int token_verify(const struct config *config, const struct keys *keys, const char *token, int64_t now_s,
	struct token_claims *ret_claims, const char **ret_why) MUST_CHECK;

/* The same, and by which key (keys_holds); borrowed until keys_free. */
int token_verify_by(const struct config *config, const struct keys *keys, const char *token, int64_t now_s,
	struct token_claims *ret_claims, const struct signing_key **ret_key, const char **ret_why) MUST_CHECK;
/* What the claims' times say now: NULL, or the rule that fails. Pure. */
const char *token_times(const struct token_claims *claims, int64_t now_s);

enum { REFRESH_TOKEN_SIZE = 80 }; /* base64url of 8 + 8 + 32 bytes, and the NUL; some room */

/* The secret of refresh tokens, made ready once: half of what an HMAC over so little takes. As secret as that is. */
struct refresh_key {
	crypto_auth_hmacsha512256_state state;
};
void refresh_key_init(struct refresh_key *key, const unsigned char secret[32]);

/* DESIGN 10: no row per token; a token is recomputed from its session's id and generation. */
void refresh_token_make(
	const struct refresh_key *key, int64_t session_id, int64_t generation, char ret_token[REFRESH_TOKEN_SIZE]);
/* 0 and what the token says, or ERR_DENIED. Compares in constant time. */
int refresh_token_read(
	const struct refresh_key *key, const char *token, int64_t *ret_session_id, int64_t *ret_generation) MUST_CHECK;

#endif
