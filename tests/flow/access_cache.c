/*
 * Whatever ends or changes what a token stands for is seen by the very next request with it: with the server's memory of
 * tokens warm, and without one.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <liboath/oath.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/harness.h"
#include "tests/support/refresh.h"
#include "tests/support/scene.h"

#define ASKER "Authorization: Bearer a-token-of-the-shop"
#define CONFIG                                                                                                         \
	"{\"services\":{\"shop\":{\"token\":\"a-token-of-the-shop\",\"types\":[\"order.*\"],\"introspect\":true}}}"
#define HITS "tokenfirst_token_cache_total{result=\"hit\"}"

enum { LIFE_S = 3, STEP_S = 30 };

static const char *const with[] = {"token.refresh_grace=0s", NULL};
static const char *const without[] = {"token.refresh_grace=0s", "token.cache=0", NULL};
static const char *const brief_with[] = {"token.access_ttl=3s", NULL};
static const char *const brief_without[] = {"token.access_ttl=3s", "token.cache=0", NULL};

TestSuite(access_cache, .timeout = 120);

static char *introspection(const struct server *server, const struct api_login *login)
{
	char *body = scene_text("{'token':'%s'}", login->access_token), *text;
	struct http_reply reply;

	api_post(server, "/introspect", ASKER, body, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	text = strdup(reply.body);
	http_reply_release(&reply);
	free(body);
	return text;
}

static bool active(const struct server *server, const struct api_login *login)
{
	char *text = introspection(server, login);
	bool yes = strcmp(text, "{\"active\":false}") != 0;

	free(text);
	return yes;
}

/* The status of GET /me, and its body in *ret_body if that is not NULL (free it). */
static int get_me(const struct server *server, const struct api_login *login, char **ret_body)
{
	struct http_reply reply;
	int status;

	api_get(server, "/me", login->authorization, &reply);
	status = reply.status;
	if (ret_body)
		*ret_body = strdup(reply.body);
	http_reply_release(&reply);
	return status;
}

/* Everything that a memory could hold of the token is in it, and is what the store says. */
static void warm(const struct server *server, const struct api_login *login)
{
	char *first, *again, *told, *told_again;

	cr_assert_eq(get_me(server, login, &first), 200);
	cr_assert_eq(get_me(server, login, &again), 200);
	told = introspection(server, login);
	told_again = introspection(server, login);
	cr_assert_str_eq(first, again);
	cr_assert_str_eq(told, told_again);
	cr_assert_not_null(strstr(told, "\"active\":true"));
	free(first);
	free(again);
	free(told);
	free(told_again);
}

static void expect_ended(const struct server *server, const struct api_login *login, const char *by)
{
	cr_expect_eq(get_me(server, login, NULL), 401, "%s", by);
	cr_expect_not(active(server, login), "%s", by);
}

static struct http_reply call(
	const struct server *server, const char *method, const char *path, const struct api_login *login, char *body)
{
	const char *const headers[] = {login->authorization, NULL};
	char url[SERVER_URL];
	struct http_reply reply;

	http_do(
		&(struct http_call){
			.method = method, .url = server_url(server, path, url), .headers = headers, .body = body},
		&reply);
	free(body);
	return reply;
}

static void expect_call(
	const struct server *server, const char *method, const char *path, const struct api_login *login, char *body)
{
	struct http_reply reply = call(server, method, path, login, body);

	cr_assert_eq(reply.status, 200, "%s %s: %d %s", method, path, reply.status, reply.body);
	http_reply_release(&reply);
}

