#include "background/effects/sign.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "whsec_"

enum { SIGNATURE_TEXT = sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES, sodium_base64_VARIANT_ORIGINAL) };

/* The key's bytes, to be wiped and freed. */
static int read_secret(const char *secret, unsigned char **ret_key, size_t *ret_len)
{
	const bool encoded = strncmp(secret, PREFIX, strlen(PREFIX)) == 0;
	const char *text = encoded ? secret + strlen(PREFIX) : secret;
	const size_t text_len = strlen(text);
	const int variant =
		strchr(text, '=') ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
	/* without padding a length that is a multiple of four is valid in both variants */
	unsigned char *key;
	size_t len = text_len;

	if (text_len == 0)
		return ERR_INVALID;
	key = malloc(text_len);
	if (!key)
		return ERR_MEMORY;
	if (!encoded) {
		memcpy(key, text, text_len);
	} else if (sodium_base642bin(key, text_len, text, text_len, NULL, &len, NULL, variant) != 0 || len == 0) {
		sodium_memzero(key, text_len);
		free(key);
		return ERR_INVALID;
	}
	*ret_key = key;
	*ret_len = len;
	return 0;
}

bool sign_secret_usable(const char *secret)
{
	unsigned char *key;
	size_t len;

	if (read_secret(secret, &key, &len) != 0)
		return false;
	sodium_memzero(key, len);
	free(key);
	return true;
}

static void sign(const unsigned char *key, size_t key_len, const char *stamp, const struct buf *body,
	char ret_text[SIGNATURE_TEXT])
{
	crypto_auth_hmacsha256_state state;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)stamp, strlen(stamp));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)body->data, body->len);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof state);
	sodium_bin2base64(ret_text, SIGNATURE_TEXT, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
}

int sign_request(struct request *request, const char *secret, const char *id, int64_t now_ms)
{
	char timestamp[24], stamp[EFFECT_ID_SIZE + 24 + 2], text[SIGNATURE_TEXT], signature[SIGNATURE_TEXT + 3];
	unsigned char *key;
	size_t key_len;
	int err = read_secret(secret, &key, &key_len);

	if (err)
		return err;
	snprintf(timestamp, sizeof timestamp, "%" PRId64, now_ms / 1000);
	snprintf(stamp, sizeof stamp, "%s.%s.", id, timestamp);
	sign(key, key_len, stamp, &request->body, text);
	sodium_memzero(key, key_len);
	free(key);
	snprintf(signature, sizeof signature, "v1,%s", text);
	err = request_add_header(request, "webhook-id", id);
	if (!err)
		err = request_add_header(request, "webhook-timestamp", timestamp);
	if (!err)
		err = request_add_header(request, "webhook-signature", signature);
	return err;
}
