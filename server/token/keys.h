/*
 * Signing keys for access tokens, and the server's own secret keys, kept in the store.
 *
 * Keys are made at first start. Once loaded they are constant and shared by all threads.
 * EdDSA keys are libsodium's; ES256 and RS256 (2048 bit) are OpenSSL's, stored as PKCS#8 DER.
 * The key id is the JWK thumbprint (RFC 7638).
 */
#ifndef TOKENFIRST_SERVER_TOKEN_KEYS_H
#define TOKENFIRST_SERVER_TOKEN_KEYS_H

#include <jansson.h>
#include <stddef.h>

#include "background/store/db.h"
#include "config/options.h"

struct keys;
struct signing_key;

/* Loads all; makes what is missing for `alg` (writes: before the committer starts). */
int keys_load(struct db *writer, enum token_alg alg, int64_t now_ms, struct keys **ret_keys) MUST_CHECK;
void keys_free(struct keys *keys);

const struct signing_key *keys_current(const struct keys *keys);
/* By id; NULL: unknown. */
const struct signing_key *keys_find(const struct keys *keys, const char *kid);

const char *signing_key_id(const struct signing_key *key);
enum token_alg signing_key_alg(const struct signing_key *key);
const char *token_alg_text(enum token_alg alg); /* "EdDSA", "ES256", "RS256" */

enum { SIGNATURE_MAX = 512 };
/* In JWS form (ES256: r ‖ s, RFC 7518 3.4). */
int signing_key_sign(const struct signing_key *key, const void *message, size_t len,
	unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_len) MUST_CHECK;
/* 0 or ERR_DENIED. */
int signing_key_verify(const struct signing_key *key, const void *message, size_t len, const unsigned char *signature,
	size_t signature_len) MUST_CHECK;

/* {"keys":[…]} with public members only (RFC 7517, RFC 8037), rendered once. */
const char *keys_jwks(const struct keys *keys);

/* The server's own secret keys, 32 bytes each, one for each use (NIST SP 800-57 part 1, 5.2). Made at first start. */
enum server_secret {
	SECRET_REFRESH, /* refresh tokens */
	SECRET_LINK,	/* links in mails */
	SECRET_LOGIN,	/* what stands between the two steps of a login */
	SECRET_TOTP,	/* encrypts second factors at rest */
	SECRET_COUNT
};
const unsigned char *keys_secret(const struct keys *keys, enum server_secret secret);

#endif
