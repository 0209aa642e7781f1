/*
 * One signing key: made, stored, read back, and shown to the world as a JWK. What everybody else
 * does with a key (sign, verify) stands in keys.h.
 *
 * An algorithm is a `struct key_kind`, a table of functions on the kind's own state: ed25519.c
 * on libsodium, evp_key.c (ES256, RS256) on OpenSSL. Parsed once; constant, and used by all threads, from then on.
 */
#ifndef TOKENFIRST_SERVER_TOKEN_SIGNING_KEY_H
#define TOKENFIRST_SERVER_TOKEN_SIGNING_KEY_H

#include <jansson.h>

#include "config/buf.h"
#include "server/token/keys.h"

enum { KEY_ID_SIZE = 44, PRIVATE_KEY_MAX = 8192 };

#define TOKEN_TYPE "at+jwt" /* RFC 9068 2.1 */

struct key_kind {
	enum token_alg alg;
	/* A new key, or one from what `store` wrote; ERR_CRYPTO: not such a key. */
	int (*generate)(void **ret_state);
	int (*parse)(const void *bytes, size_t len, void **ret_state);
	void (*free)(void *state);
	/* Appends the stored form, which is secret: wipe it. */
	int (*store)(const void *state, struct buf *out);
	/* The members that RFC 7638 makes the key id of, and no others; NULL: no memory. */
	json_t *(*jwk)(const void *state);
	/* The public half alone, which verifies; signing and storing give ERR_CRYPTO. ERR_CRYPTO: no such key. */
	int (*from_jwk)(const json_t *jwk, void **ret_state);
	const char *kty, *crv; /* crv NULL: the type has none */
	int (*sign)(const void *state, const void *message, size_t len, unsigned char *ret_signature, size_t *ret_len);
	int (*verify)(const void *state, const void *message, size_t len, const unsigned char *signature,
		size_t signature_len);
};

extern const struct key_kind key_kind_ed25519, key_kind_es256, key_kind_rs256;

int signing_key_generate(enum token_alg alg, struct signing_key **ret_key) MUST_CHECK;
int signing_key_parse(enum token_alg alg, const void *bytes, size_t len, struct signing_key **ret_key) MUST_CHECK;
void signing_key_free(struct signing_key *key); /* NULL is fine; wipes */

/* Appends what signing_key_parse reads. Secret. */
int signing_key_store(const struct signing_key *key, struct buf *out) MUST_CHECK;

/* The JOSE header of the access tokens that it signs, in base64url with the dot behind; lives as long as the key. */
const char *signing_key_header(const struct signing_key *key);
/* The public JWK with kid, alg and use as JSON text, compact; lives as long as the key. */
const char *signing_key_jwk(const struct signing_key *key);
/*
 * The other way, to verify with. ERR_NOT_FOUND: no key that could have signed a token of ours, so nothing to worry
 * about. ERR_INVALID and `ret_why` (static text): it has its private half with it, and should not be here.
 */
int signing_key_from_jwk(const json_t *jwk, struct signing_key **ret_key, const char **ret_why) MUST_CHECK;

/* ERR_INVALID: no algorithm of that name. */
int token_alg_parse(const char *text, enum token_alg *ret_alg) MUST_CHECK;

/*
 * jwk.c: base64url without padding (RFC 7515 2) as a JSON text; NULL without memory. And RFC 7638: the
 * SHA-256 over the required members in lexicographic order without white space.
 */
json_t *jwk_bytes(const unsigned char *bytes, size_t len);
/* A member of that form, without a bit left over; ERR_CRYPTO: it is not, or longer than `size`. */
int jwk_read_bytes(
	const json_t *jwk, const char *name, unsigned char *ret_bytes, size_t size, size_t *ret_len) MUST_CHECK;
int jwk_thumbprint(const json_t *required, char ret_kid[KEY_ID_SIZE]) MUST_CHECK;

#endif
