#include "server/token/mfa_token.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <string.h>

#include "config/base64.h"

struct wire {
	uint64_t user_id, expires_ms, credentials; /* big-endian */
	unsigned char mac[crypto_auth_BYTES];
};

enum { SIGNED = offsetof(struct wire, mac), TEXT = MFA_TOKEN_SIZE - 1 };

static_assert(sizeof(struct wire) == 56, "no padding");
static_assert(crypto_auth_KEYBYTES == 32, "the secret is the key");
static_assert(
	sodium_base64_ENCODED_LEN(sizeof(struct wire), sodium_base64_VARIANT_URLSAFE_NO_PADDING) == MFA_TOKEN_SIZE,
	"a token and its NUL fit");

void mfa_token_make(const unsigned char secret[32], const struct mfa_claims *claims, char ret_token[MFA_TOKEN_SIZE])
{
	struct wire wire = {
		.user_id = htobe64((uint64_t)claims->user_id),
		.expires_ms = htobe64((uint64_t)claims->expires_ms),
		.credentials = htobe64((uint64_t)claims->credentials),
	};

	crypto_auth(wire.mac, (const unsigned char *)&wire, SIGNED, secret);
	sodium_bin2base64(ret_token, MFA_TOKEN_SIZE, (const unsigned char *)&wire, sizeof(wire),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int mfa_token_read(const unsigned char secret[32], const char *token, int64_t now_ms, struct mfa_claims *ret_claims)
{
	size_t text_len = strnlen(token, TEXT + 1);
	struct wire wire;
	size_t len = 0;

	/* the last character has bits left over: libsodium refuses all but zeros there, so a token has one text only */
	if (text_len != TEXT ||
		!base64_read(token, text_len, sodium_base64_VARIANT_URLSAFE_NO_PADDING, &wire, sizeof(wire), &len) ||
		len != sizeof(wire))
		return ERR_DENIED;
	if (crypto_auth_verify(wire.mac, (const unsigned char *)&wire, SIGNED, secret) != 0 ||
		(int64_t)be64toh(wire.expires_ms) <= now_ms)
		return ERR_DENIED;
	ret_claims->user_id = (int64_t)be64toh(wire.user_id);
	ret_claims->expires_ms = (int64_t)be64toh(wire.expires_ms);
	ret_claims->credentials = (int64_t)be64toh(wire.credentials);
	return 0;
}
