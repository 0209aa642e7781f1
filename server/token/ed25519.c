/*
 * EdDSA over Ed25519 (RFC 8032, RFC 8037) with libsodium. Stored as the 32-byte seed, from which both
 * halves are made when it is read: a stored pair could disagree, and signing with such a pair gives the key away.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>

#include "server/token/signing_key.h"

struct ed25519 {
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
	bool whole; /* not the public half alone */
};

static void ed25519_free(void *state)
{
	if (state)
		sodium_memzero(state, sizeof(struct ed25519));
	free(state);
}

static int ed25519_parse(const void *bytes, size_t len, void **ret_state)
{
	struct ed25519 *key;

	if (len != crypto_sign_SEEDBYTES)
		return ERR_CRYPTO;
	key = calloc(1, sizeof(*key));
	if (!key)
		return ERR_MEMORY;
	crypto_sign_seed_keypair(key->public, key->secret, bytes);
	key->whole = true;
	*ret_state = key;
	return 0;
}

static int ed25519_generate(void **ret_state)
{
	unsigned char seed[crypto_sign_SEEDBYTES];
	int err;

	randombytes_buf(seed, sizeof(seed));
	err = ed25519_parse(seed, sizeof(seed), ret_state);
	sodium_memzero(seed, sizeof(seed));
	return err;
}

static int ed25519_store(const void *state, struct buf *out)
{
	const struct ed25519 *key = state;
	unsigned char seed[crypto_sign_SEEDBYTES];

	if (!key->whole)
		return ERR_CRYPTO;
	crypto_sign_ed25519_sk_to_seed(seed, key->secret);
	buf_append(out, seed, sizeof(seed));
	sodium_memzero(seed, sizeof(seed));
	return buf_error(out);
}

static json_t *ed25519_jwk(const void *state)
{
	const struct ed25519 *key = state;

	return json_pack(
		"{s:s, s:s, s:o}", "kty", "OKP", "crv", "Ed25519", "x", jwk_bytes(key->public, sizeof(key->public)));
}

/* RFC 8037 2 */
static int ed25519_from_jwk(const json_t *jwk, void **ret_state)
{
	struct ed25519 *key = calloc(1, sizeof(*key));
	size_t len = 0;

	if (!key)
		return ERR_MEMORY;
	if (jwk_read_bytes(jwk, "x", key->public, sizeof(key->public), &len) || len != sizeof(key->public) ||
		crypto_core_ed25519_is_valid_point(key->public) != 1) {
		ed25519_free(key);
		return ERR_CRYPTO;
	}
	*ret_state = key;
	return 0;
}

static int ed25519_sign(
	const void *state, const void *message, size_t len, unsigned char *ret_signature, size_t *ret_len)
{
	const struct ed25519 *key = state;

	if (!key->whole)
		return ERR_CRYPTO;
	crypto_sign_detached(ret_signature, NULL, message, len, key->secret);
	*ret_len = crypto_sign_BYTES;
	return 0;
}

static int ed25519_verify(
	const void *state, const void *message, size_t len, const unsigned char *signature, size_t signature_len)
{
	const struct ed25519 *key = state;

	if (signature_len != crypto_sign_BYTES ||
		crypto_sign_verify_detached(signature, message, len, key->public) != 0)
		return ERR_DENIED;
	return 0;
}

const struct key_kind key_kind_ed25519 = {
	.alg = TOKEN_EDDSA,
	.generate = ed25519_generate,
	.parse = ed25519_parse,
	.free = ed25519_free,
	.store = ed25519_store,
	.jwk = ed25519_jwk,
	.from_jwk = ed25519_from_jwk,
	.kty = "OKP",
	.crv = "Ed25519",
	.sign = ed25519_sign,
	.verify = ed25519_verify,
};
