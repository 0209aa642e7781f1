#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define ID    EVENT "-crm"

static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){.name = "crm", .type = "crm"};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(crm, .init = setup, .fini = teardown);

static int build(const char *data)
{
	struct event *event = event_new(EVENT, "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", data, 7, "", 1767323045678);
	int err = effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why);

	event_unref(event);
	return err;
}

Test(crm, hubspot_upserts_one_contact_by_email)
{
	cr_assert_eq(build("{\"user\":{\"username\":\"alice\",\"email\":\"alice@example.com\"}}"), 0);
	cr_assert_str_eq(request.method, "POST");
	json_t *wanted = json_pack("{s:[{s:s, s:s, s:s, s:{s:s}}]}", "inputs", "id", "alice@example.com", "idProperty",
		"email", "objectWriteTraceId", ID, "properties", "email", "alice@example.com");
	json_t *body = json_loads(request.body.data, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(json_equal(body, wanted), "%s", request.body.data);
	json_decref(wanted);
	json_decref(body);
}

Test(crm, hubspot_without_an_address_is_skipped)
{
	cr_assert_eq(build("{\"user\":{\"username\":\"alice\",\"email\":null}}"), ERR_NOT_FOUND);
	cr_assert_eq(build("{\"user\":{\"username\":\"alice\",\"email\":\"\"}}"), ERR_NOT_FOUND);
	cr_assert_eq(build("{\"user\":{\"username\":\"alice\"}}"), ERR_NOT_FOUND);
	cr_assert_eq(build("{}"), ERR_NOT_FOUND);
}

Test(crm, json_needs_no_address)
{
	config.format = "json";
	cr_assert_eq(build("{\"user\":{\"email\":null}}"), 0);
	cr_assert_not_null(strstr(request.body.data, "\"data\":{\"user\":{\"email\":null}}"), "%s", request.body.data);
}

static struct verdict judge(int status, const char *body)
{
	const struct reply reply = {.status = status, .retry_after_ms = 3000, .body = body, .body_len = strlen(body)};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	return verdict;
}

Test(crm, a_207_is_read)
{
	cr_assert_eq(judge(207, "{\"status\":\"COMPLETE\",\"results\":[{}]}").kind, VERDICT_OK);
	cr_assert_eq(judge(207, "{\"status\":\"COMPLETE\",\"results\":[{}],\"errors\":[],\"numErrors\":0}").kind,
		VERDICT_OK);
	struct verdict verdict =
		judge(207, "{\"numErrors\":1,\"errors\":[{\"status\":\"error\",\"category\":\"VALIDATION_ERROR\","
			   "\"message\":\"Email is invalid\"}]}");
	cr_assert_eq(verdict.kind, VERDICT_DEAD);
	cr_assert_eq(verdict.outcome, OUTCOME_PERMANENT);
	cr_assert_str_eq(verdict.reason, "HTTP 207 VALIDATION_ERROR: Email is invalid");
}

Test(crm, a_207_of_what_may_pass_comes_again)
{
	static const char *const passing[] = {
		"{\"numErrors\":1,\"errors\":[{\"category\":\"RATE_LIMITS\",\"message\":\"later\"}]}",
		"{\"numErrors\":1,\"errors\":[{\"category\":\"INTERNAL_ERROR\"}]}",
		"{\"numErrors\":1,\"errors\":[{}]}",
		"{\"numErrors\":1,\"errors\":[null]}",
		"{\"numErrors\":1}",
		"not json",
		"[]",
		"",
	};

	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
		struct verdict verdict = judge(207, passing[i]);

		cr_assert_eq(verdict.kind, VERDICT_RETRY, "%s", passing[i]);
		cr_assert_eq(verdict.outcome, OUTCOME_RETRYABLE);
		cr_assert_eq(strncmp(verdict.reason, "HTTP 207", 8), 0);
	}
}

Test(crm, other_statuses_have_the_standard_verdict)
{
	cr_assert_eq(judge(200, "not json").kind, VERDICT_OK);
	cr_assert_eq(judge(401, "").kind, VERDICT_TARGET);
	cr_assert_eq(judge(429, "").retry_after_ms, 3000);
}

Test(crm, a_207_is_nothing_special_in_json)
{
	config.format = "json";
	cr_assert_eq(judge(207, "not json").kind, VERDICT_OK);
}

Test(crm, a_207_that_was_cut_off_is_judged_by_its_transport)
{
	const struct reply reply = {.transport = TRANSPORT_TIMEOUT, .status = 207, .retry_after_ms = -1, .body = ""};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.outcome, OUTCOME_TIMEOUT);
}
