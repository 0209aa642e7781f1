/* POST /login over a real socket: what is answered to whom, and that nobody learns more than the answer says. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/scene.h"

#define CONFIG "{\"password\": {\"memory_kib\": 8, \"passes\": 1}}"
#define ALICE  "{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}"

static struct server *server;

static void setup(void)
{
	server = scene_server(CONFIG, NULL);
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(login, .init = setup, .fini = teardown, .timeout = 60);

static void post(const char *body, const char *header, struct http_reply *ret_reply)
{
	api_post(server, "/login", header, body, ret_reply);
}

static bool problem_is(const struct http_reply *reply, int status, const char *code)
{
	char type[HTTP_HEADER_MAX];
	char request_id[HTTP_HEADER_MAX];

	http_reply_header(reply, "X-Request-Id", request_id);
	return reply->status == status &&
	       strcmp(http_reply_header(reply, "Content-Type", type), "application/problem+json") == 0 &&
	       json_integer_value(http_reply_member(reply, "status")) == status &&
	       strcmp(http_reply_text(reply, "code"), code) == 0 && request_id[0] != '\0' &&
	       strcmp(http_reply_text(reply, "request_id"), request_id) == 0;
}

Test(login, answers_with_every_member_of_the_contract)
{
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	post(ALICE, "X-Request-Id: order-66.A_z", &reply);
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	cr_assert_str_eq(http_reply_header(&reply, "Content-Type", value), "application/json");
	cr_assert_str_eq(http_reply_header(&reply, "X-Request-Id", value), "order-66.A_z");
	cr_assert_str_eq(http_reply_header(&reply, "X-Event-Id", value), http_reply_text(&reply, "event_id"));
	cr_assert_eq(strlen(value), 26, "the event id %s is no ULID", value);
	cr_assert_gt(strlen(http_reply_text(&reply, "access_token")), 100);
	cr_assert_str_eq(http_reply_text(&reply, "token_type"), "Bearer");
	cr_assert_eq(json_integer_value(http_reply_member(&reply, "expires_in")), 15 * 60);
	cr_assert_gt(strlen(http_reply_text(&reply, "refresh_token")), 40);
	cr_assert_eq(json_integer_value(http_reply_member(&reply, "refresh_expires_in")), 30 * 86400);
	cr_assert_eq(strlen(http_reply_text(&reply, "user.id")), 26);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "alice");
	cr_assert_str_eq(http_reply_text(&reply, "user.email"), "alice@example.com");
	http_reply_release(&reply);
}

Test(login, a_malformed_request_id_is_replaced)
{
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	post(ALICE, "X-Request-Id: two words", &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(strlen(http_reply_header(&reply, "X-Request-Id", value)), 26, "%s", value);
	http_reply_release(&reply);
}

/* A token is not for a cache to keep (RFC 6749 5.1). */
Test(login, no_cache_keeps_a_token)
{
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	post(ALICE, NULL, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert(strstr(http_reply_header(&reply, "Cache-Control", value), "no-store") != NULL, "Cache-Control: %s",
		value);
	http_reply_release(&reply);
}

Test(login, by_email_in_any_case)
{
	struct http_reply reply;

	post("{\"email\": \"ALICE@Example.com\", \"password\": \"" SCENE_PASSWORD "\"}", NULL, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "alice");
	http_reply_release(&reply);
}

Test(login, a_user_without_email_has_null)
{
	struct http_reply reply;

	server_add_user(server, "carol", NULL, SCENE_PASSWORD, false);
	post("{\"username\": \"carol\", \"password\": \"" SCENE_PASSWORD "\"}", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert(json_is_null(http_reply_member(&reply, "user.email")), "%s", reply.body);
	http_reply_release(&reply);
}

/* The whole answer but for its Date, to be freed. */
static char *without_date(const struct http_reply *reply)
{
	const char *date = strstr(reply->head, "Date:");
	const char *rest = date == NULL ? "" : strchr(date, '\n');
	char *text = NULL;
	int before = date == NULL ? (int)strlen(reply->head) : (int)(date - reply->head);

	cr_assert_geq(asprintf(&text, "%.*s%s%s", before, reply->head, rest, reply->body), 0);
	return text;
}

static char *refusal(const char *body)
{
	struct http_reply reply;
	char *text;

	post(body, "X-Request-Id: the-same", &reply);
	cr_assert(problem_is(&reply, 401, "invalid_credentials"), "%s%s", reply.head, reply.body);
	text = without_date(&reply);
	http_reply_release(&reply);
	return text;
}

Test(login, unknown_wrong_and_disabled_are_told_the_same_to_the_byte)
{
	static const char *const disable[] = {"user", "disable", "bob", NULL};
	static const char *const bodies[] = {
		"{\"username\": \"nobody\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"email\": \"nobody@example.com\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"alice\", \"password\": \"wrong\"}",
		"{\"username\": \"bob\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"bob\", \"password\": \"wrong\"}",
	};
	char *first;

	server_add_user(server, "bob", "bob@example.com", SCENE_PASSWORD, false);
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	first = refusal(bodies[0]);
	for (size_t i = 1; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		char *text = refusal(bodies[i]);

		cr_assert_str_eq(text, first, "%s", bodies[i]);
		free(text);
	}
	free(first);
}

Test(login, what_is_no_login_is_400)
{
	static const char *const bodies[] = {
		"",
		"nonsense",
		"[]",
		"\"alice\"",
		"null",
		"{",
		"{}",
		ALICE "x",
		"{\"username\": \"alice\", \"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"alice\"}",
		"{\"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"alice\", \"email\": \"alice@example.com\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"alice\", \"password\": \"\"}",
		"{\"username\": \"alice\", \"password\": 7}",
		"{\"username\": [\"alice\"], \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"ali\\u0000ce\", \"password\": \"" SCENE_PASSWORD "\"}",
		"{\"username\": \"\xff\", \"password\": \"" SCENE_PASSWORD "\"}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct http_reply reply;

		post(bodies[i], NULL, &reply);
		cr_assert(problem_is(&reply, 400, "malformed_json") || problem_is(&reply, 400, "malformed"),
			"body %s is answered with %d %s", bodies[i], reply.status, reply.body);
		http_reply_release(&reply);
	}
	cr_assert_eq(metric_value(server, "tokenfirst_login_duration_seconds_count{outcome=\"malformed\"}"),
		(double)(sizeof(bodies) / sizeof(bodies[0])));
}

Test(login, a_password_beyond_the_limit_is_400)
{
	struct http_reply reply;
	char *body = NULL;

	cr_assert_geq(asprintf(&body, "{\"username\": \"alice\", \"password\": \"%01025d\"}", 7), 0);
	post(body, NULL, &reply);
	cr_assert(problem_is(&reply, 400, "malformed"), "%d %s", reply.status, reply.body);
	http_reply_release(&reply);
	free(body);
}

static int status_of(const char *method, const char *path, const char *header, const char *body)
{
	const char *const headers[] = {header, NULL};
	char url[SERVER_URL];
	struct http_reply reply;
	int status;

	http_do(
		&(struct http_call){
			.method = method, .url = server_url(server, path, url), .headers = headers, .body = body},
		&reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

Test(login, the_edge_refuses_what_is_not_for_it)
{
	char *large = NULL;
	char allow[HTTP_HEADER_MAX];
	struct http_reply reply;

	cr_assert_geq(asprintf(&large, "{\"username\": \"%020000d\"}", 7), 0);
	cr_assert_eq(status_of("POST", "/login", NULL, large), 413);
	cr_assert_eq(status_of("POST", "/login", "Content-Type: text/plain", ALICE), 415);
	cr_assert_eq(status_of("POST", "/login", "Content-Type: application/x-www-form-urlencoded", "a=b"), 415);
	cr_assert_eq(status_of("POST", "/login", "Transfer-Encoding: chunked", ALICE), 411);
	cr_assert_eq(status_of("POST", "/logins", NULL, ALICE), 404);
	cr_assert_eq(status_of("PUT", "/login", NULL, ALICE), 405);
	cr_assert_eq(status_of("GET", "/", NULL, NULL), 404);
	cr_assert_eq(status_of("POST", "/login", "Content-Type: application/json; charset=utf-8", ALICE), 200);
	api_get(server, "/login", NULL, &reply);
	cr_assert(problem_is(&reply, 405, "method_not_allowed"), "%s", reply.body);
	cr_assert_str_eq(http_reply_header(&reply, "Allow", allow), "POST, OPTIONS");
	http_reply_release(&reply);
	free(large);
}

Test(login, the_log_holds_no_secret)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	struct api_login refused = api_login(server, "alice", "a wrong secret");

	cr_assert_eq(login.status, 200);
	cr_assert_eq(refused.status, 401);
	cr_assert_eq(server_stop(server), 0);
	cr_assert_not(server_log_contains(server, SCENE_PASSWORD));
	cr_assert_not(server_log_contains(server, "a wrong secret"));
	cr_assert_not(server_log_contains(server, login.access_token));
	cr_assert_not(server_log_contains(server, login.refresh_token));
	cr_assert_not(server_log_contains(server, "$argon2id$"));
}

/* How often a text stands in the writable memory of the server. */
static size_t copies_in_memory(const char *text)
{
	enum { CHUNK = 1 << 20 };
	static char bytes[CHUNK];
	size_t copies = 0, len = strlen(text);
	char path[64], line[512];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)server_pid(server));
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)server_pid(server));
	FILE *maps = fopen(path, "re");
	cr_assert(memory >= 0 && maps);
	while (fgets(line, sizeof(line), maps)) {
		uint64_t from, to;
		char mode[5] = "";
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, mode) != 3 || strncmp(mode, "rw", 2) != 0)
			continue;
		/* chunks overlap by a text less one byte, so that none is missed and none counted twice */
		while (from < to) {
			size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
			ssize_t got = pread(memory, bytes, want, (off_t)from);
			if (got <= 0)
				break;
			const char *end = bytes + got;
			for (const char *at = bytes; (at = memmem(at, (size_t)(end - at), text, len)); at++)
				copies++;
			from += (size_t)got == want && want == CHUNK ? want - len + 1 : (size_t)got;
		}
	}
	(void)fclose(maps);
	close(memory);
	return copies;
}

Test(login, no_password_stays_in_memory)
{
	if (server_has_sanitizer(server))
		cr_skip_test("a sanitizer keeps freed memory");
	const char body[] = "{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}";
	struct http_reply reply;

	post(body, NULL, &reply);
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	http_reply_release(&reply);
	cr_expect_gt(copies_in_memory(server_config_file(server)), 0, "its command line is not found");
	cr_expect_eq(copies_in_memory(SCENE_PASSWORD), 0);
}
