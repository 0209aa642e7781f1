#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "background/effects/effect.h"
#include "background/effects/sign.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ID    EVENT "-bus"

static struct effect_config config;
static struct request request;
static const char *why;
static char *secret[1];

static void set_secret(const char *text)
{
	secret[0] = (char *)(uintptr_t)text;
	config.secrets = secret;
	config.secret_count = 1;
}

static void setup(void)
{
	config = (struct effect_config){.name = "bus", .type = "bus", .format = "json"};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(effect, .init = setup, .fini = teardown);

static int build_at(int64_t now_ms)
{
	struct event *event = event_new(EVENT, "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "{}", 7,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1767323045678);
	int err;

	request_release(&request);
	err = effect_build(&config, &(struct effect_input){.event = event, .id = ID, .now_ms = now_ms}, &request, &why);
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

Test(effect, id_is_event_and_name)
{
	char id[EFFECT_ID_SIZE];

	effect_id(id, EVENT, "crm", 0);
	cr_assert_str_eq(id, EVENT "-crm");
	effect_id(id, EVENT, "a234567890123456789012345678901234567890", 0);
	cr_assert_str_eq(id, EVENT "-a234567890123456789012345678901234567890");
}

Test(effect, id_of_a_part)
{
	char id[EFFECT_ID_SIZE];

	effect_id(id, EVENT, "mails.staff", LIMIT_RECIPIENTS);
	cr_assert_str_eq(id, EVENT "-mails.staff-32");
}

Test(effect, what_makes_an_id_takes_it_apart)
{
	static const struct {
		const char *id, *name;
		int part;
	} good[] = {{EVENT, "", -1}, {EVENT "-crm", "crm", 0}, {EVENT "-hooks.shop", "hooks.shop", 0},
		{EVENT "-email-1", "email", 1}, {EVENT "-email-32", "email", 32},
		{EVENT "-a234567890123456789012345678901234567890.b234567890123456789012345678901234567890-7",
			"a234567890123456789012345678901234567890.b234567890123456789012345678901234567890", 7}};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char event_id[ID_SIZE], name[LIMIT_TARGET_KEY + 1], again[EFFECT_ID_SIZE];
		int part = 77;

		cr_assert(effect_id_parse(good[i].id, event_id, name, &part), "%s", good[i].id);
		cr_assert_str_eq(event_id, EVENT);
		cr_assert_str_eq(name, good[i].name);
		cr_assert_eq(part, good[i].part);
		effect_id(again, event_id, name, part);
		if (part >= 0)
			cr_assert_str_eq(again, good[i].id);
	}
}

Test(effect, what_is_no_id)
{
	static const char *const bad[] = {"", "-", "crm", "-crm", EVENT "-", EVENT "--", EVENT "--1", EVENT "-crm-",
		EVENT "-crm-0", EVENT "-crm-01", EVENT "-crm--1", EVENT "-crm-+1", EVENT "-crm- 1", EVENT "-crm-33",
		EVENT "-crm-1x", EVENT "-crm-1-1", EVENT "-crm-99999999999999999999", EVENT "0-crm",
		"01ARZ3NDEKTSV4RRFFQ69G5FA-crm",
		EVENT "-a2345678901234567890123456789012345678901234567890123456789012345678901234567890xx"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char event_id[ID_SIZE] = "untouched", name[LIMIT_TARGET_KEY + 1] = "untouched";
		int part = 77;

		cr_assert_not(effect_id_parse(bad[i], event_id, name, &part), "%s", bad[i]);
		cr_assert_str_eq(event_id, "untouched");
		cr_assert_str_eq(name, "untouched");
		cr_assert_eq(part, 77);
	}
}

/* One row for each of several recipients; what has but one leaves its row without, and so follows the configuration. */
Test(effect, a_mail_has_a_part_for_each_of_several_recipients)
{
	char *to[] = {"a@example.com", "{{customer.email}}"};

	cr_assert_eq(effect_parts(&config), 1);
	cr_assert_str_eq(effect_recipient(&config, 0), "");
	config.type = "email";
	cr_assert_eq(effect_parts(&config), 1);
	config.to = to;
	config.to_count = 1;
	cr_assert_eq(effect_parts(&config), 1);
	cr_assert_str_eq(effect_recipient(&config, 0), "");
	config.to_count = 2;
	cr_assert_eq(effect_parts(&config), 2);
	cr_assert_str_eq(effect_recipient(&config, 1), "a@example.com");
	cr_assert_str_eq(effect_recipient(&config, 2), "{{customer.email}}");
	cr_assert_str_eq(effect_recipient(&config, 3), "");
}

Test(effect, kinds_are_found_by_type)
{
	static const char *const types[] = {"email", "analytics", "crm", "bus", "webhook", "chat"};
	size_t count;
	const struct effect_kind *const *kinds = effect_kinds(&count);

	cr_assert_eq(count, sizeof types / sizeof *types);
	for (size_t i = 0; i < count; i++) {
		cr_assert_str_eq(kinds[i]->type, types[i]);
		cr_assert_eq(effect_kind_find(types[i]), kinds[i]);
		cr_assert_eq(kinds[i]->mail, strcmp(types[i], "email") == 0);
	}
	cr_assert_null(effect_kind_find("pigeon"));
	cr_assert_null(effect_kind_find(""));
}

Test(effect, outcomes_have_the_words_of_the_metric)
{
	static const char *const texts[] = {"ok", "retryable", "permanent", "timeout", "connect", "tls", "dns"};

	for (int i = 0; i < OUTCOME_COUNT; i++)
		cr_assert_str_eq(outcome_text((enum outcome)i), texts[i]);
}

Test(effect, every_http_request_carries)
{
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("Idempotency-Key"), ID);
	cr_assert_str_eq(header("User-Agent"), "tokenfirst/" TOKENFIRST_VERSION);
	cr_assert_eq(strncmp(header("traceparent"), "00-4bf92f3577b34da6a3ce929d0e0e4736-", 36), 0);
	cr_assert_null(strstr(header("traceparent"), "00f067aa0ba902b7"));
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_eq(request.header_count, 4);
}

Test(effect, authorization)
{
	config.auth = (struct auth_config){.type = AUTH_BEARER, .token = "abc.def"};
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("Authorization"), "Bearer abc.def");
	config.auth = (struct auth_config){.type = AUTH_BASIC, .username = "Aladdin", .password = "open sesame"};
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617 2 */
	config.auth = (struct auth_config){.type = AUTH_BASIC, .username = "key"};
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("Authorization"), "Basic a2V5Og==");
	config.auth = (struct auth_config){.type = AUTH_HEADER, .name = "X-Api-Key", .value = "k"};
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("X-Api-Key"), "k");
}

