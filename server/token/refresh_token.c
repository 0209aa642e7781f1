/*
 * Refresh tokens: base64url(session id ‖ generation ‖ HMAC-SHA-512-256 of both), numbers big-endian. 48 bytes are 64
 * characters without a bit left over, so a token has one text only.
 */
#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <string.h>

#include "config/base64.h"
#include "server/token/token.h"

struct wire {
	uint64_t session_id, generation; /* big-endian */
	unsigned char mac[crypto_auth_BYTES];
};

enum { SIGNED = offsetof(struct wire, mac), TEXT = 64 };

static_assert(sizeof(struct wire) == 48, "no padding");
static_assert(crypto_auth_KEYBYTES == 32, "the secret is the key");
static_assert((int)TEXT < (int)REFRESH_TOKEN_SIZE, "a token and its NUL fit");

void refresh_token_make(
	const unsigned char secret[32], int64_t session_id, int64_t generation, char ret_token[REFRESH_TOKEN_SIZE])
{
	struct wire wire = {.session_id = htobe64((uint64_t)session_id), .generation = htobe64((uint64_t)generation)};

	crypto_auth(wire.mac, (const unsigned char *)&wire, SIGNED, secret);
	sodium_bin2base64(ret_token, REFRESH_TOKEN_SIZE, (const unsigned char *)&wire, sizeof(wire),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int refresh_token_read(
	const unsigned char secret[32], const char *token, int64_t *ret_session_id, int64_t *ret_generation)
{
	size_t text_len = strnlen(token, TEXT + 1);
	struct wire wire;
	size_t len = 0;

	if (text_len != TEXT ||
		!base64_read(token, text_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING, &wire, sizeof(wire), &len) ||
		len != sizeof(wire))
		return ERR_DENIED;
	if (crypto_auth_verify(wire.mac, (const unsigned char *)&wire, SIGNED, secret) != 0)
		return ERR_DENIED;
	*ret_session_id = (int64_t)be64toh(wire.session_id);
	*ret_generation = (int64_t)be64toh(wire.generation);
	return 0;
}
