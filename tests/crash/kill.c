/*
 * SIGKILL, and what durable means: every login that was answered has its effect delivered at least once, under one key,
 * whenever the end came. (The page cache survives this death: fsync is not what is tested here.)
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/ledger.h"
#include "tests/support/long_form.h"
#include "tests/support/scene.h"

enum {
	LOGINS = 30,
	FIRST_DELIVERY_MS = 1000,
	CYCLE_THREADS = 4,
	CYCLE_LOGINS = 40,   /* of a thread: so many that the receiver remembers a round */
	CYCLE_ANSWERS = 120, /* after some of them comes the end, */
	CYCLE_MS = 30,	     /* and so many more milliseconds at the most */
	SHORT_CYCLES = 10,
	LONG_CYCLES = 100,
	LONG_ROUNDS = 10,
	DRAIN_MS = 60000,
};

TestSuite(kill, .timeout = 1500);

static const char *const alice[] = {"alice", NULL};

struct keys {
	size_t count;
	char **texts; /* sorted */
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct keys keys_received(struct peer *peer)
{
	struct keys keys = {.count = peer_count(peer)};

	cr_assert_leq(keys.count, PEER_REQUESTS, "more requests than are remembered");
	keys.texts = calloc(keys.count + 1, sizeof(keys.texts[0]));
	cr_assert_not_null(keys.texts);
	for (size_t i = 0; i < keys.count; i++) {
		struct peer_request request = peer_request(peer, i);
		char value[PEER_TEXT];

		keys.texts[i] = strdup(peer_header(&request, "Idempotency-Key", value));
	}
	qsort(keys.texts, keys.count, sizeof(keys.texts[0]), compare);
	return keys;
}

static bool keys_have(const struct keys *keys, const char *key)
{
	return bsearch(&key, keys->texts, keys->count, sizeof(keys->texts[0]), compare) != NULL;
}

static size_t keys_distinct(const struct keys *keys)
{
	size_t distinct = 0;

	for (size_t i = 0; i < keys->count; i++)
		distinct += i == 0 || strcmp(keys->texts[i - 1], keys->texts[i]) != 0;
	return distinct;
}

static void keys_release(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		free(keys->texts[i]);
	free(keys->texts);
}

/* Acknowledged and not delivered: those that are missing. */
static size_t lost(const struct crowd *crowd, size_t answers, const struct keys *keys)
{
	size_t missing = 0;

	for (size_t i = 0; i < answers; i++) {
		char key[PEER_TEXT];

		if (crowd_login(crowd, i)->status != 200)
			continue;
		if (!keys_have(keys, scene_key(crowd_login(crowd, i), "bus", key))) {
			fprintf(stderr, "lost: %s\n", key);
			missing++;
		}
	}
	return missing;
}

/* Nothing is owed any more; each acknowledged effect was sent, and shows as delivered. */
static void nothing_lost(struct scene *scene, struct crowd *crowd)
{
	struct keys keys;

	cr_assert(metric_wait_below(scene->server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, SCENE_WAIT_MS));
	keys = keys_received(scene->peer);
	cr_assert_eq(lost(crowd, crowd_count(crowd), &keys), 0, "of %zu acknowledged logins",
		crowd_count_status(crowd, 200));
	keys_release(&keys);
}

Test(kill, what_was_acknowledged_is_delivered_after_the_restart)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct crowd *crowd;
	struct keys keys;
	int64_t listening_us;
	int64_t first_ms;
	size_t before;

	scene_set(&scene, silent, 1, "{'effects':{'bus':{'timeout':'50s', 'max_in_flight':4}}}");
	crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = 1, .each = LOGINS});
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), LOGINS);
	cr_assert(peer_wait(scene.peer, 4, SCENE_WAIT_MS));
	server_kill(scene.server);
	before = peer_count(scene.peer);
	cr_assert_eq(before, 4);

	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, NULL);
	listening_us = harness_mono_us();
	cr_assert(peer_wait(scene.peer, before + 1, SCENE_WAIT_MS));
	first_ms = (peer_request(scene.peer, before).arrived_us - listening_us) / 1000;
	fprintf(stderr, "first delivery %lld ms after the server listens\n", (long long)first_ms);
	cr_assert_lt(first_ms, FIRST_DELIVERY_MS);
	nothing_lost(&scene, crowd);
	keys = keys_received(scene.peer);
	cr_assert_eq(keys_distinct(&keys), LOGINS, "%zu keys for %d effects", keys_distinct(&keys), LOGINS);
	keys_release(&keys);
	crowd_free(crowd);
	scene_clear(&scene);
}

