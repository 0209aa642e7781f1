/* The real pool over a real store, against a scripted receiver: what becomes of effects. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/breaker.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"

TestSuite(delivery, .timeout = 60);

static struct delivery_scene scene;
static struct peer *peer;
static char url[PEER_TEXT];

/* One effect "bus", sent to the peer. */
static void begin(const struct peer_step *steps, size_t count, const char *more)
{
	peer = peer_start(steps, count);
	peer_url(peer, "/events", url);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = url, .more = more}}, 1);
}

static void finish(void)
{
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

static size_t attempts_logged(const struct delivery_row *row)
{
	json_t *list = json_loads(row->log, 0, NULL);
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}

static uint64_t connections(const char *labels)
{
	return atomic_load(&metrics_counter(scene.opened.metrics, "tokenfirst_transfer_connections_total",
		"Attempts by whether they reused a connection.", labels)
				    ->value);
}

static void await_breaker(enum breaker_state state)
{
	struct target *target = delivery_scene_target(&scene, "bus");

	for (int i = 0; i < DELIVERY_WAIT_MS && gauge_get(target->breaker) != state; i++)
		harness_sleep_ms(1);
	cr_assert_eq(gauge_get(target->breaker), state);
}

Test(delivery, delivered_and_settled)
{
	char id[ID_SIZE], key[PEER_TEXT], expected[PEER_TEXT];

	begin(NULL, 0, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert(row.stored);
	cr_assert_eq(row.attempts, 1);
	cr_assert_str_eq(row.reason, "");
	cr_assert_eq(attempts_logged(&row), 1);
	delivery_row_release(&row);
	struct peer_request request = peer_request(peer, 0);
	snprintf(expected, sizeof(expected), "%s-bus", id);
	cr_assert_str_eq(peer_header(&request, "Idempotency-Key", key), expected);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	cr_assert_eq(delivery_scene_created(&scene, "bus"), 1);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	cr_assert_eq(peer_count(peer), 1);
	finish();
}

Test(delivery, tried_again_after_a_500_with_the_same_key)
{
	struct peer_step steps[] = {{.status = 500}, {.status = 200}};
	char id[ID_SIZE], first[PEER_TEXT], second[PEER_TEXT];

	begin(steps, 2, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_eq(row.attempts, 2);
	cr_assert_eq(attempts_logged(&row), 2);
	delivery_row_release(&row);
	struct peer_request one = peer_request(peer, 0), two = peer_request(peer, 1);
	cr_assert_str_eq(peer_header(&one, "Idempotency-Key", first), peer_header(&two, "Idempotency-Key", second));
	finish();
}

Test(delivery, retry_after_is_waited_for)
{
	struct peer_step steps[] = {{.status = 429, .headers = "Retry-After: 1\r\n"}, {.status = 200}};
	char id[ID_SIZE];

	begin(steps, 2, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(peer_wait(peer, 2, DELIVERY_WAIT_MS));
	struct peer_request one = peer_request(peer, 0), two = peer_request(peer, 1);
	cr_assert_geq(two.arrived_us - one.arrived_us, 990 * 1000);
	finish();
}

Test(delivery, a_refused_effect_is_a_dead_letter_with_its_reply)
{
	struct peer_step steps[] = {{.status = 400, .body = "{\"error\":\"no such thing\"}"}};
	char id[ID_SIZE];

	begin(steps, 1, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "dead"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.cause, CAUSE_CONDEMNED);
	cr_assert_str_eq(row.reply, "{\"error\":\"no such thing\"}");
	cr_assert_eq(row.attempts, 1);
	cr_assert_neq(row.reason[0], '\0');
	delivery_row_release(&row);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "dead", 1));
	cr_assert_eq(gauge_get(delivery_scene_target(&scene, "bus")->dead[0]), 1);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

Test(delivery, attempts_run_out)
{
	struct peer_step steps[] = {{.status = 503}};
	char id[ID_SIZE];

	begin(steps, 1, "{'retry':{'max_attempts':3}}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "dead"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.cause, CAUSE_ATTEMPTS);
	cr_assert_eq(row.attempts, 3);
	delivery_row_release(&row);
	cr_assert_eq(peer_count(peer), 3);
	finish();
}

/* The key expired: the target is condemned, its effects wait, and it costs them nothing. */
Test(delivery, a_condemned_target_parks_its_effects)
{
	struct peer_step steps[] = {{.status = 401}, {.status = 401}, {.status = 401}, {.status = 200}};
	char first[ID_SIZE], second[ID_SIZE];

	begin(steps, 4, "{'retry':{'max_attempts':2}}");
	cr_assert_eq(delivery_scene_event(&scene, first), 0);
	await_breaker(BREAKER_OPEN);
	cr_assert_eq(delivery_scene_event(&scene, second), 0);
	struct delivery_row row = delivery_scene_row(&scene, second, "bus");
	cr_assert_str_eq(row.state, "pending");
	delivery_row_release(&row);
	cr_assert(delivery_scene_await(&scene, first, "bus", "delivered"));
	cr_assert(delivery_scene_await(&scene, second, "bus", "delivered"));
	row = delivery_scene_row(&scene, first, "bus");
	struct delivery_row other = delivery_scene_row(&scene, second, "bus");
	/* three were refused, two delivered; only the deliveries are counted */
	cr_assert_eq(row.attempts + other.attempts, 2);
	cr_assert_eq(attempts_logged(&row) + attempts_logged(&other), 5);
	delivery_row_release(&row);
	delivery_row_release(&other);
	cr_assert_eq(peer_count(peer), 5);
	struct peer_request one = peer_request(peer, 0), two = peer_request(peer, 1);
	cr_assert_geq(two.arrived_us - one.arrived_us, 95 * 1000, "the probe came before its time");
	finish();
}

Test(delivery, a_target_that_is_gone_is_left_alone)
{
	struct peer_step steps[] = {{.status = 410}, {.status = 200}};
	char first[ID_SIZE], second[ID_SIZE];

	begin(steps, 2, "{'breaker':{'open_for':'20ms'}}");
	cr_assert_eq(delivery_scene_event(&scene, first), 0);
	await_breaker(BREAKER_OPEN);
	cr_assert_eq(delivery_scene_event(&scene, second), 0);
	cr_assert_not(peer_wait(peer, 2, 150));
	struct delivery_row row = delivery_scene_row(&scene, first, "bus");
	cr_assert_str_eq(row.state, "pending");
	cr_assert_eq(row.attempts, 0);
	cr_assert_not_null(strstr(row.reason, "410"));
	delivery_row_release(&row);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 2);
	finish();
}

Test(delivery, nobody_listens)
{
	char id[ID_SIZE], dead[PEER_TEXT];

	snprintf(dead, sizeof(dead), "http://127.0.0.1:%d/", closed_port());
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = dead}}, 1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	struct target *target = delivery_scene_target(&scene, "bus");
	for (int i = 0; i < DELIVERY_WAIT_MS && atomic_load(&target->attempts[OUTCOME_CONNECT]->value) < 2; i++)
		harness_sleep_ms(1);
	struct pool_totals totals = delivery_scene_stop(&scene, 100);
	cr_assert_eq(totals.kept, 1);
	cr_assert_eq(connections("reused=\"true\""), 0);
	cr_assert_geq(connections("reused=\"false\""), 2);
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.state, "pending");
	cr_assert_geq(row.attempts, 2);
	json_t *list = json_loads(row.log, 0, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "outcome")), "connect");
	/* in curl's own words, with the host and without the time it took */
	cr_assert_not_null(strstr(row.reason, "to 127.0.0.1 port"), "%s", row.reason);
	cr_assert_null(strstr(row.reason, " ms"), "%s", row.reason);
	json_decref(list);
	delivery_row_release(&row);
	delivery_scene_remove(&scene);
}

