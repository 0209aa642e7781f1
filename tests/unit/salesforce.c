#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define USER  "01BX5ZZKBKACTAV9WEVGEMMVRZ"
#define ID    EVENT "-crm"
#define FIELD "https://x.my.salesforce.com/services/data/v61.0/sobjects/Contact/External_Id__c"

static struct effect_config config;
static struct request request;
static const char *why;

static void setup(void)
{
	config = (struct effect_config){.name = "crm", .type = "crm", .format = "salesforce", .url = FIELD};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(salesforce, .init = setup, .fini = teardown);

static int build(const char *subject, const char *data)
{
	struct event *event = event_new(EVENT, "user.login", subject, data, 7, "", 1767323045678);

	request_release(&request);
	int err = effect_build(&config, &(struct effect_input){.event = event, .id = ID}, &request, &why);
	event_unref(event);
	return err;
}

Test(salesforce, upserts_by_external_id)
{
	cr_assert_eq(build(USER, "{\"user\":{\"username\":\"alice\",\"email\":\"alice@example.com\"}}"), 0);
	cr_assert_str_eq(request.method, "PATCH");
	cr_assert_str_eq(request.url, FIELD "/" USER);
	cr_assert_str_eq(request.body.data, "{\"Email\":\"alice@example.com\",\"LastName\":\"alice\"}");
}

Test(salesforce, what_is_not_known_is_left_out)
{
	cr_assert_eq(build(USER, "{\"user\":{\"username\":\"alice\",\"email\":null}}"), 0);
	cr_assert_str_eq(request.body.data, "{\"LastName\":\"alice\"}");
	cr_assert_eq(build(USER, "{}"), 0);
	cr_assert_str_eq(request.body.data, "{\"LastName\":\"" USER "\"}");
	cr_assert_eq(build("", "{}"), ERR_NOT_FOUND);
}

Test(salesforce, a_subject_stays_one_segment)
{
	cr_assert_eq(build("a/b c?d#e%\xc3\xa4", "{}"), 0);
	cr_assert_str_eq(request.url, FIELD "/a%2Fb%20c%3Fd%23e%25%C3%A4");
	cr_assert_eq(build("..", "{}"), ERR_INVALID);
	cr_assert_not_null(why);
	cr_assert_eq(build(".", "{}"), ERR_INVALID);
	cr_assert_eq(build("...", "{}"), 0);
}

Test(salesforce, the_configured_url_may_end_in_a_slash_or_have_a_query)
{
	config.url = FIELD "/";
	cr_assert_eq(build("u1", "{}"), 0);
	cr_assert_str_eq(request.url, FIELD "/u1");
	config.url = FIELD "?updateOnly=true";
	cr_assert_eq(build("u1", "{}"), 0);
	cr_assert_str_eq(request.url, FIELD "/u1?updateOnly=true");
}

static bool verified(const char *url)
{
	struct buf text;

	config.url = (char *)(uintptr_t)url;
	buf_init(&text, 1000);
	int err = effect_verify(&config, &text);
	cr_assert_eq(err != 0, text.len > 0);
	buf_release(&text);
	return err == 0;
}

Test(salesforce, a_url_without_object_and_field_is_told_at_start)
{
	cr_assert(verified(FIELD));
	cr_assert(verified(FIELD "/"));
	cr_assert(verified(FIELD "?updateOnly=true"));
	cr_assert_not(verified("https://x.my.salesforce.com"));
	cr_assert_not(verified("https://x.my.salesforce.com/services/data/v61.0/sobjects/Contact"));
	cr_assert_not(verified("https://x.my.salesforce.com/services/data/v61.0/sobjects/Contact/"));
	cr_assert_not(verified("https://x.my.salesforce.com/services/data/v61.0/sobjects//External_Id__c"));
}

static struct verdict judge(int status, const char *body)
{
	const struct reply reply = {.status = status, .retry_after_ms = 3000, .body = body, .body_len = strlen(body)};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	return verdict;
}

static struct verdict judge_code(int status, const char *code)
{
	char body[200];

	snprintf(body, sizeof body, "[{\"message\":\"why\",\"errorCode\":\"%s\",\"fields\":[]}]", code);
	return judge(status, body);
}

Test(salesforce, verdicts_by_status)
{
	cr_assert_eq(judge(200, "{\"id\":\"x\",\"success\":true,\"errors\":[],\"created\":false}").kind, VERDICT_OK);
	cr_assert_eq(judge(201, "{}").kind, VERDICT_OK);
	cr_assert_eq(judge(204, "").kind, VERDICT_OK);
	cr_assert_eq(judge(300, "[\"/services/…\"]").kind, VERDICT_DEAD);
	cr_assert_eq(judge(301, "").kind, VERDICT_TARGET);
	cr_assert_eq(judge(400, "no json").kind, VERDICT_DEAD);
	cr_assert_eq(judge(401, "").kind, VERDICT_TARGET);
	cr_assert_eq(judge(403, "").kind, VERDICT_TARGET);
	cr_assert_eq(judge(503, "").kind, VERDICT_RETRY);
	cr_assert_eq(judge(503, "").retry_after_ms, 3000);
}

Test(salesforce, verdicts_by_error_code)
{
	static const struct {
		int status;
		const char *code;
		enum verdict_kind kind;
	} rows[] = {
		{400, "REQUIRED_FIELD_MISSING", VERDICT_DEAD},
		{400, "INVALID_EMAIL_ADDRESS", VERDICT_DEAD},
		{400, "UNABLE_TO_LOCK_ROW", VERDICT_RETRY},
		{400, "QUERY_TIMEOUT", VERDICT_RETRY},
		{400, "INVALID_FIELD", VERDICT_TARGET},
		{400, "INVALID_TYPE", VERDICT_TARGET},
		{401, "INVALID_SESSION_ID", VERDICT_TARGET},
		{403, "REQUEST_LIMIT_EXCEEDED", VERDICT_RETRY},
		{403, "TXN_SECURITY_METERING_ERROR", VERDICT_RETRY},
		{403, "API_DISABLED_FOR_ORG", VERDICT_TARGET},
		{403, "STORAGE_LIMIT_EXCEEDED", VERDICT_TARGET},
		{403, "INSUFFICIENT_ACCESS", VERDICT_TARGET},
		{404, "NOT_FOUND", VERDICT_TARGET},
		{410, "SERVER_UNAVAILABLE", VERDICT_RETRY},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct verdict verdict = judge_code(rows[i].status, rows[i].code);

		cr_assert_eq(verdict.kind, rows[i].kind, "%s", rows[i].code);
		cr_assert_not_null(strstr(verdict.reason, rows[i].code), "%s", verdict.reason);
		cr_assert_eq(verdict.pauses_target, verdict.kind == VERDICT_RETRY, "%s", rows[i].code);
		cr_assert_eq(verdict.retry_after_ms, verdict.kind == VERDICT_DEAD ? -1 : 3000, "%s", rows[i].code);
	}
	cr_assert_str_eq(judge_code(403, "REQUEST_LIMIT_EXCEEDED").reason, "HTTP 403 REQUEST_LIMIT_EXCEEDED: why");
}

Test(salesforce, what_was_cut_off_is_judged_by_its_transport)
{
	const struct reply reply = {.transport = TRANSPORT_CONNECT, .status = 400, .retry_after_ms = -1, .body = ""};
	struct verdict verdict;

	effect_judge(&config, &reply, &verdict);
	cr_assert_eq(verdict.outcome, OUTCOME_CONNECT);
}
