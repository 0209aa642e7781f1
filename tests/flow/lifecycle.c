/* Starting, stopping and starting again: who owns the store, what a drain finishes, and what it keeps. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scene.h"

enum { DELAY_MS = 300, LOGINS = 20, AT_ONCE_MS = 3000 };

TestSuite(lifecycle, .timeout = 60);

static const char *const alice[] = {"alice", NULL};

/* Many at once, all answered with 200. */
static struct crowd *many_logins(const struct scene *scene, size_t count)
{
	struct crowd *crowd = crowd_start(&(struct crowd_options){
		.server = scene->server, .usernames = alice, .password = SCENE_PASSWORD, .threads = count, .each = 1});

	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), count);
	return crowd;
}

/* A member of the log line that ends a server. */
static json_int_t stopped(const struct scene *scene, const char *member)
{
	json_t *line = server_log_line(scene->server, "stopped");
	json_t *value = json_object_get(line, member);
	json_int_t count = json_integer_value(value);

	cr_assert(json_is_integer(value), "\"stopped\" does not say %s", member);
	json_decref(line);
	return count;
}

Test(lifecycle, a_second_server_on_the_same_store_is_refused)
{
	struct scene scene;
	struct program_result result;
	char url[SERVER_URL];
	struct api_login login;

	scene_set(&scene, NULL, 0, NULL);
	server_url(scene.server, "", url);
	{
		const char *const words[] = {"serve", "-c", server_config_file(scene.server), NULL};

		program_run(words, NULL, server_folder(scene.server), &result);
	}
	cr_assert_eq(result.exit_code, 1, "exit code %d", result.exit_code);
	cr_assert_not_null(strstr(result.err, "another running tokenfirst"), "%s", result.err);
	program_result_release(&result);
	/* and the first one has felt nothing of it */
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	server_add_user(scene.server, "bob", NULL, SCENE_PASSWORD, false);
	scene_clear(&scene);
}

/*
 * Tried again each second by a service manager, such a start would send everything each time, or use up its attempts.
 */
Test(lifecycle, a_start_that_fails_sends_nothing)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct program_result result;
	struct api_login login;
	char listen[SERVER_URL];

	scene_set(&scene, silent, 1, "{'background':{'drain':'20s'}, 'effects':{'bus':{'timeout':'30s'}}}");
	login = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	server_kill(scene.server);

	/* the peer's own port is a port in use */
	cr_assert_eq(sscanf(peer_url(scene.peer, "", (char[PEER_TEXT]){0}), "http://%500s", listen), 1);
	{
		char setting[SERVER_URL + 8];
		const char *const words[] = {"serve", "-c", server_config_file(scene.server), "--set", setting, NULL};

		snprintf(setting, sizeof(setting), "listen=%s", listen);
		int64_t began_us = harness_mono_us();
		program_run(words, NULL, server_folder(scene.server), &result);
		cr_expect_lt(harness_mono_us() - began_us, 10 * 1000 * 1000);
	}
	cr_assert_eq(result.exit_code, 1, "exit code %d", result.exit_code);
	cr_assert_not_null(strstr(result.err, "can't listen"), "%s", result.err);
	program_result_release(&result);
	cr_assert_eq(peer_count(scene.peer), 1);

	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, NULL);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

/* A shell's soft limit is raised; where a hard one is in the way, the log says so. */
Test(lifecycle, descriptors_for_all_that_is_configured)
{
	static const char *const soft[] = {"prlimit", "--nofile=400:6000", NULL};
	static const char *const hard[] = {"prlimit", "--nofile=400:400", NULL};
	const char *warning = "fewer descriptors than the configuration may use: "
			      "under load clients are sent away and deliveries fail";
	struct server *server = server_start(&(struct server_options){.wrapper = soft});

	cr_assert_gt(metric_value(server, "process_max_fds"), 4096);
	cr_assert_eq(server_log_count(server, warning), 0);
	server_free(server);
	server = server_start(&(struct server_options){.wrapper = hard});
	cr_assert_eq(metric_value(server, "process_max_fds"), 400);
	cr_assert_eq(server_log_count(server, warning), 1);
	server_free(server);
}