/* Also on a connection that was used before. */
Test(delivery, a_silent_target_is_a_time_out)
{
	struct peer_step steps[] = {{.status = 200}, {.action = PEER_SILENT}, {.status = 200}};
	char id[ID_SIZE];

	begin(steps, 3, "{'timeout':'150ms'}");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(delivery_scene_event(&scene, id), 0);
		cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	}
	struct target *target = delivery_scene_target(&scene, "bus");
	cr_assert_eq(atomic_load(&target->attempts[OUTCOME_TIMEOUT]->value), 1);
	cr_assert_eq(atomic_load(&target->attempts[OUTCOME_DNS]->value), 0);
	cr_assert_eq(atomic_load(&target->attempts[OUTCOME_OK]->value), 2);
	cr_assert_eq(peer_request(peer, 1).connection, 1, "the time-out did not come on a connection used before");
	cr_assert_eq(connections("reused=\"true\""), 1);
	cr_assert_eq(connections("reused=\"false\""), 2);
	finish();
}

Test(delivery, beyond_max_pending_an_effect_is_stored_dead)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}};
	char first[ID_SIZE], second[ID_SIZE];

	begin(steps, 1, "{'max_pending':1}");
	cr_assert_eq(delivery_scene_event(&scene, first), 0);
	cr_assert_eq(delivery_scene_event(&scene, second), 0);
	struct delivery_row row = delivery_scene_row(&scene, second, "bus");
	cr_assert_str_eq(row.state, "dead");
	cr_assert_str_eq(row.cause, CAUSE_BACKLOG_FULL);
	delivery_row_release(&row);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "dead"), 1);
	cr_assert_eq(delivery_scene_created(&scene, "bus"), 2);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 1);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 1);
	finish();
}

