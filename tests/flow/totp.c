/* The second factor over real sockets: enrolled, asked for, used once, recovered from, taken away. */
#include <criterion/criterion.h>
#include <liboath/oath.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"

#define CONFIG                                                                                                         \
	"{\"password\": {\"memory_kib\": 8, \"passes\": 1}, \"totp\": {\"issuer\": \"Example & Sons\"},"               \
	" \"public_url\": \"https://auth.example.com\"}"

enum { STEP_S = 30, CODES = 10, CODE = 8, TEXT = 256, CROWD = 16 };

static struct server *server;

/* What an authenticator has, and the person who holds it. */
struct owner {
	char authorization[API_TOKEN];
	char secret[TEXT]; /* base32, as shown */
	char recovery[CODES][32];
	int64_t last_step; /* whose code has been used */
};

static void setup(void)
{
	server = scene_server(CONFIG, NULL);
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(totp, .init = setup, .fini = teardown, .timeout = 60);

static int64_t step_of_now(void)
{
	return (int64_t)time(NULL) / STEP_S;
}

static void code_of(const char *secret, int64_t step, char code[CODE])
{
	char *bytes = NULL;
	size_t len = 0;

	cr_assert_eq(oath_base32_decode(secret, strlen(secret), &bytes, &len), OATH_OK);
	cr_assert_eq(len, 20);
	cr_assert_eq(oath_totp_generate(bytes, len, (time_t)(step * STEP_S), STEP_S, 0, 6, code), OATH_OK);
	free(bytes);
}

/* A code that counts now and has not been used: up to three of them without a wait, since clocks may differ by a step. */
static void next_code(struct owner *owner, char code[CODE])
{
	int64_t step = step_of_now() - 1;

	/* a step that ends while the request is under way must still be within the window */
	if (time(NULL) % STEP_S >= STEP_S - 4)
		step++;
	if (step <= owner->last_step)
		step = owner->last_step + 1;
	while (step > step_of_now() + 1)
		harness_sleep_ms(100);
	owner->last_step = step;
	code_of(owner->secret, step, code);
}

static void send_to(
	const char *method, const char *path, const char *authorization, struct http_reply *ret_reply, char *body)
{
	char url[SERVER_URL];
	const char *const headers[] = {authorization, NULL};

	http_do(
		&(struct http_call){
			.method = method, .url = server_url(server, path, url), .headers = headers, .body = body},
		ret_reply);
	free(body);
}

static bool problem(struct http_reply *reply, int status, const char *code)
{
	bool is = reply->status == status && strcmp(http_reply_text(reply, "code"), code) == 0;

	if (!is)
		fprintf(stderr, "wanted %d %s, got %d %s\n", status, code, reply->status, reply->body);
	http_reply_release(reply);
	return is;
}

static char *password_body(void)
{
	return scene_text("{'password':'%s'}", SCENE_PASSWORD);
}

/* Begins an enrolment; the secret is the owner's. */
static void enrol(struct owner *owner)
{
	struct http_reply reply;

	send_to("POST", "/me/totp", owner->authorization, &reply, password_body());
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	(void)snprintf(owner->secret, sizeof(owner->secret), "%s", http_reply_text(&reply, "secret"));
	http_reply_release(&reply);
}

static void confirm(struct owner *owner)
{
	char code[CODE];
	struct http_reply reply;
	json_t *codes;

	next_code(owner, code);
	send_to("POST", "/me/totp/confirm", owner->authorization, &reply, scene_text("{'code':'%s'}", code));
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	codes = http_reply_member(&reply, "recovery_codes");
	cr_assert_eq(json_array_size(codes), CODES);
	for (size_t i = 0; i < CODES; i++)
		(void)snprintf(owner->recovery[i], sizeof(owner->recovery[i]), "%s",
			json_string_value(json_array_get(codes, i)));
	cr_assert_eq(strlen(http_reply_text(&reply, "event_id")), 26);
	http_reply_release(&reply);
}

/* Alice, logged in, with a second factor in force. */
static void begin(struct owner *owner)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);

	memset(owner, 0, sizeof(*owner));
	cr_assert_eq(login.status, 200);
	(void)snprintf(owner->authorization, sizeof(owner->authorization), "%s", login.authorization);
	enrol(owner);
	confirm(owner);
}

