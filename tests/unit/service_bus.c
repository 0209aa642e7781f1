#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define USER  "01BX5ZZKBKACTAV9WEVGEMMVRZ"
#define ID    EVENT "-bus"
#define NOW   1767323045678
#define KEY   "tZkUg3JERVurvDU8Ra+DUC7VTTAT6P3zi7xD8gALdXU="

static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){
		.name = "bus",
		.type = "bus",
		.format = "azure-service-bus",
		.url = "https://ns.servicebus.windows.net/logins/messages",
		.auth = {.type = AUTH_BASIC, .username = "send only", .password = KEY},
	};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(service_bus, .init = setup, .fini = teardown);

static int build_with(const char *token, int64_t now_ms)
{
	struct event *event = event_new(EVENT, "user.login", USER, "{\"a\":1}", 7, "", NOW);
	const struct effect_input input = {.event = event, .id = ID, .token = token, .now_ms = now_ms};

	request_release(&request);
	int err = effect_build(&config, &input, &request, &why);
	event_unref(event);
	return err;
}

/* The only one of its name, or "". */
static const char *header(const char *name)
{
	const char *value = "";

	for (size_t i = 0; i < request.header_count; i++) {
		if (strncmp(request.headers[i], name, strlen(name)) != 0 || request.headers[i][strlen(name)] != ':')
			continue;
		cr_assert_str_empty(value, "%s twice", name);
		value = request.headers[i] + strlen(name) + 2;
	}
	return value;
}

/* The expected text was made with Python's hmac, hashlib and urllib.parse.quote. */
Test(service_bus, a_signature_as_others_make_it)
{
	cr_assert_eq(build_with(NULL, NOW), 0);
	cr_assert_str_eq(header("Authorization"),
		"SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Flogins"
		"&sig=UZBovWWX8kF5RZS%2B1SQd1uojNu6V6RH5%2BzDrQiQFvEQ%3D&se=1767325200&skn=send%20only");
	cr_assert_null(strstr(header("Authorization"), "tZkU"));
}

Test(service_bus, a_query_is_no_part_of_what_is_signed_for)
{
	char first[400];

	cr_assert_eq(build_with(NULL, NOW), 0);
	snprintf(first, sizeof first, "%s", header("Authorization"));
	config.url = "https://ns.servicebus.windows.net/logins/messages?timeout=60";
	cr_assert_eq(build_with(NULL, NOW), 0);
	cr_assert_str_eq(header("Authorization"), first);
}

Test(service_bus, one_signature_for_a_window)
{
	const int64_t begin = 1767322800000, end = begin + 20 * 60 * 1000;
	char first[400];

	cr_assert_eq(build_with(NULL, begin), 0);
	snprintf(first, sizeof first, "%s", header("Authorization"));
	cr_assert_eq(build_with(NULL, end - 1), 0);
	cr_assert_str_eq(header("Authorization"), first);
	cr_assert_eq(build_with(NULL, end), 0);
	cr_assert_str_neq(header("Authorization"), first);
	cr_assert_not_null(strstr(header("Authorization"), "&se=1767326400&"));
}

Test(service_bus, the_message)
{
	json_t *properties, *body;

	cr_assert_eq(build_with(NULL, NOW), 0);
	cr_assert_str_eq(request.method, "POST");
	cr_assert_null(request.url);
	cr_assert_str_eq(header("Content-Type"), "application/json");
	properties = json_loads(header("BrokerProperties"), JSON_REJECT_DUPLICATES, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(properties, "MessageId")), ID);
	cr_assert_str_eq(json_string_value(json_object_get(properties, "Label")), "user.login");
	body = json_loads(request.body.data, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(body, "id")), ID);
	cr_assert_str_eq(json_string_value(json_object_get(body, "subject")), USER);
	json_decref(properties);
	json_decref(body);
}

Test(service_bus, properties_are_ascii)
{
	struct event *event = event_new(EVENT, "\xc3\xa4\r\n", USER, "{}", 7, "", NOW);

	cr_assert_eq(effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why), 0);
	cr_assert_not_null(strstr(header("BrokerProperties"), "\"\\u00E4\\r\\n\""), "%s", header("BrokerProperties"));
	event_unref(event);
}

Test(service_bus, bearer_tokens_are_sent_as_such)
{
	config.auth = (struct auth_config){.type = AUTH_BEARER, .token = "abc"};
	cr_assert_eq(build_with(NULL, NOW), 0);
	cr_assert_str_eq(header("Authorization"), "Bearer abc");
	config.auth = (struct auth_config){.type = AUTH_OAUTH2};
	cr_assert_eq(build_with("fetched", NOW), 0);
	cr_assert_str_eq(header("Authorization"), "Bearer fetched");
}

static bool verified(void)
{
	struct buf text;

	buf_init(&text, 1000);
	int err = effect_verify(&config, &text);
	cr_assert_eq(err != 0, text.len > 0);
	buf_release(&text);
	return err == 0;
}

Test(service_bus, what_is_told_at_start)
{
	cr_assert(verified());
	config.url = "https://ns.servicebus.windows.net/logins";
	cr_assert_not(verified());
	config.url = "https://ns.servicebus.windows.net/logins/messages?timeout=60";
	cr_assert(verified());
	config.auth.password = "";
	cr_assert_not(verified());
	config.auth.password = NULL;
	cr_assert_not(verified());
	cr_assert_eq(build_with(NULL, NOW), ERR_INVALID);
	config.auth = (struct auth_config){.type = AUTH_NONE};
	cr_assert_not(verified());
	config.auth = (struct auth_config){.type = AUTH_BEARER, .token = "abc"};
	cr_assert(verified());
}

static struct verdict judge(int status)
{
	const struct reply reply = {.status = status, .retry_after_ms = -1, .body = ""};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	return verdict;
}

Test(service_bus, verdicts)
{
	cr_assert_eq(judge(201).kind, VERDICT_OK);
	cr_assert_eq(judge(200).kind, VERDICT_RETRY);
	cr_assert_eq(judge(204).kind, VERDICT_RETRY);
	cr_assert_eq(judge(400).kind, VERDICT_DEAD);
	cr_assert_eq(judge(401).kind, VERDICT_TARGET);
	cr_assert_eq(judge(403).kind, VERDICT_TARGET);
	cr_assert_eq(judge(404).kind, VERDICT_TARGET);
	cr_assert_eq(judge(410).kind, VERDICT_TARGET);
	cr_assert_eq(judge(413).kind, VERDICT_DEAD);
	cr_assert_eq(judge(429).kind, VERDICT_RETRY);
	cr_assert_eq(judge(500).kind, VERDICT_RETRY);
	cr_assert_eq(judge(503).kind, VERDICT_RETRY);
	cr_assert_str_eq(judge(410).reason, "HTTP 410: no such queue or topic");
}

Test(service_bus, what_was_cut_off_is_judged_by_its_transport)
{
	const struct reply reply = {.transport = TRANSPORT_TIMEOUT, .status = 200, .retry_after_ms = -1, .body = ""};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.outcome, OUTCOME_TIMEOUT);
}
