/*
 * Signing keys for access tokens, and the server's own secret keys, kept in the store.
 *
 * Keys are made at first start, and by `keys rotate` (rotation.h). Which key signs, and which ones still verify and are
 * published, is a matter of time alone (key_rows.h), so nothing has to happen at a switch. What is in memory is an
 * immutable set that keys_reload replaces as a whole: all functions may be called by any thread at any time, and a key
 * that one of them has given out stays good until keys_free.
 *
 * EdDSA keys are libsodium's; ES256 and RS256 (2048 bit) are OpenSSL's, stored as PKCS#8 DER.
 * The key id is the JWK thumbprint (RFC 7638).
 */
#ifndef TOKENFIRST_SERVER_TOKEN_KEYS_H
#define TOKENFIRST_SERVER_TOKEN_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "background/store/db.h"
#include "config/buf.h"
#include "config/options.h"

struct keys;
struct refresh_key; /* token.h */
struct signing_key;

/* Loads all; makes what is missing for `alg` (writes: before the committer starts). */
int keys_load(struct db *writer, enum token_alg alg, int64_t now_ms, struct keys **ret_keys) MUST_CHECK;
/* The signing keys that are there, by any connection: to verify with. There may be none, and no secrets. */
int keys_read(struct db *db, enum token_alg alg, int64_t now_ms, struct keys **ret_keys) MUST_CHECK;
/*
 * The public keys of a JWK Set (RFC 7517 5), to verify with. What is no key of ours is skipped: another type or curve,
 * another use, an id that is not its thumbprint. ERR_INVALID and `ret_why` (static text): it is no such set, one key
 * has its private half with it, or none is left. ERR_LIMIT: more than LIMIT_SIGNING_KEYS.
 */
int keys_from_jwks(const char *text, size_t len, struct keys **ret_keys, const char **ret_why) MUST_CHECK;
/* What the store says now takes the place of what was loaded; on failure that stays. */
int keys_reload(struct keys *keys, struct db *db, int64_t now_ms) MUST_CHECK;
void keys_free(struct keys *keys);

/* The key that signs now, and at a given time. Never NULL of what keys_load has loaded. */
const struct signing_key *keys_current(const struct keys *keys);
const struct signing_key *keys_current_at(const struct keys *keys, int64_t now_ms);
/* By id; NULL: unknown, or retired by then. */
const struct signing_key *keys_find(const struct keys *keys, const char *kid, int64_t now_ms);
/* Whether a key that one of these has given out is still good to verify with. */
bool keys_holds(const struct keys *keys, const struct signing_key *key, int64_t now_ms);

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

/*
 * Appends {"keys":[…]}, with public members only (RFC 7517, RFC 8037), of all keys that are live then: first the one
 * that signs.
 */
int keys_jwks(const struct keys *keys, int64_t now_ms, struct buf *out) MUST_CHECK;

/* The server's own secret keys, 32 bytes each, one for each use (NIST SP 800-57 part 1, 5.2). Made at first start. */
enum server_secret {
	SECRET_REFRESH, /* refresh tokens: keys_refresh */
	SECRET_LINK,	/* links in mails */
	SECRET_LOGIN,	/* what stands between the two steps of a login */
	SECRET_TOTP,	/* encrypts second factors at rest */
	SECRET_NOBODY,	/* what unknown names are compared with */
	SECRET_COUNT
};
const unsigned char *keys_secret(const struct keys *keys, enum server_secret secret);
/* The one of refresh tokens, made ready. Only of what keys_load has loaded. */
const struct refresh_key *keys_refresh(const struct keys *keys);

#endif