static void first_step(char token[TEXT])
{
	struct http_reply reply;

	api_post(server, "/login", NULL, "{\"username\":\"alice\",\"password\":\"" SCENE_PASSWORD "\"}", &reply);
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	cr_assert(json_is_true(http_reply_member(&reply, "mfa_required")), "%s", reply.body);
	cr_assert_null(http_reply_member(&reply, "access_token"), "%s", reply.body);
	cr_assert_null(http_reply_member(&reply, "refresh_token"), "%s", reply.body);
	cr_assert_eq(json_integer_value(http_reply_member(&reply, "expires_in")), 300);
	(void)snprintf(token, TEXT, "%s", http_reply_text(&reply, "mfa_token"));
	http_reply_release(&reply);
}

static void second_step(const char *token, const char *code, struct http_reply *ret_reply)
{
	send_to("POST", "/login/totp", NULL, ret_reply, scene_text("{'mfa_token':'%s','code':'%s'}", token, code));
}

static bool second_step_is_refused(const char *token, const char *code, const char *why)
{
	struct http_reply reply;

	second_step(token, code, &reply);
	return problem(&reply, 401, why);
}

static bool second_step_passes(const char *token, const char *code)
{
	struct http_reply reply;
	bool passes;

	second_step(token, code, &reply);
	passes = reply.status == 200 && http_reply_text(&reply, "access_token")[0] != '\0';
	if (!passes)
		fprintf(stderr, "%d %s\n", reply.status, reply.body);
	http_reply_release(&reply);
	return passes;
}

static bool stored_is(const char *sql, const char *wanted)
{
	char *got = scene_query(server, sql);
	bool is = strcmp(got, wanted) == 0;

	if (!is)
		fprintf(stderr, "%s: wanted %s, got %s\n", sql, wanted, got);
	free(got);
	return is;
}

/* For what is written after the answer. */
static bool stored_becomes(const char *sql, const char *wanted)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	bool is = false;

	while (!is && harness_mono_us() < until_us) {
		char *got = scene_query(server, sql);

		is = strcmp(got, wanted) == 0;
		free(got);
		harness_sleep_ms(5);
	}
	return is;
}

static bool me_says(const char *authorization, bool totp)
{
	struct http_reply reply;
	bool says;

	api_get(server, "/me", authorization, &reply);
	says = reply.status == 200 && json_is_boolean(http_reply_member(&reply, "totp")) &&
	       json_is_true(http_reply_member(&reply, "totp")) == totp;
	http_reply_release(&reply);
	return says;
}

static char *both(const char *password, const char *code)
{
	return scene_text("{'password':'%s','code':'%s'}", password, code);
}

Test(totp, an_enrolment_asks_for_the_password_and_shows_a_key)
{
	struct owner owner = {.last_step = 0};
	struct http_reply reply;
	char *uri;

	send_to("POST", "/me/totp", NULL, &reply, password_body());
	cr_assert(problem(&reply, 401, "token_missing"));
	(void)snprintf(owner.authorization, sizeof(owner.authorization), "%s",
		api_login(server, "alice", SCENE_PASSWORD).authorization);
	send_to("POST", "/me/totp", owner.authorization, &reply, strdup("{}"));
	cr_assert(problem(&reply, 400, "malformed"));
	send_to("POST", "/me/totp", owner.authorization, &reply, strdup("{\"password\":\"a wrong password\"}"));
	cr_assert(problem(&reply, 403, "wrong_password"));
	cr_assert(stored_is("SELECT count(*) FROM totp", "0"));
	send_to("POST", "/me/totp", owner.authorization, &reply, password_body());
	cr_assert_eq(reply.status, 200);
	uri = scene_text("otpauth://totp/Example%%20%%26%%20Sons:alice?secret=%s&issuer=Example%%20%%26%%20Sons"
			 "&algorithm=SHA1&digits=6&period=30",
		http_reply_text(&reply, "secret"));
	cr_assert_eq(strlen(http_reply_text(&reply, "secret")), 32);
	cr_assert_str_eq(http_reply_text(&reply, "uri"), uri);
	cr_assert_not(server_log_contains(server, http_reply_text(&reply, "secret")));
	free(uri);
	http_reply_release(&reply);
}