Test(effect, an_authorization_that_breaks_the_header_is_refused)
{
	static const struct auth_config bad[] = {
		{.type = AUTH_BEARER},
		{.type = AUTH_BEARER, .token = "a\r\nX: y"},
		{.type = AUTH_BASIC},
		{.type = AUTH_BASIC, .username = "a:b", .password = "c"},
		{.type = AUTH_HEADER, .name = "X"},
		{.type = AUTH_HEADER, .name = "X Y", .value = "z"},
		{.type = AUTH_HEADER, .name = "X", .value = "a\nb"},
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf message;

		config.auth = bad[i];
		why = NULL;
		cr_assert_eq(build_at(0), ERR_INVALID, "case %zu", i);
		cr_assert_str_eq(why, "the configured authorization can't be sent as a header");
		buf_init(&message, 512);
		cr_assert_eq(effect_verify(&config, &message), ERR_INVALID, "case %zu", i);
		cr_assert_gt(message.len, 0);
		buf_release(&message);
	}
}

Test(effect, a_secret_signs_the_finished_body_at_the_time_of_the_attempt)
{
	struct request other;
	char id[64];

	set_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	config.auth = (struct auth_config){.type = AUTH_BEARER, .token = "t"};
	cr_assert_eq(build_at(1767323099999), 0);
	cr_assert_str_eq(header("webhook-id"), ID);
	cr_assert_str_eq(header("webhook-timestamp"), "1767323099");
	request_init(&other);
	buf_append_text(&other.body, request.body.data);
	cr_assert_eq(sign_request(&other, config.secrets, 1, ID, 1767323099000), 0);
	snprintf(id, sizeof id, "%s", header("webhook-signature"));
	cr_assert_str_eq(other.headers[2] + strlen("webhook-signature: "), id);
	request_release(&other);
	cr_assert_eq(build_at(1767323100000), 0);
	cr_assert_str_neq(header("webhook-signature"), id);
	cr_assert_str_eq(header("webhook-id"), ID);
}

Test(effect, without_a_secret_nothing_is_signed)
{
	cr_assert_eq(build_at(0), 0);
	cr_assert_str_eq(header("webhook-signature"), "");
}

Test(effect, a_secret_that_is_none)
{
	struct buf message;

	set_secret("whsec_?");
	cr_assert_eq(build_at(0), ERR_INVALID);
	cr_assert_str_eq(why, "a configured secret can't be used to sign");
	buf_init(&message, 512);
	cr_assert_eq(effect_verify(&config, &message), ERR_INVALID);
	cr_assert_null(strstr(message.data, secret[0]));
	buf_release(&message);
}

Test(effect, unknown_types_and_formats)
{
	struct buf message;

	buf_init(&message, 512);
	cr_assert_eq(effect_verify(&config, &message), 0);
	cr_assert_eq(message.len, 0);
	config.format = "xml";
	cr_assert_eq(build_at(0), ERR_INVALID);
	cr_assert_eq(effect_verify(&config, &message), ERR_INVALID);
	cr_assert_str_eq(message.data, "format: bus does not know \"xml\"");
	buf_reset(&message);
	config.type = "pigeon";
	cr_assert_eq(build_at(0), ERR_INVALID);
	cr_assert_not_null(why);
	cr_assert_eq(effect_verify(&config, &message), ERR_INVALID);
	cr_assert_not_null(strstr(message.data, "pigeon"));
	buf_release(&message);
}