static struct api_login log_in(const struct server *server, const char *name)
{
	struct api_login login = api_login(server, name, SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	warm(server, &login);
	return login;
}

/* The text of a member of GET /me; "" if there is none. */
static char *member_of_me(const struct server *server, const struct api_login *login, const char *member)
{
	char *body = NULL, *text;
	json_t *me;

	cr_assert_eq(get_me(server, login, &body), 200);
	me = json_loads(body, 0, NULL);
	text = json_dumps(json_object_get(me, member), JSON_ENCODE_ANY);
	json_decref(me);
	free(body);
	return text;
}

static void expect_member(const struct server *server, const struct api_login *login, const char *member,
	const char *expected, const char *when)
{
	char *text = member_of_me(server, login, member);

	cr_expect_str_eq(text, expected, "%s: %s is %s", when, member, text);
	free(text);
}

static void sessions_end(struct server *server)
{
	struct api_login first = log_in(server, "alice"), second = log_in(server, "alice"), third;
	struct refresh_reply reply;
	json_t *claims;
	char path[64];

	expect_call(server, "POST", "/logout", &first, NULL);
	expect_ended(server, &first, "a logout");
	cr_expect_eq(get_me(server, &second, NULL), 200, "it was another session's");

	third = log_in(server, "alice");
	claims = NULL;
	struct http_reply list = call(server, "GET", "/me/sessions", &third, NULL);
	cr_assert_eq(list.status, 200);
	claims = json_array_get(http_reply_member(&list, "sessions"), 1);
	(void)snprintf(path, sizeof(path), "/me/sessions/%s", scene_member(claims, "id"));
	http_reply_release(&list);
	expect_call(server, "DELETE", path, &third, NULL);
	expect_ended(server, &second, "a session ended from another one");

	reply = refresh_post(server, third.refresh_token);
	cr_assert_eq(reply.status, 200);
	refresh_reply_release(&reply);
	cr_expect_eq(get_me(server, &third, NULL), 200, "a refresh ends no access token");
	warm(server, &third);
	reply = refresh_post(server, third.refresh_token);
	cr_assert_eq(reply.status, 401);
	refresh_reply_release(&reply);
	expect_ended(server, &third, "a refresh token used twice");
}

static void accounts_change(struct server *server)
{
	static const char *const disable[] = {"user", "disable", "carol", NULL};
	static const char *const rename[] = {"user", "passwd", "dave", "--password-stdin", NULL};
	struct api_login here, there, root;
	char *body, path[64], *id;

	server_add_user(server, "carol", NULL, SCENE_PASSWORD, false);
	server_add_user(server, "dave", NULL, SCENE_PASSWORD, false);
	server_add_user(server, "erin", "erin@example.com", SCENE_PASSWORD, false);
	server_add_user(server, "root", NULL, SCENE_PASSWORD, true);
	here = log_in(server, "carol");
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	expect_ended(server, &here, "an account disabled");

	here = log_in(server, "dave");
	cr_assert_eq(server_command(server, rename, "another horse battery staple\n", NULL), 0);
	expect_ended(server, &here, "a password set by an operator");

	here = log_in(server, "alice");
	there = log_in(server, "alice");
	body = scene_text("{'current_password':'%s','new_password':'quite another horse'}", SCENE_PASSWORD);
	expect_call(server, "POST", "/password/change", &here, body);
	expect_ended(server, &there, "a password changed from another session");
	cr_expect_eq(get_me(server, &here, NULL), 200);

	here = log_in(server, "erin");
	root = log_in(server, "root");
	expect_member(server, &here, "email", "\"erin@example.com\"", "before");
	id = member_of_me(server, &here, "id");
	(void)snprintf(path, sizeof(path), "/admin/users/%.26s", id + 1);
	free(id);
	expect_call(server, "DELETE", path, &root, NULL);
	expect_ended(server, &here, "an account deleted");
	cr_expect_eq(get_me(server, &root, NULL), 200);
}

/* The code of an authenticator that was shown this secret. */
static void code_of(const char *secret, char code[8])
{
	char *bytes = NULL;
	size_t len = 0;

	/* not in the last moments of a step */
	while (time(NULL) % STEP_S >= STEP_S - 2)
		harness_sleep_ms(100);
	cr_assert_eq(oath_base32_decode(secret, strlen(secret), &bytes, &len), OATH_OK);
	cr_assert_eq(oath_totp_generate(bytes, len, time(NULL), STEP_S, 0, 6, code), OATH_OK);
	free(bytes);
}

static void second_factors_come_and_go(struct server *server)
{
	struct api_login login = log_in(server, "alice");
	struct http_reply reply =
		call(server, "POST", "/me/totp", &login, scene_text("{'password':'%s'}", SCENE_PASSWORD));
	char code[8], recovery[32];

	cr_assert_eq(reply.status, 200, "%s", reply.body);
	expect_member(server, &login, "totp", "false", "one that is not confirmed");
	code_of(http_reply_text(&reply, "secret"), code);
	http_reply_release(&reply);
	warm(server, &login);
	reply = call(server, "POST", "/me/totp/confirm", &login, scene_text("{'code':'%s'}", code));
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	expect_member(server, &login, "totp", "true", "confirmed");
	(void)snprintf(recovery, sizeof(recovery), "%s",
		json_string_value(json_array_get(http_reply_member(&reply, "recovery_codes"), 0)));
	http_reply_release(&reply);
	warm(server, &login);
	expect_call(server, "DELETE", "/me/totp", &login,
		scene_text("{'password':'%s','code':'%s'}", SCENE_PASSWORD, recovery));
	expect_member(server, &login, "totp", "false", "taken away");
}

static void a_leaked_key_is_gone(struct server *server)
{
	static const char *const leaked[] = {"keys", "rotate", "--leaked", NULL};
	struct api_login login = log_in(server, "alice");

	cr_assert_eq(server_command(server, leaked, NULL, NULL), 0);
	expect_ended(server, &login, "a key that leaked");
	(void)log_in(server, "alice");
}

static void tokens_expire(struct server *server)
{
	struct api_login login = log_in(server, "alice");

	harness_sleep_ms(LIFE_S * 1000);
	expect_ended(server, &login, "its time");
}

/* With a memory of tokens and without: `hits` says whether one was at work. */
static void both(void (*run)(struct server *server), const char *const *settings, const char *const *settings_without)
{
	struct server *server = scene_server(CONFIG, settings);

	run(server);
	cr_expect_geq(metric_value(server, HITS), 2, "an answer of each kind came from memory");
	server_free(server);
	server = scene_server(CONFIG, settings_without);
	run(server);
	cr_expect_eq(metric_value(server, HITS), 0);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_entries"), 0);
	server_free(server);
}

Test(access_cache, sees_sessions_end)
{
	both(sessions_end, with, without);
}

Test(access_cache, sees_accounts_change)
{
	both(accounts_change, with, without);
}

Test(access_cache, sees_second_factors_come_and_go)
{
	both(second_factors_come_and_go, with, without);
}

Test(access_cache, knows_no_token_of_a_leaked_key)
{
	both(a_leaked_key_is_gone, with, without);
}

Test(access_cache, knows_no_token_that_has_expired)
{
	both(tokens_expire, brief_with, brief_without);
}

/* What is answered at once is counted as every answer is, and HEAD has no body. */
Test(access_cache, shows_in_the_metrics)
{
	struct server *server = scene_server(CONFIG, with);
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	struct http_reply reply;

	for (int i = 0; i < 5; i++)
		cr_assert_eq(get_me(server, &login, NULL), 200);
	cr_expect_eq(metric_value(server, HITS), 4);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_total{result=\"miss\"}"), 1);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_total{result=\"stale\"}"), 0);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_evictions_total"), 0);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_entries"), 1);
	cr_expect_eq(metric_value(server, "tokenfirst_http_requests_total{route=\"/me\",status=\"200\"}"), 5);
	cr_expect_eq(metric_value(server, "tokenfirst_crew_wait_seconds_count{crew=\"other\"}"), 1,
		"only the first one went to a crew");
	free(introspection(server, &login));
	free(introspection(server, &login));
	free(introspection(server, &login));
	cr_expect_eq(metric_value(server, HITS), 4 + 2);
	cr_expect_eq(metric_value(server, "tokenfirst_token_cache_total{result=\"stale\"}"), 1,
		"the first one found the token, had no answer yet, and read the store");
	cr_expect_eq(metric_value(server, "tokenfirst_crew_wait_seconds_count{crew=\"other\"}"), 2);
	reply = call(server, "HEAD", "/me", &login, NULL);
	cr_expect_eq(reply.status, 200);
	cr_expect_eq(reply.body_len, 0);
	http_reply_release(&reply);
	server_free(server);
}