Test(totp, nothing_is_asked_for_until_it_is_confirmed)
{
	struct owner owner = {.last_step = 0};
	struct http_reply reply;
	char code[CODE];

	(void)snprintf(owner.authorization, sizeof(owner.authorization), "%s",
		api_login(server, "alice", SCENE_PASSWORD).authorization);
	send_to("POST", "/me/totp/confirm", owner.authorization, &reply, strdup("{\"code\":\"123456\"}"));
	cr_assert(problem(&reply, 409, "totp_not_pending"));
	enrol(&owner);
	cr_assert(me_says(owner.authorization, false));
	cr_assert_eq(strlen(api_login(server, "alice", SCENE_PASSWORD).refresh_token), 64);
	code_of(owner.secret, step_of_now() - 10, code);
	send_to("POST", "/me/totp/confirm", owner.authorization, &reply, scene_text("{'code':'%s'}", code));
	cr_assert(problem(&reply, 403, "wrong_code"));
	send_to("POST", "/me/totp/confirm", owner.authorization, &reply, strdup("{\"code\":123456}"));
	cr_assert(problem(&reply, 400, "malformed"));
	send_to("DELETE", "/me/totp", owner.authorization, &reply, both(SCENE_PASSWORD, "000000"));
	cr_assert(problem(&reply, 409, "totp_not_active"));
	confirm(&owner);
	cr_assert(me_says(owner.authorization, true));
	send_to("POST", "/me/totp", owner.authorization, &reply, password_body());
	cr_assert(problem(&reply, 409, "totp_active"));
	send_to("POST", "/me/totp/confirm", owner.authorization, &reply, scene_text("{'code':'%s'}", code));
	cr_assert(problem(&reply, 409, "totp_active"));
}

Test(totp, a_confirmation_ends_all_other_sessions_and_is_told)
{
	struct api_login other = api_login(server, "alice", SCENE_PASSWORD);
	struct owner owner;
	struct http_reply reply;

	begin(&owner);
	cr_assert(me_says(owner.authorization, true));
	api_get(server, "/me", other.authorization, &reply);
	cr_assert(problem(&reply, 401, "invalid_token"));
	cr_assert(stored_is("SELECT credentials FROM users", "1"), "logins under way are void");
	cr_assert(stored_is("SELECT count(*) FROM events WHERE type = 'user.totp_enabled'", "1"));
	cr_assert(stored_is("SELECT count(*) FROM audit WHERE type = 'user.totp_enabled' AND user_id = 1 "
			    "AND session_id <> 0",
		"1"));
}

/* By a program that is not ours. */
Test(totp, a_code_of_oathtool_logs_in)
{
	char command[TEXT + 64], code[CODE] = "", token[TEXT];
	struct owner owner;
	struct http_reply reply;
	char value[HTTP_HEADER_MAX];
	FILE *tool;

	begin(&owner);
	first_step(token);
	(void)snprintf(command, sizeof(command), "oathtool --totp --base32 --now '@%lld' %s",
		(long long)(owner.last_step + 1) * STEP_S, owner.secret);
	tool = popen(command, "r");
	cr_assert_not_null(tool);
	cr_assert_not_null(fgets(code, sizeof(code), tool), "oathtool (Debian: oathtool) says nothing");
	cr_assert_eq(pclose(tool), 0);
	code[strcspn(code, "\n")] = '\0';
	second_step(token, code, &reply);
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "alice");
	cr_assert_str_eq(http_reply_header(&reply, "X-Event-Id", value), http_reply_text(&reply, "event_id"));
	cr_assert_eq(strlen(http_reply_text(&reply, "refresh_token")), 64);
	http_reply_release(&reply);
	cr_assert(stored_is(
		"SELECT data ->> '$.mfa' FROM events WHERE type = 'user.login' ORDER BY id DESC LIMIT 1", "totp"));
	cr_assert_not(server_log_contains(server, token));
	cr_assert_eq(metric_value(server, "tokenfirst_login_duration_seconds_count{outcome=\"second_factor\"}"), 1);
	cr_assert_eq(metric_value(server, "tokenfirst_login_duration_seconds_count{outcome=\"ok\"}"), 2);
}