Test(lifecycle, a_drain_finishes_what_is_under_way)
{
	struct peer_step steps[] = {{.delay_ms = DELAY_MS}};
	struct scene scene;
	struct crowd *crowd;
	char key[PEER_TEXT];

	scene_set(&scene, steps, 1, "{'background':{'drain':'20s'}}");
	crowd = many_logins(&scene, LOGINS);
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(stopped(&scene, "kept"), 0);
	cr_assert_eq(stopped(&scene, "dropped"), 0);
	cr_assert_leq(stopped(&scene, "delivered"), LOGINS);
	cr_assert_gt(stopped(&scene, "delivered"), 0);
	cr_assert_eq(peer_count(scene.peer), LOGINS);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert_eq(scene_key_count(scene.peer, scene_key(crowd_login(crowd, i), "bus", key)), 1);

	server_restart(scene.server, NULL);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 0);
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(peer_count(scene.peer), LOGINS, "something was delivered twice");
	crowd_free(crowd);
	scene_clear(&scene);
}

/* More is owed than is held or may be sent at once: what is not begun is kept, and the numbers add up. */
Test(lifecycle, a_drain_keeps_what_it_can_not_finish)
{
	struct peer_step steps[] = {{.delay_ms = DELAY_MS}};
	struct peer_step fast[] = {{.status = 200}};
	struct scene scene;
	struct crowd *crowd;
	size_t answered;
	char *pending;

	scene_set(&scene, steps, 1, "{'background':{'drain':'700ms'}, 'effects':{'bus':{'max_in_flight':2}}}");
	crowd = many_logins(&scene, LOGINS);
	cr_assert_eq(server_stop(scene.server), 0);
	answered = peer_count(scene.peer);
	cr_assert_eq(stopped(&scene, "dropped"), 0);
	cr_assert_gt(stopped(&scene, "kept"), 0);
	cr_assert_lt(stopped(&scene, "kept"), LOGINS);
	/* of those that the receiver saw, at most the two in flight at the end are kept */
	cr_assert_geq(stopped(&scene, "kept") + (json_int_t)answered, LOGINS);
	cr_assert_leq(stopped(&scene, "kept") + (json_int_t)answered, LOGINS + 2);
	pending = scene_query(scene.server, "SELECT COUNT(*) FROM effects WHERE state = 0");
	cr_assert_eq(strtoll(pending, NULL, 10), stopped(&scene, "kept"), "%s rows are pending", pending);
	free(pending);

	peer_script(scene.peer, fast, 1);
	server_restart(scene.server, NULL);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, crowd_login(crowd, i), "bus", "delivered", SCENE_WAIT_MS));
	crowd_free(crowd);
	scene_clear(&scene);
}

/* The same for a delivery whose effects had no row so far: an orderly stop loses nothing of any class. */
static void stalled_then_delivered(const char *more, size_t spilled)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer_step good[] = {{.status = 200}};
	struct scene scene;
	struct api_login logins[3];
	char *rows;

	scene_set(&scene, silent, 1, more);
	for (size_t i = 0; i < 3; i++)
		logins[i] = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, 3, SCENE_WAIT_MS));
	rows = scene_query(scene.server, "SELECT COUNT(*) FROM effects");
	cr_assert_eq(strtoull(rows, NULL, 10), 3 - spilled);
	free(rows);
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(stopped(&scene, "delivered"), 0);
	cr_assert_eq(stopped(&scene, "kept"), 3);
	cr_assert_eq(stopped(&scene, "dropped"), 0);

	peer_script(scene.peer, good, 1);
	server_restart(scene.server, NULL);
	for (size_t i = 0; i < 3; i++) {
		char key[PEER_TEXT];

		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", SCENE_WAIT_MS));
		cr_assert_eq(scene_key_count(scene.peer, scene_key(&logins[i], "bus", key)), 2);
	}
	scene_clear(&scene);
}

Test(lifecycle, durable_effects_of_a_dead_target_are_kept)
{
	stalled_then_delivered("{'effects':{'bus':{'timeout':'30s'}}}", 0);
}

Test(lifecycle, fire_and_forget_is_written_down_at_the_end_of_a_drain)
{
	stalled_then_delivered("{'effects':{'bus':{'timeout':'30s', 'delivery':'fire_and_forget'}}}", 3);
}

