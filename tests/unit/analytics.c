#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define USER  "01BX5ZZKBKACTAV9WEVGEMMVRZ"
#define ID    EVENT "-analytics"

static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){.name = "analytics", .type = "analytics"};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(analytics, .init = setup, .fini = teardown);

static const char login[] =
	"{\"user\":{\"id\":\"" USER "\",\"username\":\"alice\",\"email\":\"alice@example.com\"},"
	"\"request\":{\"id\":\"r-1\",\"ip\":\"127.0.0.1\",\"user_agent\":\"curl/7.88.1\"},\"method\":\"password\"}";

static int build(const char *subject, const char *data)
{
	struct event *event = event_new(EVENT, "user.login", subject, data, 7, "", 1767323045678);
	int err = effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why);

	event_unref(event);
	return err;
}

static void check_body(const char *expected)
{
	json_t *wanted = json_loads(expected, JSON_REJECT_DUPLICATES, NULL);
	json_t *body = json_loads(request.body.data, JSON_REJECT_DUPLICATES, NULL);

	cr_assert_not_null(wanted);
	cr_assert(json_equal(body, wanted), "%s", request.body.data);
	json_decref(wanted);
	json_decref(body);
}

Test(analytics, segment_is_the_default)
{
	cr_assert_eq(build(USER, login), 0);
	cr_assert_str_eq(request.method, "POST");
	cr_assert_str_eq(request.headers[0], "Content-Type: application/json");
	check_body("{\"messageId\":\"" ID "\",\"userId\":\"" USER "\",\"event\":\"user.login\","
		   "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"context\":{\"ip\":\"127.0.0.1\",\"userAgent\":\"curl/"
		   "7.88.1\"},"
		   "\"properties\":{\"method\":\"password\",\"request_id\":\"r-1\"}}");
}

Test(analytics, names_and_addresses_stay_here)
{
	config.format = "segment";
	cr_assert_eq(build(USER, login), 0);
	cr_assert_null(strstr(request.body.data, "alice"));
}

Test(analytics, an_event_about_nobody_stands_for_itself)
{
	cr_assert_eq(build("", "{\"size\":3}"), 0);
	check_body("{\"messageId\":\"" ID "\",\"anonymousId\":\"" EVENT "\",\"event\":\"user.login\","
		   "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"context\":{},\"properties\":{\"size\":3}}");
}

static bool has_header(const char *name)
{
	for (size_t i = 0; i < request.header_count; i++) {
		if (strncmp(request.headers[i], name, strlen(name)) == 0 && request.headers[i][strlen(name)] == ':')
			return true;
	}
	return false;
}

static void choose_posthog(void)
{
	config.format = "posthog";
	config.auth = (struct auth_config){.type = AUTH_BEARER, .token = "phc_key"};
}

/* The uuid was made with Python's hashlib and uuid. */
Test(analytics, posthog_captures_one_event)
{
	choose_posthog();
	cr_assert_eq(build(USER, login), 0);
	cr_assert_str_eq(request.method, "POST");
	check_body("{\"api_key\":\"phc_key\",\"uuid\":\"d6e60cf9-6e4f-8deb-916b-dde8571df5db\","
		   "\"event\":\"user.login\",\"distinct_id\":\"" USER "\","
		   "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"properties\":{\"method\":\"password\","
		   "\"request_id\":\"r-1\",\"$ip\":\"127.0.0.1\",\"$raw_user_agent\":\"curl/7.88.1\"}}");
	cr_assert_null(strstr(request.body.data, "alice"));
}

Test(analytics, posthog_has_the_key_in_the_body_alone)
{
	choose_posthog();
	cr_assert_eq(build(USER, login), 0);
	cr_assert(has_header("Idempotency-Key"));
	cr_assert_not(has_header("Authorization"));
	request_release(&request);
	config.format = "segment";
	cr_assert_eq(build(USER, login), 0);
	cr_assert(has_header("Authorization"));
}

Test(analytics, posthog_makes_no_person_of_nobody)
{
	choose_posthog();
	cr_assert_eq(build("", "{\"size\":3}"), 0);
	check_body("{\"api_key\":\"phc_key\",\"uuid\":\"d6e60cf9-6e4f-8deb-916b-dde8571df5db\","
		   "\"event\":\"user.login\",\"distinct_id\":\"" EVENT "\","
		   "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"properties\":{\"size\":3,"
		   "\"$process_person_profile\":false}}");
}

Test(analytics, posthog_without_a_key_is_told_at_start)
{
	struct buf text;

	choose_posthog();
	buf_init(&text, 1000);
	cr_assert_eq(effect_verify(&config, &text), 0);
	config.auth.token = NULL;
	cr_assert_eq(effect_verify(&config, &text), ERR_INVALID);
	config.auth = (struct auth_config){.type = AUTH_NONE};
	cr_assert_eq(effect_verify(&config, &text), ERR_INVALID);
	config.auth = (struct auth_config){.type = AUTH_BASIC, .username = "phc_key"};
	cr_assert_eq(effect_verify(&config, &text), ERR_INVALID);
	cr_assert_not_null(strstr(text.data, "API key"));
	config.format = "segment";
	cr_assert_eq(effect_verify(&config, &text), 0);
	buf_release(&text);
}

Test(analytics, json_carries_everything)
{
	config.format = "json";
	cr_assert_eq(build(USER, "{\"a\":[1,null,\"\\u00e4\"]}"), 0);
	check_body("{\"id\":\"" ID "\",\"event_id\":\"" EVENT "\",\"type\":\"user.login\",\"subject\":\"" USER "\","
		   "\"time\":\"2026-01-02T03:04:05.678Z\",\"data\":{\"a\":[1,null,\"\\u00e4\"]}}");
}

Test(analytics, json_of_an_event_about_nobody)
{
	config.format = "json";
	cr_assert_eq(build("", "{}"), 0);
	check_body("{\"id\":\"" ID "\",\"event_id\":\"" EVENT "\",\"type\":\"user.login\",\"subject\":null,"
		   "\"time\":\"2026-01-02T03:04:05.678Z\",\"data\":{}}");
}

Test(analytics, data_that_is_no_object_is_unbuildable)
{
	static const char *const bad[] = {"", "[]", "1", "{", "{\"a\":1,\"a\":2}", "{} {}"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = NULL;
		cr_assert_eq(build(USER, bad[i]), ERR_INVALID, "%s", bad[i]);
		cr_assert_str_eq(why, "the event's data is no JSON object");
	}
}

Test(analytics, a_body_beyond_the_bound)
{
	char *data = calloc(1, LIMIT_REQUEST_BODY + 16);

	cr_assert_not_null(data);
	memcpy(data, "{\"a\":\"", 6);
	memset(data + 6, 'x', LIMIT_REQUEST_BODY);
	memcpy(data + 6 + LIMIT_REQUEST_BODY, "\"}", 2);
	cr_assert_eq(build(USER, data), ERR_LIMIT);
	free(data);
}

Test(analytics, the_standard_verdict)
{
	struct reply reply = {.status = 200, .retry_after_ms = -1, .body = "{\"success\":true}", .body_len = 16};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.kind, VERDICT_OK);
	reply.status = 400;
	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.kind, VERDICT_DEAD);
}
