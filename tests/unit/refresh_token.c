/* Refresh tokens: what is made is read back, and no other text is. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "server/token/token.h"

static const unsigned char bytes[32] = "0123456789abcdef0123456789abcde";
static struct refresh_key secret;

static void setup(void)
{
	refresh_key_init(&secret, bytes);
}

TestSuite(refresh_token, .init = setup);

Test(refresh_token, says_what_was_put_into_it)
{
	static const int64_t numbers[] = {1, 2, 255, 256, 1000000, INT64_MAX};
	char token[REFRESH_TOKEN_SIZE];
	int64_t id = 0, generation = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		refresh_token_make(&secret, numbers[i], numbers[5 - i], token);
		cr_expect_eq(strlen(token), 64);
		cr_expect_eq(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 64);
		cr_assert_eq(refresh_token_read(&secret, token, &id, &generation), 0);
		cr_expect_eq(id, numbers[i]);
		cr_expect_eq(generation, numbers[5 - i]);
	}
}

Test(refresh_token, is_the_same_each_time_and_differs_by_each_input)
{
	unsigned char changed[32];
	struct refresh_key other;
	char a[REFRESH_TOKEN_SIZE], b[REFRESH_TOKEN_SIZE];

	memcpy(changed, bytes, sizeof(changed));
	changed[31] ^= 1;
	refresh_key_init(&other, changed);
	refresh_token_make(&secret, 7, 1, a);
	refresh_token_make(&secret, 7, 1, b);
	cr_expect_str_eq(a, b);
	refresh_token_make(&secret, 7, 2, b);
	cr_expect_str_neq(a + 22, b + 22);
	refresh_token_make(&other, 7, 1, b);
	cr_expect_str_neq(a + 22, b + 22);
}

/* What was handed out by other versions is one and the same: an HMAC under the whole secret. */
Test(refresh_token, is_under_the_secret)
{
	unsigned char wire[48], mac[crypto_auth_BYTES];
	char token[REFRESH_TOKEN_SIZE];
	size_t len = 0;

	refresh_token_make(&secret, 42, 3, token);
	cr_assert_eq(sodium_base642bin(wire, sizeof(wire), token, strlen(token), NULL, &len, NULL,
			     sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	cr_assert_eq(len, sizeof(wire));
	crypto_auth(mac, wire, 16, bytes);
	cr_expect_arr_eq(wire + 16, mac, sizeof(mac));
}

Test(refresh_token, any_changed_character_is_refused)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= .\n";
	char token[REFRESH_TOKEN_SIZE];
	int64_t id = -1, generation = -1;

	refresh_token_make(&secret, 42, 3, token);
	for (size_t i = 0; i < 64; i++) {
		char was = token[i];

		for (const char *c = alphabet; *c; c++) {
			if (*c == was)
				continue;
			token[i] = *c;
			cr_expect_eq(refresh_token_read(&secret, token, &id, &generation), ERR_DENIED, "%zu %c", i, *c);
		}
		token[i] = was;
	}
	cr_expect_eq(id, -1);
	cr_expect_eq(generation, -1);
	cr_expect_eq(refresh_token_read(&secret, token, &id, &generation), 0);
}

Test(refresh_token, other_lengths_and_other_keys_are_refused)
{
	char token[REFRESH_TOKEN_SIZE + 80];
	static const unsigned char zeros[32];
	struct refresh_key other;
	int64_t id = 0, generation = 0;

	refresh_key_init(&other, zeros);
	refresh_token_make(&secret, 42, 3, token);
	cr_expect_eq(refresh_token_read(&other, token, &id, &generation), ERR_DENIED);
	memset(token + 64, 'A', 80);
	token[64 + 80] = '\0';
	for (size_t len = 64 + 80; len > 0; len--) {
		token[len] = '\0';
		if (len != 64)
			cr_expect_eq(refresh_token_read(&secret, token, &id, &generation), ERR_DENIED, "%zu", len);
	}
	cr_expect_eq(refresh_token_read(&secret, "", &id, &generation), ERR_DENIED);
}
