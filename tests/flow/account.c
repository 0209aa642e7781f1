/* Accounts over time and under company: disabled, hashed anew, many at once. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/jws.h"
#include "tests/support/scene.h"

#define CONFIG "{\"password\": {\"memory_kib\": 8, \"passes\": 1}}"

enum { CROWD = 50, SHED_THREADS = 24 };

TestSuite(account, .timeout = 60);

static int me_status(const struct server *server, const struct api_login *login)
{
	struct http_reply reply;
	int status;

	api_get(server, "/me", login->authorization, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

Test(account, disabled_its_sessions_end_at_once)
{
	static const char *const disable[] = {"user", "disable", "alice", NULL};
	struct server *server = scene_server(CONFIG, NULL);
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	cr_assert_eq(me_status(server, &login), 200);
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	cr_assert_eq(me_status(server, &login), 401);
	cr_assert_eq(api_login(server, "alice", SCENE_PASSWORD).status, 401);
	server_free(server);
}

Test(account, added_while_the_server_runs_it_may_log_in)
{
	struct server *server = scene_server(CONFIG, NULL);

	cr_assert_eq(api_login(server, "bob", "bob's own").status, 401);
	server_add_user(server, "bob", NULL, "bob's own", false);
	cr_assert_eq(api_login(server, "bob", "bob's own").status, 200);
	server_free(server);
}

Test(account, a_session_outlives_a_restart)
{
	struct server *server = scene_server(CONFIG, NULL);
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	cr_assert_eq(server_stop(server), 0);
	server_restart(server, NULL);
	cr_assert_eq(me_status(server, &login), 200);
	server_free(server);
}

static char *stored_hash(const struct server *server)
{
	return scene_query(server, "SELECT password FROM users WHERE username = 'alice'");
}

static bool hash_has(const struct server *server, const char *parameters)
{
	char *hash = stored_hash(server);
	bool has = strstr(hash, parameters) != NULL;

	free(hash);
	return has;
}

static bool hash_wait(const struct server *server, const char *parameters)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;

	while (!hash_has(server, parameters)) {
		if (harness_mono_us() >= until_us)
			return false;
		harness_sleep_ms(5);
	}
	return true;
}

Test(account, a_hash_of_old_parameters_is_replaced_by_a_login)
{
	static const char *const stronger[] = {"password.memory_kib=64", "password.passes=2", NULL};
	struct server *server = scene_server(CONFIG, NULL);
	char *upgraded;
	char *later;

	cr_assert(hash_has(server, "m=8,t=1,"));
	cr_assert_eq(server_stop(server), 0);
	server_restart(server, &(struct server_options){.config = CONFIG, .settings = stronger});
	cr_assert_eq(api_login(server, "alice", "wrong").status, 401);
	cr_assert(hash_has(server, "m=8,t=1,"), "a wrong password has changed the hash");
	cr_assert_eq(api_login(server, "alice", SCENE_PASSWORD).status, 200);
	cr_assert(hash_wait(server, "m=64,t=2,"));
	upgraded = stored_hash(server);
	cr_assert_eq(api_login(server, "alice", SCENE_PASSWORD).status, 200);
	cr_assert_eq(api_login(server, "alice", "wrong").status, 401);
	cr_assert_eq(server_stop(server), 0); /* so that a rehash that should not be would have ended */
	later = stored_hash(server);
	cr_assert_str_eq(later, upgraded);
	free(upgraded);
	free(later);
	server_free(server);
}

/* A rehash ends no session, the one that caused it least of all. */
Test(account, a_replaced_hash_leaves_sessions_alone)
{
	static const char *const stronger[] = {"password.memory_kib=16", NULL};
	struct server *server = scene_server(CONFIG, NULL);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD);
	struct api_login causing;

	cr_assert_eq(server_stop(server), 0);
	server_restart(server, &(struct server_options){.config = CONFIG, .settings = stronger});
	causing = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert(hash_wait(server, "m=16,"));
	cr_assert_eq(me_status(server, &before), 200);
	cr_assert_eq(me_status(server, &causing), 200);
	server_free(server);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void distinct_check(const char *what, char *texts[CROWD])
{
	qsort(texts, CROWD, sizeof(texts[0]), compare);
	for (size_t i = 0; i < CROWD; i++) {
		cr_assert_str_neq(texts[i], "", "%s is missing", what);
		cr_assert(i == 0 || strcmp(texts[i - 1], texts[i]) != 0, "%s %s is not unique", what, texts[i]);
	}
	for (size_t i = 0; i < CROWD; i++)
		free(texts[i]);
}

Test(account, a_crowd_of_two_users_gets_sessions_of_its_own)
{
	static const char *const names[] = {"alice", "bob", NULL};
	struct server *server = scene_server(CONFIG, NULL);
	char *token_ids[CROWD], *sessions[CROWD], *events[CROWD], *refresh_tokens[CROWD];
	struct crowd *crowd;

	server_add_user(server, "bob", "bob@example.com", SCENE_PASSWORD, false);
	crowd = crowd_start(&(struct crowd_options){
		.server = server, .usernames = names, .password = SCENE_PASSWORD, .threads = CROWD, .each = 1});
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), CROWD);
	for (size_t i = 0; i < CROWD; i++) {
		const struct api_login *login = crowd_login(crowd, i);
		json_t *claims = jws_part(login->access_token, 1);

		token_ids[i] = strdup(scene_member(claims, "jti"));
		sessions[i] = strdup(scene_member(claims, "sid"));
		events[i] = strdup(login->event_id);
		refresh_tokens[i] = strdup(login->refresh_token);
		json_decref(claims);
	}
	distinct_check("jti", token_ids);
	distinct_check("sid", sessions);
	distinct_check("event_id", events);
	distinct_check("refresh_token", refresh_tokens);
	crowd_free(crowd);
	server_free(server);
}

/* One hash thread, one place to wait, hashes that take a while: most of a crowd is sent away, none is kept waiting. */
Test(account, overload_sheds_with_a_time_to_come_back)
{
	static const char *const settings[] = {
		"password.slots=1", "password.queue=1", "password.memory_kib=65536", NULL};
	static const char *const names[] = {"alice", NULL};
	struct server *server = scene_server(CONFIG, settings);
	struct crowd *crowd = crowd_start(&(struct crowd_options){
		.server = server, .usernames = names, .password = SCENE_PASSWORD, .threads = SHED_THREADS, .each = 1});

	crowd_join(crowd);
	cr_assert_geq(crowd_count_status(crowd, 200), 1);
	cr_assert_geq(crowd_count_status(crowd, 503), 1);
	cr_assert_eq(crowd_count_status(crowd, 200) + crowd_count_status(crowd, 503), SHED_THREADS);
	cr_assert_eq(metric_value(server, "tokenfirst_login_duration_seconds_count{outcome=\"shed\"}"),
		(double)crowd_count_status(crowd, 503));
	crowd_free(crowd);
	server_free(server);
}