Test(totp, the_token_between_the_steps_opens_nothing)
{
	char token[TEXT], authorization[TEXT + 32];
	struct owner owner;
	struct http_reply reply;

	begin(&owner);
	first_step(token);
	cr_assert(stored_is("SELECT count(*) FROM sessions", "1"));
	(void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", token);
	api_get(server, "/me", authorization, &reply);
	cr_assert(problem(&reply, 401, "invalid_token"));
}

Test(totp, a_code_logs_in_once_also_across_a_restart)
{
	char token[TEXT], code[CODE];
	struct owner owner;

	begin(&owner);
	code_of(owner.secret, owner.last_step, code);
	first_step(token);
	cr_assert(second_step_is_refused(token, code, "invalid_code"), "it has confirmed the secret");
	next_code(&owner, code);
	cr_assert(second_step_passes(token, code));
	cr_assert(second_step_is_refused(token, code, "invalid_code"));
	cr_assert_eq(server_stop(server), 0);
	server_restart(server, NULL);
	cr_assert(second_step_is_refused(token, code, "invalid_code"), "after a restart");
	/* the first token says still that the password was right; a code of its own is due for each login */
	next_code(&owner, code);
	cr_assert(second_step_passes(token, code));
}

struct attempt {
	pthread_t thread;
	const char *body;
	int status;
};

static void *try_it(void *arg)
{
	struct attempt *attempt = arg;
	struct http_reply reply;

	api_post(server, "/login/totp", NULL, attempt->body, &reply);
	attempt->status = reply.status;
	http_reply_release(&reply);
	return NULL;
}

/* How many of sixteen at once are let in. */
static int let_in_at_once(char *body)
{
	struct attempt attempts[CROWD];
	int passed = 0;

	for (size_t i = 0; i < CROWD; i++) {
		attempts[i] = (struct attempt){.body = body};
		cr_assert_eq(pthread_create(&attempts[i].thread, NULL, try_it, &attempts[i]), 0);
	}
	for (size_t i = 0; i < CROWD; i++) {
		cr_assert_eq(pthread_join(attempts[i].thread, NULL), 0);
		cr_expect(attempts[i].status == 200 || attempts[i].status == 401, "%d", attempts[i].status);
		passed += attempts[i].status == 200;
	}
	free(body);
	return passed;
}

Test(totp, of_sixteen_with_one_code_one_is_let_in)
{
	char token[TEXT], code[CODE];
	struct owner owner;

	begin(&owner);
	first_step(token);
	next_code(&owner, code);
	cr_assert_eq(let_in_at_once(scene_text("{'mfa_token':'%s','code':'%s'}", token, code)), 1);
	cr_assert_eq(let_in_at_once(scene_text("{'mfa_token':'%s','code':'%s'}", token, owner.recovery[3])), 1);
	cr_assert(stored_is("SELECT count(*) FROM sessions", "3"), "alice's first, and one by each code");
}

Test(totp, a_recovery_code_logs_in_once_and_its_use_is_told)
{
	char token[TEXT], *shouted;
	struct owner owner;

	begin(&owner);
	first_step(token);
	shouted = strdup(owner.recovery[0]);
	for (char *c = shouted; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	cr_assert(second_step_passes(token, shouted));
	free(shouted);
	cr_assert(second_step_is_refused(token, owner.recovery[0], "invalid_code"));
	cr_assert(stored_is("SELECT data ->> '$.mfa' FROM events WHERE type = 'user.login' ORDER BY id DESC LIMIT 1",
		"recovery_code"));
	cr_assert(stored_is("SELECT group_concat(data ->> '$.recovery_codes_left') FROM events "
			    "WHERE type = 'user.recovery_code_used'",
		"9"));
	cr_assert(stored_is("SELECT count(*) FROM audit WHERE type = 'user.recovery_code_used' AND user_id = 1", "1"));
	cr_assert(second_step_passes(token, owner.recovery[1]));
	for (size_t i = 0; i < CODES; i++)
		cr_assert_not(server_log_contains(server, owner.recovery[i]));
}

Test(totp, a_second_step_without_a_good_token_is_refused)
{
	char token[TEXT], code[CODE];
	struct owner owner;
	struct http_reply reply;

	begin(&owner);
	first_step(token);
	next_code(&owner, code);
	send_to("POST", "/login/totp", NULL, &reply, scene_text("{'mfa_token':'%s'}", token));
	cr_assert(problem(&reply, 400, "malformed"));
	send_to("POST", "/login/totp", NULL, &reply, scene_text("{'code':'%s'}", code));
	cr_assert(problem(&reply, 400, "malformed"));
	cr_assert(second_step_is_refused("", code, "invalid_mfa_token"));
	token[5] = (char)(token[5] == 'A' ? 'B' : 'A');
	cr_assert(second_step_is_refused(token, code, "invalid_mfa_token"));
	cr_assert(second_step_is_refused(token, "000000", "invalid_mfa_token"));
}

/* Whatever the code, so that nobody learns from it whether the code was right. */
Test(totp, a_password_set_between_the_steps_ends_the_login)
{
	static const char *const passwd[] = {"user", "passwd", "alice", "--password-stdin", NULL};
	char token[TEXT], code[CODE];
	struct owner owner;

	begin(&owner);
	first_step(token);
	cr_assert_eq(server_command(server, passwd, "another good pass phrase\n", NULL), 0);
	next_code(&owner, code);
	cr_assert(second_step_is_refused(token, code, "invalid_mfa_token"));
	cr_assert(second_step_is_refused(token, "000000", "invalid_mfa_token"));
	cr_assert(second_step_is_refused(token, owner.recovery[0], "invalid_mfa_token"));
}

Test(totp, an_account_disabled_between_the_steps_is_refused)
{
	static const char *const disable[] = {"user", "disable", "alice", NULL};
	char token[TEXT], code[CODE];
	struct owner owner;

	begin(&owner);
	first_step(token);
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	next_code(&owner, code);
	cr_assert(second_step_is_refused(token, code, "invalid_mfa_token"));
	cr_assert(stored_is("SELECT count(*) FROM sessions WHERE revoked_ms = 0", "0"));
}

static void require_reset(void)
{
	char path[SERVER_URL];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof(path), "%s/tokenfirst.db", server_folder(server));
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "UPDATE users SET must_reset = 1", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* It is told only to who has both factors. */
Test(totp, a_reset_that_is_due_is_told_after_the_code)
{
	char token[TEXT], code[CODE];
	struct owner owner;
	struct http_reply reply;

	begin(&owner);
	cr_assert_eq(server_stop(server), 0);
	require_reset();
	server_restart(server, NULL);
	first_step(token);
	next_code(&owner, code);
	cr_assert(second_step_is_refused(token, "000000", "invalid_code"));
	second_step(token, code, &reply);
	cr_assert(problem(&reply, 403, "password_reset_required"));
}

static void remove_it(const struct owner *owner, char *body, int status, const char *code)
{
	struct http_reply reply;

	send_to("DELETE", "/me/totp", owner->authorization, &reply, body);
	if (code) {
		cr_assert(problem(&reply, status, code));
		return;
	}
	cr_assert_eq(reply.status, status, "%d %s", reply.status, reply.body);
	http_reply_release(&reply);
}

Test(totp, is_taken_away_by_password_and_code_and_by_nothing_less)
{
	char code[CODE];
	struct owner owner;

	begin(&owner);
	remove_it(&owner, strdup("{}"), 400, "malformed");
	remove_it(&owner, password_body(), 400, "malformed");
	next_code(&owner, code);
	remove_it(&owner, scene_text("{'code':'%s'}", code), 400, "malformed");
	remove_it(&owner, both("a wrong password", code), 403, "wrong_password");
	remove_it(&owner, both(SCENE_PASSWORD, "000000"), 403, "wrong_code");
	cr_assert(me_says(owner.authorization, true));
	remove_it(&owner, both(SCENE_PASSWORD, code), 200, NULL);
	cr_assert(me_says(owner.authorization, false));
	cr_assert(stored_is("SELECT count(*) FROM events WHERE type = 'user.totp_disabled'", "1"));
	cr_assert(stored_is("SELECT (SELECT count(*) FROM totp) + (SELECT count(*) FROM recovery_codes)", "0"));
	owner.last_step = 0;
	enrol(&owner);
	confirm(&owner);
	remove_it(&owner, both(SCENE_PASSWORD, owner.recovery[9]), 200, NULL);
	cr_assert_eq(strlen(api_login(server, "alice", SCENE_PASSWORD).refresh_token), 64);
}

Test(totp, an_operator_takes_it_away)
{
	static const char *const words[] = {"user", "totp-remove", "alice", NULL};
	static const char *const nobody[] = {"user", "totp-remove", "nobody", NULL};
	char token[TEXT], code[CODE];
	struct owner owner;

	begin(&owner);
	first_step(token);
	cr_assert_eq(server_command(server, nobody, NULL, NULL), 1);
	cr_assert_eq(server_command(server, words, NULL, NULL), 0);
	next_code(&owner, code);
	cr_assert(second_step_is_refused(token, code, "invalid_code"));
	cr_assert_eq(strlen(api_login(server, "alice", SCENE_PASSWORD).refresh_token), 64);
	cr_assert(stored_is("SELECT count(*) FROM audit WHERE type = 'user.totp_disabled' AND actor <> 'user'", "1"));
	cr_assert_eq(server_stop(server), 0);
	cr_assert_eq(server_command(server, words, NULL, NULL), 0, "also while no server runs, and if there is none");
}

TestSuite(totp_scenes, .timeout = 60);

/* An inline effect that may refuse a login refuses its second step: the session is taken back, the code stays used. */
Test(totp_scenes, an_inline_effect_can_reject_the_second_step)
{
	struct peer_step steps[] = {{.status = 200}, {.status = 400}};
	char token[TEXT], code[CODE];
	struct owner owner;
	struct scene scene;
	struct http_reply reply;

	scene_set(&scene, steps, 2, "{'effects':{'bus':{'delivery':'inline', 'on_failure':'reject'}}}");
	server = scene.server;
	begin(&owner);
	first_step(token);
	next_code(&owner, code);
	second_step(token, code, &reply);
	cr_assert(problem(&reply, 502, "effect_failed"));
	cr_assert(stored_is("SELECT count(*) FROM sessions WHERE revoked_ms = 0", "1"));
	cr_assert(second_step_is_refused(token, code, "invalid_code"));
	scene_clear(&scene);
}

/* Wrong codes count towards the account's lock as wrong passwords do, and a right password alone takes nothing of that back. */
Test(totp_scenes, wrong_codes_lock_the_account)
{
	static const char *const passwd[] = {"user", "passwd", "alice", "--password-stdin", NULL};
	char token[TEXT], code[CODE];
	struct owner owner;

	server = scene_server(
		"{\"password\": {\"memory_kib\": 8, \"passes\": 1}, \"throttle\": {\"exempt\": [\"10.0.0.0/8\"],"
		" \"account\": {\"free\": 100, \"hard\": 3}, \"address\": {\"burst\": 1000}}}",
		NULL);
	begin(&owner);
	for (int i = 0; i < 3; i++) {
		first_step(token);
		cr_assert(second_step_is_refused(token, "000000", "invalid_code"));
	}
	cr_assert(stored_becomes("SELECT count(*) FROM users WHERE locked_ms <> 0", "1"));
	next_code(&owner, code);
	cr_assert(second_step_is_refused(token, code, "invalid_mfa_token"));
	cr_assert_eq(api_login(server, "alice", SCENE_PASSWORD).status, 401);
	cr_assert_eq(server_command(server, passwd, SCENE_PASSWORD "\n", NULL), 0);
	first_step(token);
	next_code(&owner, code);
	cr_assert(second_step_passes(token, code), "a new password opens it, and the second factor is the same");
	server_free(server);
}

/* Guesses at codes are limited by themselves, and the password does not help. The operator does. */
Test(totp_scenes, guesses_at_codes_are_throttled)
{
	static const char *const passwd[] = {"user", "passwd", "alice", "--password-stdin", NULL};
	static const char *const unlock[] = {"user", "unlock", "alice", NULL};
	char token[TEXT], code[CODE];
	struct owner owner;
	struct http_reply reply;

	server = scene_server(
		"{\"password\": {\"memory_kib\": 8, \"passes\": 1}, \"throttle\": {\"exempt\": [\"10.0.0.0/8\"],"
		" \"account\": {\"free\": 3, \"first\": \"1h\", \"cap\": \"1h\"}}}",
		NULL);
	begin(&owner);
	first_step(token);
	for (int i = 0; i < 3; i++) {
		cr_assert(second_step_is_refused(token, "000000", "invalid_code"));
		first_step(token);
	}
	second_step(token, "000000", &reply); /* the first that delays the next one, or is delayed */
	http_reply_release(&reply);
	next_code(&owner, code);
	second_step(token, code, &reply);
	cr_assert(problem(&reply, 429, "throttled"), "the right code, after too many wrong ones");
	cr_assert_eq(server_command(server, passwd, SCENE_PASSWORD "\n", NULL), 0);
	first_step(token);
	second_step(token, code, &reply);
	cr_assert(problem(&reply, 429, "throttled"), "a new password wins no guesses at codes");
	cr_assert_eq(server_command(server, unlock, NULL, NULL), 0);
	cr_assert(second_step_passes(token, code));
	server_free(server);
}
