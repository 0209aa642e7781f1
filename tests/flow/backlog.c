/*
 * More is owed than a lane holds in memory: the rest waits on disk, and each effect is delivered once, whatever
 * happens.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"
#include "tests/support/crowd.h"
#include "tests/support/scene.h"

#define PENDING "tokenfirst_effects_pending{effect=\"bus\"}"

enum { THREADS = 8, EACH = 3 * LIMIT_LANE_WINDOW / THREADS, LOGINS = EACH * THREADS, BACKLOG_WAIT_MS = 40000 };

TestSuite(backlog, .timeout = 120);

static const char *const alice[] = {"alice", NULL};

/* The receiver refuses; the breaker stays open for as long as the logins take. */
static struct crowd *build_up(struct scene *scene, const char *more)
{
	struct peer_step bad[] = {{.status = 503}};
	struct crowd *crowd;

	scene_set(scene, bad, 1, more);
	crowd = crowd_start(&(struct crowd_options){.server = scene->server,
		.usernames = alice,
		.password = SCENE_PASSWORD,
		.threads = THREADS,
		.each = EACH});
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), LOGINS);
	cr_assert_eq(metric_value(scene->server, PENDING), LOGINS);
	return crowd;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* From request `from` on, there is one for each login and no more. */
static void each_once(struct scene *scene, const struct crowd *crowd, size_t from)
{
	char(*sent)[API_ID] = calloc(LOGINS, sizeof(*sent));
	char(*owed)[API_ID] = calloc(LOGINS, sizeof(*owed));

	cr_assert(sent != NULL && owed != NULL);
	cr_assert_eq(peer_count(scene->peer), from + LOGINS, "%zu requests for %d effects",
		peer_count(scene->peer) - from, LOGINS);
	for (size_t i = 0; i < LOGINS; i++) {
		struct peer_request request = peer_request(scene->peer, from + i);
		char key[PEER_TEXT];

		snprintf(sent[i], API_ID, "%.40s", peer_header(&request, "Idempotency-Key", key));
		snprintf(owed[i], API_ID, "%.40s", scene_key(crowd_login(crowd, i), "bus", key));
	}
	qsort(sent, LOGINS, sizeof(*sent), compare);
	qsort(owed, LOGINS, sizeof(*owed), compare);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert_str_eq(sent[i], owed[i]);
	free(sent);
	free(owed);
}

Test(backlog, waiting_on_disk_it_is_delivered_once_each)
{
	struct scene scene;
	struct crowd *crowd = build_up(
		&scene, "{'background':{'drain':'20s'}, 'effects':{'bus':{'breaker':{'failures':1,'open_for':'1h'}}}}");
	size_t refused;

	cr_assert_eq(server_stop(scene.server), 0);
	refused = peer_count(scene.peer);
	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, NULL);
	cr_assert_eq(server_log_count(scene.server, "breaker opened: effects wait"), 0);
	cr_assert(metric_wait_below(scene.server, PENDING, 0, BACKLOG_WAIT_MS));
	each_once(&scene, crowd, refused);
	crowd_free(crowd);
	scene_clear(&scene);
}

Test(backlog, a_target_that_comes_back_gets_it_without_a_restart)
{
	struct peer_step good[] = {{.status = 200}};
	struct scene scene;
	struct crowd *crowd =
		build_up(&scene, "{'background':{'drain':'20s'},"
				 " 'effects':{'bus':{'max_in_flight':1, 'breaker':{'failures':1,'open_for':'50ms'}}}}");

	peer_script(scene.peer, good, 1);
	cr_assert(metric_wait_below(scene.server, PENDING, 0, BACKLOG_WAIT_MS));
	cr_assert_eq(
		metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"delivered\"}"), LOGINS);
	cr_assert_eq(
		metric_value(scene.server, "tokenfirst_effect_attempts_total{effect=\"bus\",outcome=\"ok\"}"), LOGINS);
	each_once(&scene, crowd, peer_count(scene.peer) - LOGINS);
	crowd_free(crowd);
	scene_clear(&scene);
}

/* New logins while an old backlog is worked off are neither lost nor sent twice. */
Test(backlog, what_comes_meanwhile_is_delivered_too)
{
	struct peer_step slow[] = {{.delay_ms = 2}};
	struct scene scene;
	struct crowd *crowd;

	scene_set(&scene, slow, 1, "{'background':{'drain':'20s'}, 'effects':{'bus':{'max_in_flight':2}}}");
	crowd = crowd_start(&(struct crowd_options){.server = scene.server,
		.usernames = alice,
		.password = SCENE_PASSWORD,
		.threads = THREADS,
		.each = EACH});
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), LOGINS);
	cr_assert(metric_wait_below(scene.server, PENDING, 0, BACKLOG_WAIT_MS));
	each_once(&scene, crowd, 0);
	crowd_free(crowd);
	scene_clear(&scene);
}
