#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/sign.h"

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

/* The worked example in the libraries of Standard Webhooks. */
Test(sign, the_published_example)
{
	buf_append_text(&request.body, "{\"test\": 2432232314}");
	cr_assert_eq(sign_request(&request, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
			     1614265330999),
		0);
	cr_assert_eq(request.header_count, 3);
	cr_assert_str_eq(request.headers[0], "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek");
	cr_assert_str_eq(request.headers[1], "webhook-timestamp: 1614265330");
	cr_assert_str_eq(request.headers[2], "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static const char *signature(const char *secret, const char *body, int64_t now_ms)
{
	request_release(&request);
	buf_append_text(&request.body, body);
	cr_assert_eq(sign_request(&request, secret, "id", now_ms), 0);
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
	static const char *const bad[] = {
		"", "whsec_", "whsec_?", "whsec_a", "whsec_c2Vj cmV0", "whsec_c2VjcmV0IHRleHQ=="};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_not(sign_secret_usable(bad[i]), "%s", bad[i]);
		cr_assert_eq(sign_request(&request, bad[i], "id", 0), ERR_INVALID, "%s", bad[i]);
	}
	cr_assert_eq(request.header_count, 0);
	cr_assert(sign_secret_usable("whsec_c2VjcmV0"));
	cr_assert(sign_secret_usable("plain"));
}
