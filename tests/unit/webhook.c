#include <criterion/criterion.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ID    EVENT "-hooks.shop"

static char *secrets[] = {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2VjcmV0IHRleHQ="};
static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){.name = "hooks.shop",
		.effect = "hooks",
		.target = "shop",
		.type = "webhook",
		.secrets = secrets,
		.secret_count = 1};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(webhook, .init = setup, .fini = teardown);

static int build(const char *subject, const char *data)
{
	struct event *event = event_new(EVENT, "order.paid", subject, data, 0, "", 1767323045678);
	int err;

	request_release(&request);
	err = effect_build(
		&config, &(struct effect_input){.event = event, .id = ID, .now_ms = 1767323099999}, &request, &why);
	event_unref(event);
	return err;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < request.header_count; i++) {
		if (strncmp(request.headers[i], name, strlen(name)) == 0 && request.headers[i][strlen(name)] == ':')
			return request.headers[i] + strlen(name) + 2;
	}
	return "";
}

/* 17 digits say a number exactly, but 15 or 16 mostly do so too, and as their sender wrote it. */
Test(webhook, numbers_stay_as_their_sender_wrote_them)
{
	cr_assert_eq(build("order-7", "{\"total\":19.99,\"tax\":[0.1,{\"share\":-1e-7}]}"), 0);
	cr_assert_not_null(strstr(request.body.data, "{\"total\":19.99,\"tax\":[0.1,{\"share\":-1e-7}]}"), "%s",
		request.body.data);
	cr_assert_eq(build("order-7", "{\"exact\":0.30000000000000004}"), 0);
	cr_assert_not_null(strstr(request.body.data, "{\"exact\":0.30000000000000004}"), "%s", request.body.data);
}

Test(webhook, the_payload_that_the_spec_recommends)
{
	cr_assert_eq(build("order-7", "{\"total\":12}"), 0, "%s", why ? why : "");
	cr_assert_str_eq(request.method, "POST");
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_str_eq(request.body.data,
		"{\"type\":\"order.paid\",\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"id\":\"" ID
		"\",\"event_id\":\"" EVENT "\",\"subject\":\"order-7\",\"data\":{\"total\":12}}");
	cr_assert_eq(build("", "{}"), 0);
	cr_assert_not_null(strstr(request.body.data, "\"subject\":null,\"data\":{}}"));
}

/* The time of the attempt is in the header, that of the event in the body. */
Test(webhook, id_and_time_of_the_attempt_are_in_the_headers)
{
	cr_assert_eq(build("", "{}"), 0);
	cr_assert_str_eq(header("webhook-id"), ID);
	cr_assert_str_eq(header("Idempotency-Key"), ID);
	cr_assert_str_eq(header("webhook-timestamp"), "1767323099");
	cr_assert_eq(strncmp(header("webhook-signature"), "v1,", 3), 0);
	cr_assert_null(strchr(header("webhook-signature"), ' '));
	config.secret_count = 2;
	cr_assert_eq(build("", "{}"), 0);
	cr_assert_not_null(strstr(header("webhook-signature"), "= v1,"));
}

Test(webhook, it_is_signed)
{
	struct buf message;

	buf_init(&message, 512);
	cr_assert_eq(effect_verify(&config, &message), 0);
	config.secret_count = 0;
	cr_assert_eq(effect_verify(&config, &message), ERR_INVALID);
	cr_assert_str_eq(message.data, "secret: a webhook is signed");
	buf_release(&message);
}

Test(webhook, data_that_is_no_object_can_not_be_sent)
{
	cr_assert_eq(build("", "[]"), ERR_INVALID);
	cr_assert_str_eq(why, "the event's data is no JSON object");
}

Test(webhook, a_format_is_refused)
{
	config.format = "json";
	cr_assert_eq(build("", "{}"), ERR_INVALID);
}
