#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/base64.h"
#include "server/token/signing_key.h"

static_assert((int)KEY_ID_SIZE == (int)sodium_base64_ENCODED_LEN(
					  crypto_hash_sha256_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
	"a SHA-256 in base64url");

json_t *jwk_bytes(const unsigned char *bytes, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = malloc(size);
	json_t *json = NULL;

	if (text) {
		sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		json = json_string(text);
	}
	free(text);
	return json;
}

int jwk_read_bytes(const json_t *jwk, const char *name, unsigned char *ret_bytes, size_t size, size_t *ret_len)
{
	const char *text = json_string_value(json_object_get(jwk, name));

	if (!text ||
		!base64_read(text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING, ret_bytes, size, ret_len))
		return ERR_CRYPTO;
	return 0;
}

int jwk_thumbprint(const json_t *required, char ret_kid[KEY_ID_SIZE])
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	char *text = json_dumps(required, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return ERR_MEMORY;
	crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
	sodium_bin2base64(ret_kid, KEY_ID_SIZE, digest, sizeof(digest), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	free(text);
	return 0;
}