/* Who asks is looked at each time, at once as well. */
Test(access_cache, tells_no_stranger)
{
	static const char *const strangers[] = {
		NULL, "Authorization: Bearer wrong", "Authorization: Basic d3Jvbmc6d3Jvbmc="};
	struct server *server = scene_server(CONFIG, with);
	struct api_login login = log_in(server, "alice");
	char *body = scene_text("{'token':'%s'}", login.access_token);
	struct http_reply reply;

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		api_post(server, "/introspect", strangers[i], body, &reply);
		cr_expect_eq(reply.status, 401, "%zu: %d", i, reply.status);
		http_reply_release(&reply);
	}
	api_post(server, "/introspect", ASKER, "{\"token\":", &reply);
	cr_expect_eq(reply.status, 400);
	http_reply_release(&reply);
	free(body);
	server_free(server);
}

/* Wrong clients are throttled as if nothing were answered at once: the right one waits like them. */
Test(access_cache, does_not_get_around_the_throttle)
{
	static const char *const strict[] = {"throttle.address.burst=3", "throttle.address.per_minute=1", NULL};
	struct server *server = scene_server(
		"{\"throttle\":{\"exempt\":[\"10.9.9.9\"]},\"services\":{\"shop\":{\"token\":\"a-token-of-the-shop\","
		"\"types\":[\"order.*\"],\"introspect\":true}}}",
		strict);
	struct api_login login = log_in(server, "alice");
	char *body = scene_text("{'token':'%s'}", login.access_token);
	struct http_reply reply;

	for (int i = 0; i < 3; i++) {
		api_post(server, "/introspect", "Authorization: Bearer wrong", body, &reply);
		cr_expect_eq(reply.status, 401, "%d: %d", i, reply.status);
		http_reply_release(&reply);
	}
	api_post(server, "/introspect", ASKER, body, &reply);
	cr_expect_eq(reply.status, 429, "%d", reply.status);
	http_reply_release(&reply);
	free(body);
	server_free(server);
}
