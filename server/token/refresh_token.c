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
	unsigned char mac[crypto_auth_hmacsha512256_BYTES];
};

enum { SIGNED = offsetof(struct wire, mac), TEXT = 64 };

static_assert(sizeof(struct wire) == 48, "no padding");
static_assert(crypto_auth_hmacsha512256_KEYBYTES == 32, "the secret is the key");
static_assert((int)TEXT < (int)REFRESH_TOKEN_SIZE, "a token and its NUL fit");

void refresh_key_init(struct refresh_key *key, const unsigned char secret[32])
{
	(void)crypto_auth_hmacsha512256_init(&key->state, secret, crypto_auth_hmacsha512256_KEYBYTES);
}

static void sign(const struct refresh_key *key, const struct wire *wire, unsigned char ret_mac[sizeof(wire->mac)])
{
	crypto_auth_hmacsha512256_state state = key->state;

	(void)crypto_auth_hmacsha512256_update(&state, (const unsigned char *)wire, SIGNED);
	/* which wipes the state */
	(void)crypto_auth_hmacsha512256_final(&state, ret_mac);
}

void refresh_token_make(
	const struct refresh_key *key, int64_t session_id, int64_t generation, char ret_token[REFRESH_TOKEN_SIZE])
{
	struct wire wire = {.session_id = htobe64((uint64_t)session_id), .generation = htobe64((uint64_t)generation)};

	sign(key, &wire, wire.mac);
	sodium_bin2base64(ret_token, REFRESH_TOKEN_SIZE, (const unsigned char *)&wire, sizeof(wire),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int refresh_token_read(
	const struct refresh_key *key, const char *token, int64_t *ret_session_id, int64_t *ret_generation)
{
	size_t text_len = strnlen(token, TEXT + 1);
	unsigned char mac[sizeof((struct wire){0}.mac)];
	struct wire wire;
	size_t len = 0;

	if (text_len != TEXT ||
		!base64_read(token, text_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING, &wire, sizeof(wire), &len) ||
		len != sizeof(wire))
		return ERR_DENIED;
	sign(key, &wire, mac);
	if (sodium_memcmp(mac, wire.mac, sizeof(mac)) != 0)
		return ERR_DENIED;
	*ret_session_id = (int64_t)be64toh(wire.session_id);
	*ret_generation = (int64_t)be64toh(wire.generation);
	return 0;
}