/* What waits on disk at the start is due at once, whatever its backoff was meant to be for what was never tried. */
Test(delivery, a_restart_takes_up_what_is_owed)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}}, well[] = {{.status = 200}};
	char ids[5][ID_SIZE];

	begin(silent, 1, "{'max_in_flight':2}");
	for (size_t i = 0; i < 5; i++)
		cr_assert_eq(delivery_scene_event(&scene, ids[i]), 0);
	cr_assert(peer_wait(peer, 2, DELIVERY_WAIT_MS));
	struct pool_totals totals = delivery_scene_stop(&scene, 50);
	cr_assert_eq(totals.kept, 5);
	cr_assert_eq(totals.delivered, 0);
	peer_script(peer, well, 1);
	delivery_scene_start(&scene);
	for (size_t i = 0; i < 5; i++)
		cr_assert(delivery_scene_await(&scene, ids[i], "bus", "delivered"));
	cr_assert_eq(peer_count(peer), 7);
	struct delivery_row row = delivery_scene_row(&scene, ids[0], "bus");
	cr_assert_eq(row.attempts, 2, "the attempt that was cut off counts");
	delivery_row_release(&row);
	totals = delivery_scene_stop(&scene, 1000);
	cr_assert_eq(totals.kept, 0);
	finish();
}

Test(delivery, a_drain_delivers_what_is_due)
{
	struct peer_step steps[] = {{.delay_ms = 20}};

	begin(steps, 1, "{'max_in_flight':4}");
	delivery_scene_burst(&scene, 40);
	struct pool_totals totals = delivery_scene_stop(&scene, 10000);
	cr_assert_eq(totals.kept, 0);
	cr_assert_eq(peer_count(peer), 40);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "delivered"), 40);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many different keys the peer has seen. */
static size_t distinct_keys(size_t requests)
{
	char **keys = calloc(requests, sizeof(*keys)), value[PEER_TEXT];
	size_t distinct = 0;

	cr_assert_not_null(keys);
	for (size_t i = 0; i < requests; i++) {
		struct peer_request request = peer_request(peer, i);
		keys[i] = strdup(peer_header(&request, "Idempotency-Key", value));
	}
	qsort(keys, requests, sizeof(*keys), compare);
	for (size_t i = 0; i < requests; i++)
		distinct += i == 0 || strcmp(keys[i], keys[i - 1]) != 0;
	for (size_t i = 0; i < requests; i++)
		free(keys[i]);
	free(keys);
	return distinct;
}

