#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/sign.h"

/* RFC 8032 7.1, test 1: the seed; with its public key; that key; and a pair with one bit of the public half turned. */
#define PRIVATE_SEED  "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
#define PRIVATE_PAIR  "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="
#define PUBLIC	      "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define PRIVATE_OTHER "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9RL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="

static struct request request;

static void setup(void)
{
	request_init(&request);
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(sign, .init = setup, .fini = teardown);

static int sign_with(const char *secret, const char *id, int64_t now_ms)
{
	char *secrets[] = {(char *)(uintptr_t)secret};

	return sign_request(&request, secrets, 1, id, now_ms);
}

/* The worked example in the libraries of Standard Webhooks. */
Test(sign, the_published_example)
{
	buf_append_text(&request.body, "{\"test\": 2432232314}");
	cr_assert_eq(
		sign_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330999), 0);
	cr_assert_eq(request.header_count, 3);
	cr_assert_str_eq(request.headers[0], "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek");
	cr_assert_str_eq(request.headers[1], "webhook-timestamp: 1614265330");
	cr_assert_str_eq(request.headers[2], "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static const char *signature(const char *secret, const char *body, int64_t now_ms)
{
	request_release(&request);
	buf_append_text(&request.body, body);
	cr_assert_eq(sign_with(secret, "id", now_ms), 0);
	return request.headers[2];
}

Test(sign, a_raw_secret_is_the_key_itself)
{
	char *encoded = strdup(signature("whsec_c2VjcmV0IHRleHQ=", "body", 1000)); /* "secret text" */

	cr_assert_str_eq(signature("secret text", "body", 1000), encoded);
	cr_assert_str_neq(signature("secret texts", "body", 1000), encoded);
	free(encoded);
}

Test(sign, padding_is_optional)
{
	char *padded = strdup(signature("whsec_c2VjcmV0IHRleHQ=", "body", 1000));

	cr_assert_str_eq(signature("whsec_c2VjcmV0IHRleHQ", "body", 1000), padded);
	free(padded);
}

Test(sign, body_and_time_are_covered)
{
	char *one = strdup(signature("secret", "body", 1000));

	cr_assert_str_neq(signature("secret", "bodY", 1000), one);
	cr_assert_str_neq(signature("secret", "body", 2000), one);
	cr_assert_str_eq(signature("secret", "body", 1999), one);
	free(one);
}

Test(sign, an_unusable_secret_is_refused)
{
	static const char *const bad[] = {"", "whsec_", "whsec_?", "whsec_a", "whsec_c2Vj cmV0",
		"whsec_c2VjcmV0IHRleHQ==", "whsk_", "whsk_?", "whsk_c2VjcmV0", PUBLIC, PRIVATE_SEED "AAAA",
		PRIVATE_PAIR "AAAA", "whpk_"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_not_null(sign_secret_fault(bad[i]), "%s", bad[i]);
		cr_assert_eq(sign_with(bad[i], "id", 0), ERR_INVALID, "%s", bad[i]);
	}
	cr_assert_eq(request.header_count, 0);
	cr_assert_null(sign_secret_fault("whsec_c2VjcmV0"));
	cr_assert_null(sign_secret_fault("plain"));
	cr_assert_null(sign_secret_fault(PRIVATE_SEED));
	cr_assert_null(sign_secret_fault(PRIVATE_PAIR));
}

/* It would sign, and give its private half away to whoever compares two signatures. */
Test(sign, halves_that_are_no_pair_are_refused_at_the_start)
{
	cr_assert_not_null(sign_secret_fault(PRIVATE_OTHER));
	cr_assert_null(strstr(sign_secret_fault(PRIVATE_OTHER), "nWGx"));
}

static bool verifies(const char *signature, const char *content)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES], bytes[crypto_sign_BYTES];
	size_t len = 0;

	cr_assert_eq(sodium_base642bin(public, sizeof public, &PUBLIC[5], strlen(&PUBLIC[5]), NULL, &len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0);
	cr_assert_eq(sodium_base642bin(bytes, sizeof bytes, signature, strcspn(signature, " "), NULL, &len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0, "%s", signature);
	cr_assert_eq(len, sizeof bytes);
	return crypto_sign_verify_detached(bytes, (const unsigned char *)content, strlen(content), public) == 0;
}

Test(sign, ed25519_with_a_seed_or_a_pair)
{
	static const char *const keys[] = {PRIVATE_SEED, PRIVATE_PAIR};
	static const char field[] = "webhook-signature: v1a,";

	for (size_t i = 0; i < 2; i++) {
		const char *line = signature(keys[i], "body", 1999);

		cr_assert_eq(strncmp(line, field, strlen(field)), 0, "%s", line);
		cr_assert(verifies(line + strlen(field), "id.1.body"));
		cr_assert_not(verifies(line + strlen(field), "id.2.body"));
		cr_assert_not(verifies(line + strlen(field), "id.1.bodY"));
	}
}

/* Old and new side by side: a receiver takes whichever it knows. */
Test(sign, several_secrets_make_several_signatures_in_their_order)
{
	char *secrets[] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", PRIVATE_SEED, "whsec_c2VjcmV0IHRleHQ="};
	char first[128], third[128];
	const char *line, *part;

	snprintf(first, sizeof first, "%s ", signature(secrets[0], "body", 1000));
	snprintf(third, sizeof third, " %s", signature(secrets[2], "body", 1000) + strlen("webhook-signature: "));
	request_release(&request);
	buf_append_text(&request.body, "body");
	cr_assert_eq(sign_request(&request, secrets, 3, "id", 1000), 0);
	cr_assert_eq(request.header_count, 3);
	line = request.headers[2];
	cr_assert_eq(strncmp(line, first, strlen(first)), 0, "%s", line);
	part = line + strlen(first);
	cr_assert_eq(strncmp(part, "v1a,", 4), 0, "%s", line);
	cr_assert(verifies(part + 4, "id.1.body"));
	cr_assert_str_eq(strchr(part, ' '), third);
}

Test(sign, as_many_secrets_as_a_configuration_may_have)
{
	char *secrets[LIMIT_SECRETS];

	for (size_t i = 0; i < LIMIT_SECRETS; i++)
		secrets[i] = PRIVATE_SEED;
	cr_assert_eq(sign_request(&request, secrets, LIMIT_SECRETS, "id", 1000), 0);
	cr_assert_eq(strlen(request.headers[2]),
		strlen("webhook-signature: ") + LIMIT_SECRETS * (4 + 88) + LIMIT_SECRETS - 1);
}

Test(sign, one_bad_secret_among_good_ones_signs_nothing)
{
	char *secrets[] = {"good", "whsec_?", "good"};

	cr_assert_eq(sign_request(&request, secrets, 3, "id", 1000), ERR_INVALID);
	cr_assert_eq(request.header_count, 0);
}
