#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define USER  "01BX5ZZKBKACTAV9WEVGEMMVRZ"
#define ID    EVENT "-bus"

static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){.name = "bus", .type = "bus"};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(bus, .init = setup, .fini = teardown);

static int build(const char *type, const char *subject, const char *data)
{
	struct event *event = event_new(EVENT, type, subject, data, 7, "", 1767323045678);
	int err = effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why);

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

Test(bus, cloudevents_in_binary_mode_is_the_default)
{
	cr_assert_eq(build("user.login", USER, "{\"a\":1}"), 0);
	cr_assert_str_eq(request.method, "POST");
	cr_assert_str_eq(header("ce-specversion"), "1.0");
	cr_assert_str_eq(header("ce-id"), EVENT);
	cr_assert_str_eq(header("ce-source"), "/tokenfirst");
	cr_assert_str_eq(header("ce-type"), "user.login");
	cr_assert_str_eq(header("ce-subject"), USER);
	cr_assert_str_eq(header("ce-time"), "2026-01-02T03:04:05.678Z");
	cr_assert_str_eq(header("Content-Type"), "application/json");
	cr_assert_str_eq(request.body.data, "{\"a\":1}");
}

Test(bus, an_empty_subject_is_left_out)
{
	cr_assert_eq(build("user.login", "", "{}"), 0);
	cr_assert_str_eq(header("ce-subject"), "");
	for (size_t i = 0; i < request.header_count; i++)
		cr_assert_neq(strncmp(request.headers[i], "ce-subject", 10), 0);
}

Test(bus, attributes_are_percent_encoded_as_the_binding_says)
{
	/* the examples of the binding: "Euro € 😀" */
	cr_assert_eq(build("a b\"c%d", "Euro \xe2\x82\xac \xf0\x9f\x98\x80", "{}"), 0);
	cr_assert_str_eq(header("ce-subject"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
	cr_assert_str_eq(header("ce-type"), "a%20b%22c%25d");
	request_release(&request);
	cr_assert_eq(build("user.login", "a\r\nX-Evil: 1\x7f!~/:", "{}"), 0);
	cr_assert_str_eq(header("ce-subject"), "a%0D%0AX-Evil:%201%7F!~/:");
}

Test(bus, cloudevents_data_must_be_json)
{
	cr_assert_eq(build("user.login", USER, "not json"), ERR_INVALID);
	cr_assert_not_null(why);
}

Test(bus, rabbitmq_publishes_the_envelope)
{
	const char *id, *type, *content_type, *key, *payload, *encoding;
	json_t *body, *envelope;
	int mode;

	config.format = "rabbitmq";
	cr_assert_eq(build("user.login", USER, "{\"name\":\"Zo\xc3\xab \\\"\"}"), 0);
	body = json_loads(request.body.data, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_eq(json_unpack_ex(body, NULL, JSON_STRICT, "{s:{s:s, s:i, s:s, s:s}, s:s, s:s, s:s}", "properties",
			     "message_id", &id, "delivery_mode", &mode, "content_type", &content_type, "type", &type,
			     "routing_key", &key, "payload", &payload, "payload_encoding", &encoding),
		0, "%s", request.body.data);
	cr_assert_str_eq(id, ID);
	cr_assert_eq(mode, 2);
	cr_assert_str_eq(content_type, "application/json");
	cr_assert_str_eq(type, "user.login");
	cr_assert_str_eq(key, "user.login");
	cr_assert_str_eq(encoding, "string");
	envelope = json_loads(payload, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(envelope, "id")), ID);
	cr_assert_str_eq(json_string_value(json_object_get(envelope, "event_id")), EVENT);
	cr_assert_str_eq(
		json_string_value(json_object_get(json_object_get(envelope, "data"), "name")), "Zo\xc3\xab \"");
	json_decref(envelope);
	json_decref(body);
}

Test(bus, json_is_the_envelope_alone)
{
	config.format = "json";
	cr_assert_eq(build("user.login", USER, "{\"a\":1}"), 0);
	cr_assert_eq(strncmp(request.body.data, "{\"id\":\"" ID "\"", 10), 0, "%s", request.body.data);
	cr_assert_str_eq(header("ce-id"), "");
}

/* Neither read nor written anew: numbers keep their digits, texts their escapes. */
Test(bus, data_is_passed_on_as_it_is)
{
	static const char data[] =
		"{\"n\":19.989999999999998,\"m\":1.0,\"big\":12345678901234567,\"t\":\"\\u00e4 \xc3\xab\"}";
	char *formats[] = {"cloudevents", "json"};

	for (size_t i = 0; i < 2; i++) {
		config.format = formats[i];
		cr_assert_eq(build("order.paid", "a \"quoted\" subject", data), 0);
		const char *found = strstr(request.body.data, data);
		cr_assert_not_null(found, "%s", request.body.data);
		json_t *body = json_loads(request.body.data, JSON_REJECT_DUPLICATES, NULL);
		cr_assert(json_is_object(body), "%s", request.body.data);
		json_decref(body);
		request_release(&request);
	}
}

Test(bus, data_that_is_cut_off_is_not_sent)
{
	static const char *const bad[] = {"", "{", "}", "{\"a\":1", "[1]", " {}", "null"};
	char *formats[] = {"cloudevents", "json", "rabbitmq"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		for (size_t j = 0; j < 3; j++) {
			config.format = formats[j];
			cr_assert_eq(build("order.paid", USER, bad[i]), ERR_INVALID, "%s", bad[i]);
			cr_assert_str_eq(why, "the event's data is no JSON object");
			request_release(&request);
		}
}

Test(bus, a_subject_that_is_no_utf8_is_unbuildable)
{
	config.format = "json";
	cr_assert_eq(build("order.paid", "\xff\xfe", "{}"), ERR_INVALID);
	cr_assert_str_eq(why, "the event holds text that is no UTF-8");
}

static struct verdict judge(int status, const char *body)
{
	const struct reply reply = {.status = status, .retry_after_ms = -1, .body = body, .body_len = strlen(body)};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	return verdict;
}

Test(bus, rabbitmq_says_whether_it_was_routed)
{
	config.format = "rabbitmq";
	cr_assert_eq(judge(200, "{\"routed\":true}").kind, VERDICT_OK);
	struct verdict verdict = judge(200, "{\"routed\":false}");
	cr_assert_eq(verdict.kind, VERDICT_RETRY);
	cr_assert_eq(verdict.outcome, OUTCOME_RETRYABLE);
	cr_assert_not_null(strstr(verdict.reason, "no queue"), "%s", verdict.reason);
}

Test(bus, rabbitmq_without_routed_is_no_success)
{
	static const char *const odd[] = {
		"", "{}", "[]", "<html>", "{\"routed\":\"true\"}", "{\"routed\":1}", "{\"routed\":null}"};

	config.format = "rabbitmq";
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		cr_assert_eq(judge(200, odd[i]).kind, VERDICT_RETRY, "%s", odd[i]);
		cr_assert_eq(judge(204, odd[i]).kind, VERDICT_RETRY, "%s", odd[i]);
	}
	cr_assert_eq(judge(404, "{\"routed\":true}").kind, VERDICT_TARGET);
	cr_assert_eq(judge(400, "").kind, VERDICT_DEAD);
}

Test(bus, the_others_go_by_the_status)
{
	cr_assert_eq(judge(200, "{\"routed\":false}").kind, VERDICT_OK);
	cr_assert_eq(judge(202, "").kind, VERDICT_OK);
	config.format = "json";
	cr_assert_eq(judge(200, "{\"routed\":false}").kind, VERDICT_OK);
}