/* Three times the window: what finds no room waits on disk, and each is sent once. */
Test(delivery, a_backlog_beyond_the_window)
{
	enum { EFFECTS = 3 * LIMIT_LANE_WINDOW, HOLD_MS = 1500 };
	struct peer_step steps[5] = {
		{.delay_ms = HOLD_MS}, {.delay_ms = HOLD_MS}, {.delay_ms = HOLD_MS}, {.delay_ms = HOLD_MS}};

	begin(steps, 5, "{'max_in_flight':4}"); /* nothing is delivered before all offers have come */
	delivery_scene_burst(&scene, EFFECTS);
	cr_assert_leq(peer_count(peer), 4);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", EFFECTS));
	cr_assert_eq(peer_count(peer), EFFECTS);
	cr_assert_eq(distinct_keys(EFFECTS), EFFECTS);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	cr_assert_eq(atomic_load(&delivery_scene_target(&scene, "bus")->pending), 0);
	finish();
}

/* More fail at once than may wait in memory: the rest waits on disk until it is due, and all come through. */
Test(delivery, a_backoff_beyond_its_room)
{
	enum { EFFECTS = 2 * LIMIT_LANE_WINDOW };
	struct peer_step steps[PEER_STEPS];

	for (size_t i = 0; i < PEER_STEPS; i++)
		steps[i] = (struct peer_step){.status = 503};
	begin(steps, 1, "{'retry':{'max_attempts':1000,'first':'400ms','cap':'400ms'},'breaker':{'failures':1000000}}");
	delivery_scene_burst(&scene, EFFECTS);
	cr_assert(peer_wait(peer, EFFECTS, DELIVERY_WAIT_MS), "%zu came", peer_count(peer));
	steps[0].status = 200;
	peer_script(peer, steps, 1);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", EFFECTS));
	cr_assert_eq(distinct_keys(peer_count(peer)), EFFECTS);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

/* One target that never answers has a worker in common with one that does. */
Test(delivery, a_slow_target_slows_no_other)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer *slow = peer_start(silent, 1);
	char slow_url[PEER_TEXT], id[ID_SIZE];

	peer = peer_start(NULL, 0);
	peer_url(peer, "/", url);
	peer_url(slow, "/", slow_url);
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "slow", .url = slow_url}, {.name = "other", .url = url},
			{.name = "quick", .url = url}},
		3);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await_ended(&scene, "quick", "delivered", 100));
	cr_assert_eq(delivery_scene_target(&scene, "quick")->worker, delivery_scene_target(&scene, "slow")->worker);
	cr_assert_eq(delivery_scene_ended(&scene, "slow", "delivered"), 0);
	cr_assert_eq(delivery_scene_stop(&scene, 50).kept, 100);
	finish();
	peer_stop(slow);
}

/* The metric of what blocking would have cost adds up each effect's first attempt, once. */
Test(delivery, the_blocking_cost_counts_each_effect_once)
{
	struct peer_step steps[] = {{.status = 401}, {.status = 401}, {.status = 401}, {.status = 200}};
	struct histogram_snapshot snapshot;
	char id[ID_SIZE];

	begin(steps, 4, "{'breaker':{'open_for':'20ms'}}");
	struct histogram *seconds = metrics_histogram(scene.opened.metrics, "tokenfirst_login_blocking_cost_seconds",
		"What a login's answer would have taken had every effect been inline.", &histogram_seconds, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	/* nobody added the request's own time: it must not be complete */
	histogram_snapshot(seconds, &snapshot);
	cr_assert_eq(snapshot.cumulative[histogram_seconds.count], 0);
	finish();
}

/* A worker that has nothing left to do says so before it sleeps. */
Test(delivery, gauges_are_told_before_the_sleep)
{
	char id[ID_SIZE];

	begin(NULL, 0, "{'delivery':'fire_and_forget'}");
	struct target *target = delivery_scene_target(&scene, "bus");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	for (int i = 0; i < 500 && gauge_get(target->in_flight) != 0; i++)
		harness_sleep_ms(1);
	cr_assert_eq(gauge_get(target->in_flight), 0);
	cr_assert_eq(atomic_load(&target->oldest_due_ms), 0);
	finish();
}
