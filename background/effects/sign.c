/*
 * Secrets are read anew for each request: the base64 of a few dozen bytes is nothing beside the signature, and so no
 * second copy of a key lives longer than a request. What is read is wiped.
 */
#include "background/effects/sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base64.h"

static const char symmetric_prefix[] = "whsec_";
static const char private_prefix[] = "whsk_";
static const char public_prefix[] = "whpk_";

enum { SIGNATURE_BYTES = crypto_sign_BYTES };
enum { SIGNATURE_TEXT = sodium_base64_ENCODED_LEN(SIGNATURE_BYTES, sodium_base64_VARIANT_ORIGINAL) };
static_assert(SIGNATURE_BYTES >= crypto_auth_hmacsha256_BYTES, "an Ed25519 signature is the longer one");

struct key {
	bool asymmetric;
	unsigned char *bytes; /* on the heap; Ed25519: the 64 bytes that libsodium signs with */
	size_t len;
};

static void key_release(struct key *key)
{
	if (key->bytes)
		sodium_memzero(key->bytes, key->len);
	free(key->bytes);
	*key = (struct key){.bytes = NULL};
}

/* Without padding a length that is a multiple of four is valid in both variants. */
static bool decode(const char *text, unsigned char *ret_bytes, size_t size, size_t *ret_len)
{
	const int variant =
		strchr(text, '=') ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

	return base64_read(text, strlen(text), variant, ret_bytes, size, ret_len) && *ret_len > 0;
}

/* Into key->bytes; NULL, or why not. */
static const char *read_private(const char *text, struct key *key)
{
	unsigned char given[crypto_sign_SECRETKEYBYTES], public[crypto_sign_PUBLICKEYBYTES];
	const char *fault = NULL;
	size_t len = 0;

	if (!decode(text, given, sizeof given, &len))
		fault = "no base64 of a key after \"whsk_\"";
	else if (len != crypto_sign_SEEDBYTES && len != crypto_sign_SECRETKEYBYTES)
		fault = "not 32 or 64 bytes after \"whsk_\"";
	else if (len == crypto_sign_SEEDBYTES)
		crypto_sign_seed_keypair(public, key->bytes, given);
	else
		memcpy(key->bytes, given, sizeof given);
	sodium_memzero(given, sizeof given);
	return fault;
}

/*
 * 0; ERR_INVALID with a static text in `ret_fault`; ERR_MEMORY.
 */
static int read_key(const char *secret, struct key *ret_key, const char **ret_fault)
{
	const bool asymmetric = strncmp(secret, private_prefix, strlen(private_prefix)) == 0;
	const bool encoded = strncmp(secret, symmetric_prefix, strlen(symmetric_prefix)) == 0;
	const size_t len = strlen(secret);
	struct key key = {.asymmetric = asymmetric, .len = asymmetric ? crypto_sign_SECRETKEYBYTES : len};
	const char *fault = NULL;
	size_t decoded = len;

	if (len == 0)
		fault = "empty";
	else if (strncmp(secret, public_prefix, strlen(public_prefix)) == 0)
		fault = "a public key (whpk_): signing needs the private one (whsk_)";
	else
		key.bytes = malloc(key.len);
	if (!fault && !key.bytes)
		return ERR_MEMORY;
	if (!fault && asymmetric)
		fault = read_private(secret + strlen(private_prefix), &key);
	else if (!fault && encoded && !decode(secret + strlen(symmetric_prefix), key.bytes, key.len, &decoded))
		fault = "no base64 after \"whsec_\"";
	else if (!fault && !encoded)
		memcpy(key.bytes, secret, len);
	if (fault) {
		key_release(&key);
		*ret_fault = fault;
		return ERR_INVALID;
	}
	if (!asymmetric)
		key.len = decoded;
	*ret_key = key;
	return 0;
}

/* A pair of which one half belongs to another key signs what nobody can verify, and gives the private half away. */
static bool halves_agree(const struct key *key)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES], again[crypto_sign_SECRETKEYBYTES];
	bool agree;

	crypto_sign_seed_keypair(public, again, key->bytes);
	agree = sodium_memcmp(again, key->bytes, sizeof again) == 0;
	sodium_memzero(again, sizeof again);
	return agree;
}

const char *sign_secret_fault(const char *secret)
{
	const char *fault = NULL;
	struct key key = {.bytes = NULL};

	if (read_key(secret, &key, &fault) == ERR_MEMORY)
		return "no memory to read it";
	if (!fault && key.asymmetric && !halves_agree(&key))
		fault = "its two halves after \"whsk_\" are no pair of keys";
	key_release(&key);
	return fault;
}

static void append_signature(const struct key *key, const struct buf *content, struct buf *out)
{
	const unsigned char *bytes = (const unsigned char *)content->data;
	unsigned char signature[SIGNATURE_BYTES];
	char text[SIGNATURE_TEXT];
	size_t len = crypto_auth_hmacsha256_BYTES;
	crypto_auth_hmacsha256_state state;

	if (key->asymmetric) {
		len = crypto_sign_BYTES;
		crypto_sign_detached(signature, NULL, bytes, content->len, key->bytes);
	} else {
		crypto_auth_hmacsha256_init(&state, key->bytes, key->len);
		crypto_auth_hmacsha256_update(&state, bytes, content->len);
		crypto_auth_hmacsha256_final(&state, signature);
		sodium_memzero(&state, sizeof state);
	}
	sodium_bin2base64(text, sizeof text, signature, len, sodium_base64_VARIANT_ORIGINAL);
	buf_printf(out, "%s%s,%s", out->len > 0 ? " " : "", key->asymmetric ? "v1a" : "v1", text);
}

int sign_request(struct request *request, char *const *secrets, size_t count, const char *id, int64_t now_ms)
{
	struct key key = {.bytes = NULL};
	struct buf content, signatures;
	const char *fault;
	char timestamp[24];
	int err = 0;

	buf_init(&content, LIMIT_REQUEST_BODY + EFFECT_ID_SIZE + sizeof timestamp + 2);
	buf_init(&signatures, LIMIT_SECRETS * (SIGNATURE_TEXT + sizeof " v1a,"));
	snprintf(timestamp, sizeof timestamp, "%" PRId64, now_ms / 1000);
	buf_printf(&content, "%s.%s.", id, timestamp);
	buf_append(&content, request->body.data, request->body.len);
	err = buf_error(&content);
	for (size_t i = 0; !err && i < count; i++) {
		err = read_key(secrets[i], &key, &fault);
		if (!err)
			append_signature(&key, &content, &signatures);
		key_release(&key);
	}
	if (!err)
		err = buf_error(&signatures);
	if (!err)
		err = request_add_header(request, "webhook-id", id);
	if (!err)
		err = request_add_header(request, "webhook-timestamp", timestamp);
	if (!err)
		err = request_add_header(request, "webhook-signature", signatures.data);
	buf_release(&signatures);
	buf_release(&content);
	return err;
}