/* In backoff, not in flight: nothing is due within the drain, so it does not wait for its end. */
Test(lifecycle, a_drain_does_not_wait_for_backoff)
{
	struct peer_step bad[] = {{.status = 503}};
	struct peer_step good[] = {{.status = 200}};
	struct scene scene;
	struct api_login login;
	int64_t began_us;

	scene_set(&scene, bad, 1,
		"{'background':{'drain':'20s'}, 'effects':{'bus':{'delivery':'fire_and_forget',"
		" 'breaker':{'failures':1,'open_for':'1h'}}}}");
	login = scene_login(&scene);
	cr_assert(metric_wait(scene.server, "tokenfirst_breaker_state{effect=\"bus\"}", 2, SCENE_WAIT_MS));
	began_us = harness_mono_us();
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_lt((harness_mono_us() - began_us) / 1000, AT_ONCE_MS);
	cr_assert_eq(stopped(&scene, "kept"), 1);
	peer_script(scene.peer, good, 1);
	server_restart(scene.server, NULL);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

Test(lifecycle, a_second_signal_ends_it_at_once)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login login;
	int64_t began_us;

	scene_set(&scene, silent, 1, "{'background':{'drain':'50s'}, 'effects':{'bus':{'timeout':'50s'}}}");
	login = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	server_signal(scene.server, SIGTERM);
	cr_assert(server_log_wait(scene.server, "draining", 1, SCENE_WAIT_MS));
	cr_assert(server_running(scene.server));
	began_us = harness_mono_us();
	server_signal(scene.server, SIGTERM);
	cr_assert_eq(server_wait(scene.server, SERVER_STOP_MS), 1);
	cr_assert_lt((harness_mono_us() - began_us) / 1000, AT_ONCE_MS);

	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, NULL);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

Test(lifecycle, sigint_drains_as_well)
{
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	server_signal(scene.server, SIGINT);
	cr_assert_eq(server_wait(scene.server, SERVER_STOP_MS), 0);
	cr_assert_eq(server_log_count(scene.server, "stopped"), 1);
	scene_clear(&scene);
}

Test(lifecycle, sighup_is_survived)
{
	struct scene scene;
	struct api_login login;

	scene_set(&scene, NULL, 0, NULL);
	server_signal(scene.server, SIGHUP);
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

/* A request that is here when the signal comes is answered; its connection is the last thing that closes. */
Test(lifecycle, a_login_under_way_is_answered)
{
	struct peer_step steps[] = {{.delay_ms = 2 * DELAY_MS}};
	struct scene scene;
	struct crowd *crowd;

	scene_set(&scene, steps, 1, "{'background':{'drain':'20s'}, 'effects':{'bus':{'delivery':'inline'}}}");
	crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = 4, .each = 1});
	cr_assert(peer_wait(scene.peer, 4, SCENE_WAIT_MS));
	cr_assert_eq(server_stop(scene.server), 0);
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), 4);
	cr_assert_eq(stopped(&scene, "kept"), 0);
	crowd_free(crowd);
	scene_clear(&scene);
}

/* The time of a drain is the operator's word, whatever an inline effect is waiting for. */
static void stalled_inline_check(const char *more, int status, json_int_t kept)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct crowd *crowd;
	int64_t began_us;

	scene_set(&scene, silent, 1, more);
	crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = 2, .each = 1});
	cr_assert(peer_wait(scene.peer, 2, SCENE_WAIT_MS));
	began_us = harness_mono_us();
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_lt((harness_mono_us() - began_us) / 1000, 2000 + AT_ONCE_MS);
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, status), 2, "there was time to answer them");
	cr_assert_eq(stopped(&scene, "kept"), kept);
	crowd_free(crowd);
	scene_clear(&scene);
}

Test(lifecycle, a_stalled_inline_effect_does_not_hold_up_the_end)
{
	stalled_inline_check(
		"{'background':{'drain':'2s'}, 'effects':{'bus':{'delivery':'inline','timeout':'30s'}}}", 200, 2);
}

/* What refused its login is not delivered at the next start. */
Test(lifecycle, a_stalled_inline_effect_that_may_reject_is_not_kept)
{
	stalled_inline_check(
		"{'background':{'drain':'2s'}, 'effects':{'bus':{'delivery':'inline','on_failure':'reject',"
		"'timeout':'30s'}}}",
		502, 0);
}

Test(lifecycle, it_is_live_and_ready)
{
	struct scene scene;
	struct http_reply reply;

	scene_set(&scene, NULL, 0, NULL);
	api_get(scene.server, "/health/live", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	api_get(scene.server, "/health/ready", NULL, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "status"), "ready");
	http_reply_release(&reply);
	scene_clear(&scene);
}

/* An effect that is configured no more is still owed; configured again, it is delivered. */
Test(lifecycle, an_effect_taken_out_of_the_configuration_waits)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login login;
	struct server_options as_before = {0};

	scene_set(&scene, silent, 1, NULL);
	as_before.config = scene.config;
	login = scene_login(&scene);
	cr_assert_eq(server_stop(scene.server), 0);
	server_restart(scene.server, &(struct server_options){.config = "{}"});
	cr_assert_eq(
		server_log_count(scene.server, "effects are owed for an effect that is configured no more: they wait"),
		1);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_orphaned"), 1);
	cr_assert_eq(server_stop(scene.server), 0);
	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, &as_before);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_orphaned"), 0);
	scene_clear(&scene);
}
