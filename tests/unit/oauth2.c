#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/oauth2.h"

static struct auth_config auth;
static struct request request;
static struct verdict verdict;
static char *token;
static int64_t ttl_ms;

static void setup(void)
{
	auth = (struct auth_config){
		.type = AUTH_OAUTH2, .token_url = "https://id.example/token", .client_id = "me", .client_secret = "s"};
	request_init(&request);
	verdict = (struct verdict){.kind = VERDICT_OK};
	token = NULL;
	ttl_ms = -1;
}

static void teardown(void)
{
	request_release(&request);
	free(token);
}

TestSuite(oauth2, .init = setup, .fini = teardown);

static const char *header(const char *name)
{
	for (size_t i = 0; i < request.header_count; i++) {
		if (strncmp(request.headers[i], name, strlen(name)) == 0 && request.headers[i][strlen(name)] == ':')
			return request.headers[i] + strlen(name) + 2;
	}
	return "";
}

Test(oauth2, the_request)
{
	cr_assert_eq(oauth2_request(&auth, &request), 0);
	cr_assert_str_eq(request.method, "POST");
	cr_assert_str_eq(request.url, "https://id.example/token");
	cr_assert_str_eq(request.body.data, "grant_type=client_credentials");
	cr_assert_str_eq(header("Content-Type"), "application/x-www-form-urlencoded");
	cr_assert_str_eq(header("Accept"), "application/json");
	cr_assert_str_eq(header("Authorization"), "Basic bWU6cw=="); /* me:s */
}

Test(oauth2, values_are_encoded_as_in_a_form)
{
	auth.client_id = "a:b c";
	auth.client_secret = "s&+%";
	auth.scope = "api refresh+token";
	cr_assert_eq(oauth2_request(&auth, &request), 0);
	/* a%3Ab%20c:s%26%2B%25 */
	cr_assert_str_eq(header("Authorization"), "Basic YSUzQWIlMjBjOnMlMjYlMkIlMjU=");
	cr_assert_str_eq(request.body.data, "grant_type=client_credentials&scope=api%20refresh%2Btoken");
}

Test(oauth2, an_empty_secret_is_one)
{
	auth.client_secret = "";
	cr_assert_eq(oauth2_request(&auth, &request), 0);
	cr_assert_str_eq(header("Authorization"), "Basic bWU6");
}

Test(oauth2, what_is_missing)
{
	auth.client_id = NULL;
	cr_assert_eq(oauth2_request(&auth, &request), ERR_INVALID);
	auth.client_id = "";
	cr_assert_eq(oauth2_request(&auth, &request), ERR_INVALID);
	setup();
	auth.client_secret = NULL;
	cr_assert_eq(oauth2_request(&auth, &request), ERR_INVALID);
	setup();
	auth.token_url = NULL;
	cr_assert_eq(oauth2_request(&auth, &request), ERR_INVALID);
}

Test(oauth2, it_is_verified_at_start)
{
	struct effect_config config = {.name = "crm", .type = "crm", .format = "json", .auth = auth};
	struct buf why;

	buf_init(&why, 1000);
	cr_assert_eq(effect_verify(&config, &why), 0);
	config.auth.client_secret = NULL;
	cr_assert_eq(effect_verify(&config, &why), ERR_INVALID);
	cr_assert_not_null(strstr(why.data, "auth"));
	buf_release(&why);
}

static bool take(int status, const char *body)
{
	const struct reply reply = {.status = status, .retry_after_ms = -1, .body = body, .body_len = strlen(body)};

	free(token);
	token = NULL;
	ttl_ms = -1;
	return oauth2_reply(&reply, &token, &ttl_ms, &verdict);
}

Test(oauth2, a_token)
{
	cr_assert(take(200, "{\"access_token\":\"00Dx!AQ0.t\",\"token_type\":\"Bearer\",\"expires_in\":3600}"));
	cr_assert_str_eq(token, "00Dx!AQ0.t");
	cr_assert_eq(ttl_ms, 3600 * 1000);
	cr_assert(take(200, "{\"access_token\":\"t\",\"token_type\":\"bEARER\",\"instance_url\":\"https://x\"}"));
	cr_assert_eq(ttl_ms, LIMIT_TOKEN_TTL_MS);
	cr_assert(take(200, "{\"access_token\":\"t\"}"));
}

Test(oauth2, lifetimes)
{
	static const struct {
		const char *text;
		int64_t ttl_ms;
	} rows[] = {
		{"1", 1000},
		{"\"3600\"", 3600 * 1000},
		{"59.5", 59 * 1000},
		{"0", LIMIT_TOKEN_TTL_MS},
		{"-5", LIMIT_TOKEN_TTL_MS},
		{"null", LIMIT_TOKEN_TTL_MS},
		{"\"soon\"", LIMIT_TOKEN_TTL_MS},
		{"[]", LIMIT_TOKEN_TTL_MS},
		{"9223372036854775807", 366LL * 86400 * 1000},
		{"\"99999999999999999999999\"", 366LL * 86400 * 1000},
		{"1e300", LIMIT_TOKEN_TTL_MS},
		{"-1e300", LIMIT_TOKEN_TTL_MS},
	};
	char body[200];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(body, sizeof body, "{\"access_token\":\"t\",\"token_type\":\"bearer\",\"expires_in\":%s}",
			rows[i].text);
		cr_assert(take(200, body), "%s", body);
		cr_assert_eq(ttl_ms, rows[i].ttl_ms, "%s: %lld", body, (long long)ttl_ms);
	}
}

