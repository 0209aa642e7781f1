/*
 * A store that can't be written. The disk is full in that no file of the server may grow: RLIMIT_FSIZE of
 * the running process, which is lifted again.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/refresh.h"
#include "tests/support/scene.h"

#define LOGIN "{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}"

enum { SMALL = 16, LOGINS = 5 };

TestSuite(store_full, .timeout = 60);

/* The soft limit alone, so that lifting it needs no privilege. */
static void limit_files(const struct server *server, rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(prlimit(server_pid(server), RLIMIT_FSIZE, NULL, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(prlimit(server_pid(server), RLIMIT_FSIZE, &limit, NULL), 0);
}

static int status_of(const struct server *server, const char *path, struct http_reply *ret_reply)
{
	api_get(server, path, NULL, ret_reply);
	return ret_reply->status;
}

static bool ready_wait(const struct server *server, int status)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	int found;

	do {
		struct http_reply reply;

		found = status_of(server, "/health/ready", &reply);
		http_reply_release(&reply);
		if (found != status)
			harness_sleep_ms(10);
	} while (found != status && harness_mono_us() < until_us);
	return found == status;
}

Test(store_full, logins_are_refused_until_it_can_write_again)
{
	struct scene scene;
	struct http_reply reply;
	struct api_login before, after;
	char value[HTTP_HEADER_MAX];
	char *events;

	scene_set(&scene, NULL, 0, NULL);
	before = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &before, "bus", "delivered", SCENE_WAIT_MS));
	limit_files(scene.server, SMALL);
	api_post(scene.server, "/login", NULL, LOGIN, &reply);
	cr_assert_eq(reply.status, 503, "%d %s", reply.status, reply.failure);
	cr_assert_str_eq(http_reply_text(&reply, "code"), "unavailable");
	cr_assert_str_neq(http_reply_header(&reply, "Retry-After", value), "");
	cr_assert_null(strstr(reply.body, "access_token"));
	http_reply_release(&reply);

	cr_assert_eq(status_of(scene.server, "/health/ready", &reply), 503);
	cr_assert_not_null(strstr(reply.body, "outbox not writable"), "%s", reply.body);
	http_reply_release(&reply);
	cr_assert_eq(status_of(scene.server, "/health/live", &reply), 200);
	http_reply_release(&reply);
	api_get(scene.server, "/me", before.authorization, &reply); /* reading goes on */
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	cr_assert_geq(metric_value(scene.server, "tokenfirst_store_errors_total{kind=\"full\"}") +
			      metric_value(scene.server, "tokenfirst_store_errors_total{kind=\"io\"}"),
		1);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_login_duration_seconds_count{outcome=\"unavailable\"}"), 1);

	limit_files(scene.server, RLIM_INFINITY);
	cr_assert(ready_wait(scene.server, 200), "it does not recover by itself");
	cr_assert(server_log_wait(scene.server, "the store can write again", 1, SCENE_WAIT_MS));
	after = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &after, "bus", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 0, "a place is lost");
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_created_total{effect=\"bus\"}"), 2);
	events = scene_query(scene.server, "SELECT COUNT(*) FROM events");
	cr_assert_str_eq(events, "2", "%s events for two logins", events);
	free(events);
	scene_clear(&scene);
}

/* Only what would rotate has to be written: the rest is answered from what is committed. */
Test(store_full, refreshes_that_write_nothing_go_on)
{
	struct scene scene;
	struct api_login login, ended;
	struct refresh_reply first, reply;
	struct http_reply out;

	scene_set(&scene, NULL, 0, NULL);
	login = scene_login(&scene);
	ended = scene_login(&scene);
	api_post(scene.server, "/logout", ended.authorization, "{}", &out);
	cr_assert_eq(out.status, 200);
	http_reply_release(&out);
	first = refresh_post(scene.server, login.refresh_token);
	cr_assert_eq(first.status, 200);

	limit_files(scene.server, SMALL);
	reply = refresh_post(scene.server, first.refresh_token);
	cr_assert_eq(reply.status, 503, "its step can't be written");
	refresh_reply_release(&reply);
	cr_assert(ready_wait(scene.server, 503));
	reply = refresh_post(scene.server, login.refresh_token);
	cr_assert_eq(reply.status, 200, "a repeat within the grace");
	cr_assert_str_eq(reply.refresh_token, first.refresh_token);
	refresh_reply_release(&reply);
	reply = refresh_post(scene.server, ended.refresh_token);
	cr_assert_eq(reply.status, 401, "what is dead stays dead");
	refresh_reply_release(&reply);

	limit_files(scene.server, RLIM_INFINITY);
	cr_assert(ready_wait(scene.server, 200));
	reply = refresh_post(scene.server, first.refresh_token);
	cr_assert_eq(reply.status, 200);
	refresh_reply_release(&reply);
	refresh_reply_release(&first);
	scene_clear(&scene);
}

/* Delivered while nothing can be written: noted as such when it can, and not sent again meanwhile. */
Test(store_full, outcomes_wait_and_are_not_sent_twice)
{
	struct peer_step steps[] = {{.delay_ms = 600}};
	struct scene scene;
	struct api_login logins[LOGINS];
	char key[PEER_TEXT];

	scene_set(&scene, steps, 1, NULL);
	for (size_t i = 0; i < LOGINS; i++)
		logins[i] = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, LOGINS, SCENE_WAIT_MS));
	limit_files(scene.server, SMALL);
	cr_assert(metric_wait(scene.server, "tokenfirst_effect_attempts_total{effect=\"bus\",outcome=\"ok\"}", LOGINS,
		SCENE_WAIT_MS));
	cr_assert(ready_wait(scene.server, 503));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"delivered\"}"), 0);
	limit_files(scene.server, RLIM_INFINITY);
	for (size_t i = 0; i < LOGINS; i++) {
		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", SCENE_WAIT_MS));
		cr_assert_eq(scene_key_count(scene.peer, scene_key(&logins[i], "bus", key)), 1);
	}
	scene_clear(&scene);
}

/* Every login that was answered with 200 is on disk, however often the disk fills up meanwhile. */
Test(store_full, no_promise_is_made_that_is_not_written)
{
	static const char *const alice[] = {"alice", NULL};
	struct scene scene;
	struct crowd *crowd;

	scene_set(&scene, NULL, 0, NULL);
	crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = 4});
	for (size_t round = 0; round < 3; round++) {
		size_t refused = crowd_count_status(crowd, 503);
		int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;

		cr_assert(crowd_wait(crowd, crowd_count_status(crowd, 200) + LOGINS, SCENE_WAIT_MS));
		limit_files(scene.server, SMALL);
		while (crowd_count_status(crowd, 503) < refused + LOGINS && harness_mono_us() < until_us)
			harness_sleep_ms(1);
		limit_files(scene.server, RLIM_INFINITY);
		cr_assert_geq(crowd_count_status(crowd, 503), refused + LOGINS);
		cr_assert(ready_wait(scene.server, 200));
	}
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200) + crowd_count_status(crowd, 503), crowd_count(crowd));
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	for (size_t i = 0; i < crowd_count(crowd); i++)
		if (crowd_login(crowd, i)->status == 200)
			cr_assert(api_effect_wait(
				scene.server, crowd_login(crowd, i), "bus", "delivered", SCENE_WAIT_MS));
	crowd_free(crowd);
	scene_clear(&scene);
}