Test(effect, the_largest_request_fits_its_headers)
{
	/* cloudevents has the most headers of its own; with a signature and a header of the operator's */
	config.format = "cloudevents";
	set_secret("secret");
	config.auth = (struct auth_config){.type = AUTH_HEADER, .name = "X-Api-Key", .value = "k"};
	cr_assert_eq(build_at(0), 0);
	cr_assert_lt(request.header_count, REQUEST_HEADERS);
}

Test(effect, a_mail_is_judged_as_a_mail)
{
	const struct reply reply = {
		.status = 250, .retry_after_ms = -1, .body = "250 ok", .body_len = 6, .smtp_after_recipient = true};
	struct reply refused = reply;
	struct verdict verdict;

	config.type = "email";
	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.kind, VERDICT_OK);
	refused.status = 550;
	refused.body = "550 no such user";
	effect_judge(&config, &refused, &verdict);
	cr_assert_eq(verdict.kind, VERDICT_DEAD); /* as HTTP it would come again */
	cr_assert_str_eq(verdict.reason, "SMTP 550 no such user");
}

/* Such an event takes the time of others, and nobody hears of it. */
Test(effect, an_event_about_nobody_is_sent_to_nobody)
{
	static const struct {
		const char *type, *data;
		int err;
	} rows[] = {
		{"user.password_forgot", EVENT_NOBODY ",\"request\":{}}", ERR_NOT_FOUND},
		{"user.password_forgot", EVENT_NOBODY "}", ERR_NOT_FOUND},
		{"user.password_forgot", "{\"user\":{\"username\":\"nobody\"}}", 0},
		{"order.paid", EVENT_NOBODY "}", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct event *event = event_new(EVENT, rows[i].type, "", rows[i].data, 0, "", 1);

		request_release(&request);
		cr_assert_eq(effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why),
			rows[i].err, "row %zu", i);
		event_unref(event);
	}
}

/* What a request authorized itself with, and a reply that holds it. */
static const char *hidden(const struct effect_config *by, const char *header, const char *reply)
{
	static char text[256];

	request_release(&request);
	cr_assert_eq(request_add_header(&request, "User-Agent", "tokenfirst"), 0);
	cr_assert_eq(request_add_header(&request, by->auth.name ? by->auth.name : "Authorization", header), 0);
	(void)snprintf(text, sizeof text, "%s", reply);
	effect_hide_credentials(by, &request, text);
	return text;
}

/* Mail servers quote what they refuse, and a mail's lines are folded anywhere. */
Test(effect, the_token_of_a_link_is_hidden_in_replies_part_by_part)
{
	struct effect_config mail = {.type = "email", .auth = {.type = AUTH_NONE}};
	char text[256];

	(void)snprintf(request.link_token, sizeof request.link_token, "%s", "AAbbccDDeeffGGhhiiJJkkllMM");
	(void)snprintf(text, sizeof text, "spam: https://a.example/r#token=AAbbccDDeeffGGhhiiJJkkllMM!");
	effect_hide_credentials(&mail, &request, text);
	cr_assert_str_eq(text, "spam: https://a.example/r#token=**************************!");
	(void)snprintf(text, sizeof text, "ccDDeeffGG, =ffGGhhiiJJkk and llMM; AAbbccDD");
	effect_hide_credentials(&mail, &request, text);
	cr_assert_str_eq(text, "**********, =************ and llMM; ********");
	request_release(&request);
	cr_assert_str_eq(request.link_token, "");
	(void)snprintf(text, sizeof text, "AAbbccDDeeffGGhhiiJJkkllMM");
	effect_hide_credentials(&mail, &request, text);
	cr_assert_str_eq(text, "AAbbccDDeeffGGhhiiJJkkllMM");
}

Test(effect, credentials_are_hidden_in_replies)
{
	struct effect_config none = {.type = "crm", .auth = {.type = AUTH_BASIC}};
	struct effect_config key = {
		.type = "crm", .auth = {.type = AUTH_HEADER, .name = "X-Key", .value = "a key of mine"}};
	struct effect_config body = {.type = "analytics", .auth = {.type = AUTH_BEARER, .token = "phc_0123456789"}};

	cr_assert_str_eq(hidden(&none, "Basic dXNlcjpwYXNzd29yZA==", "you: Basic dXNlcjpwYXNzd29yZA==!"),
		"you: Basic ********************!");
	cr_assert_str_eq(
		hidden(&none, "Basic dXNlcjpwYXNzd29yZA==", "cut: dXNlcjpwYXNzd29yZ"), "cut: *****************");
	cr_assert_str_eq(hidden(&key, "a key of mine", "a key of mine, twice: a key of mine"),
		"*************, twice: *************");
	cr_assert_str_eq(
		hidden(&body, "Bearer other", "{\"api_key\":\"phc_0123456789\"}"), "{\"api_key\":\"**************\"}");
	cr_assert_str_eq(hidden(&none, "Basic short", "short words stay"), "short words stay");
}