Test(oauth2, a_reply_without_a_usable_token_condemns_the_target)
{
	static const char *const odd[] = {"", "{}", "[]", "<html>", "{\"access_token\":\"\"}", "{\"access_token\":7}",
		"{\"access_token\":\"a b\"}", "{\"access_token\":\"a\\r\\nX-Evil: 1\"}",
		"{\"access_token\":\"\\u00e4\"}", "{\"access_token\":\"t\",\"token_type\":\"mac\"}",
		"{\"access_token\":\"a\\u007f\"}", "{\"access_token\":\"t\",\"access_token\":\"u\"}"};

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		cr_assert_not(take(200, odd[i]), "%s", odd[i]);
		cr_assert_null(token);
		cr_assert_eq(verdict.kind, VERDICT_TARGET);
		cr_assert_eq(strncmp(verdict.reason, "token endpoint: HTTP 200 with", 29), 0, "%s", verdict.reason);
	}
}

Test(oauth2, a_token_of_any_length_that_a_header_may_hold)
{
	char *body = malloc(LIMIT_CONFIG_TEXT + 100);

	cr_assert_not_null(body);
	for (int more = 0; more < 2; more++) {
		const int begun = sprintf(body, "{\"access_token\":\"");

		memset(body + begun, 'x', (size_t)LIMIT_CONFIG_TEXT + (size_t)more);
		memcpy(body + begun + LIMIT_CONFIG_TEXT + more, "\"}", 3);
		cr_assert_eq(take(200, body), more == 0);
	}
	free(body);
}

static enum verdict_kind refused(int status, const char *body)
{
	cr_assert_not(take(status, body));
	cr_assert_null(token);
	return verdict.kind;
}

Test(oauth2, who_is_refused_is_the_target)
{
	cr_assert_eq(refused(401, "{\"error\":\"invalid_client\"}"), VERDICT_TARGET);
	cr_assert_str_eq(verdict.reason, "token endpoint: HTTP 401 invalid_client");
	cr_assert_eq(refused(400, "{\"error\":\"invalid_scope\"}"), VERDICT_TARGET);
	cr_assert_str_eq(verdict.reason, "token endpoint: HTTP 400 invalid_scope");
	cr_assert_eq(refused(400, ""), VERDICT_TARGET);
	cr_assert_str_eq(verdict.reason, "token endpoint: HTTP 400");
	cr_assert_eq(refused(404, "<html>"), VERDICT_TARGET);
	cr_assert_eq(refused(410, ""), VERDICT_TARGET);
	cr_assert_eq(refused(302, ""), VERDICT_TARGET);
}

Test(oauth2, what_may_pass_is_tried_again)
{
	cr_assert_eq(refused(500, ""), VERDICT_RETRY);
	cr_assert_str_eq(verdict.reason, "token endpoint: HTTP 500");
	cr_assert_eq(refused(503, "{\"error\":\"temporarily_unavailable\"}"), VERDICT_RETRY);
	cr_assert_eq(refused(400, "{\"error\":\"temporarily_unavailable\"}"), VERDICT_RETRY);
	cr_assert_eq(refused(429, ""), VERDICT_RETRY);
	cr_assert_eq(refused(100, ""), VERDICT_RETRY);
}

Test(oauth2, retry_after_is_kept)
{
	const struct reply reply = {.status = 429, .retry_after_ms = 7000, .body = ""};

	cr_assert_not(oauth2_reply(&reply, &token, &ttl_ms, &verdict));
	cr_assert_eq(verdict.retry_after_ms, 7000);
}

Test(oauth2, transports)
{
	static const struct {
		enum transport transport;
		enum verdict_kind kind;
		enum outcome outcome;
	} rows[] = {
		{TRANSPORT_TIMEOUT, VERDICT_RETRY, OUTCOME_TIMEOUT},
		{TRANSPORT_CONNECT, VERDICT_RETRY, OUTCOME_CONNECT},
		{TRANSPORT_DNS, VERDICT_RETRY, OUTCOME_DNS},
		{TRANSPORT_CERTIFICATE, VERDICT_TARGET, OUTCOME_TLS},
		{TRANSPORT_TOO_LARGE, VERDICT_TARGET, OUTCOME_RETRYABLE},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* a status without the rest of the reply says nothing, whatever was read of it */
		const struct reply reply = {.transport = rows[i].transport,
			.status = 200,
			.retry_after_ms = -1,
			.body = "{\"access_token\":\"t\"}",
			.body_len = 20};

		cr_assert_not(oauth2_reply(&reply, &token, &ttl_ms, &verdict));
		cr_assert_eq(verdict.kind, rows[i].kind);
		cr_assert_eq(verdict.outcome, rows[i].outcome);
		cr_assert_eq(strncmp(verdict.reason, "token endpoint: ", 16), 0);
	}
}