/* No time-out stands between a crash and the next attempt: the store is ours, so is what was in flight. */
Test(kill, what_was_in_flight_is_sent_again_at_once)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login login;
	int64_t listening_us;
	char key[PEER_TEXT];
	json_t *event;

	scene_set(&scene, silent, 1, "{'effects':{'bus':{'timeout':'50s'}}}");
	login = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	server_kill(scene.server);
	peer_script(scene.peer, NULL, 0);
	server_restart(scene.server, NULL);
	listening_us = harness_mono_us();
	cr_assert(peer_wait(scene.peer, 2, FIRST_DELIVERY_MS));
	cr_assert_lt(peer_request(scene.peer, 1).arrived_us - listening_us, FIRST_DELIVERY_MS * 1000);
	cr_assert_eq(scene_key_count(scene.peer, scene_key(&login, "bus", key)), 2, "the key has changed");
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	event = api_event(scene.server, &login);
	cr_assert_not_null(event);
	json_decref(event);
	scene_clear(&scene);
}

/* What waits for its time is not hurried by a crash. */
Test(kill, what_was_in_backoff_keeps_its_time)
{
	struct peer_step steps[] = {{.status = 503, .headers = "Retry-After: 3\r\n"}, {.status = 200}};
	struct scene scene;
	struct api_login login;
	int64_t wait_us;

	scene_set(&scene, steps, 2, NULL);
	login = scene_login(&scene);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	for (json_t *attempt = NULL; attempt == NULL;) {
		json_t *event = api_event(scene.server, &login); /* until the outcome is on disk */

		attempt = scene_attempt(event, "bus", 0);
		json_decref(event);
	}
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	wait_us = peer_request(scene.peer, 1).arrived_us - peer_request(scene.peer, 0).arrived_us;
	cr_assert_geq(wait_us, 2990000, "sent again after %lld us", (long long)wait_us);
	scene_clear(&scene);
}

/* One end: the logins of many who are cut off at any moment, and what was still owed. */
static void cycle(struct scene *scene, struct ledger *ledger, unsigned *seed)
{
	struct peer_step steps[PEER_STEPS];
	struct crowd *crowd;

	/* a receiver that is slow now and then, and wants one in a while not at all */
	for (size_t i = 0; i < PEER_STEPS; i++)
		steps[i] = (struct peer_step){
			.delay_ms = rand_r(seed) % 4 == 0 ? rand_r(seed) % 25 : 0, .status = i % 20 == 7 ? 400 : 200};
	steps[PEER_STEPS - 1].status = 200;
	peer_script(scene->peer, steps, PEER_STEPS);
	crowd = crowd_start(&(struct crowd_options){.server = scene->server,
		.usernames = alice,
		.password = SCENE_PASSWORD,
		.threads = CYCLE_THREADS,
		.each = CYCLE_LOGINS});
	cr_assert(crowd_wait(crowd, 1 + (size_t)rand_r(seed) % CYCLE_ANSWERS, SCENE_WAIT_MS));
	harness_sleep_ms(rand_r(seed) % CYCLE_MS);
	server_kill(scene->server);
	crowd_join(crowd);
	ledger_promise_crowd(ledger, crowd);
	crowd_free(crowd);
	ledger_note_kill(ledger);
	server_restart(scene->server, NULL);
}

/* A machine that stands still for a moment is no reason to send anything twice. */
#define PATIENT "{'effects':{'bus':{'timeout':'60s', 'connect_timeout':'20s'}}}"

static struct ledger_figures cycles(size_t count, unsigned *seed)
{
	struct scene scene;
	struct ledger *ledger;
	struct ledger_figures figures;

	scene_set(&scene, NULL, 0, PATIENT);
	ledger = ledger_new(scene.server, scene.peer, "bus");
	for (size_t i = 0; i < count; i++)
		cycle(&scene, ledger, seed);
	peer_script(scene.peer, NULL, 0);
	cr_assert(metric_wait_below(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, DRAIN_MS));
	cr_assert_eq(server_stop(scene.server), 0);
	figures = ledger_check(ledger);
	ledger_free(ledger);
	scene_clear(&scene);
	return figures;
}

/* The end comes at any moment, under load, again and again. */
Test(kill, again_and_again_under_load)
{
	struct ledger_figures sum = {0};
	size_t rounds = long_form() ? LONG_ROUNDS : 1;
	unsigned seed = (unsigned)harness_mono_us();

	fprintf(stderr, "seed %u\n", seed);
	for (size_t i = 0; i < rounds; i++) {
		struct ledger_figures figures = cycles(long_form() ? LONG_CYCLES : SHORT_CYCLES, &seed);

		ledger_figures_add(&sum, &figures);
	}
	ledger_figures_print("SIGKILL under load", &sum);
	cr_assert_eq(sum.lost, 0);
	cr_assert_eq(sum.unexplained, 0);
	cr_assert_eq(sum.unknown, 0);
	cr_assert_eq(sum.owed, 0, "all had the time to be delivered");
	cr_assert_gt(sum.acknowledged, sum.kills, "the kills come before the work");
	cr_assert_gt(sum.repeated, 0, "no kill struck an effect in flight");
}
