/* What the three classes of delivery promise: fire and forget, inline, and all of them at a stop. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker.h"
#include "config/clock.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/peer.h"

TestSuite(delivery_classes, .timeout = 60);

static struct delivery_scene scene;
static struct peer *peer;
static char url[PEER_TEXT];

static void begin(const struct peer_step *steps, size_t count, const char *more)
{
	peer = peer_start(steps, count);
	peer_url(peer, "/events", url);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = url, .more = more}}, 1);
}

/* Two inline effects, "first" with a configuration of its own. */
static void begin_two(const struct peer_step *steps, size_t count, const char *first)
{
	peer = peer_start(steps, count);
	peer_url(peer, "/events", url);
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "first", .url = url, .more = first},
			{.name = "second", .url = url, .more = "{'delivery':'inline'}"}},
		2);
}

static void finish(void)
{
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

Test(delivery_classes, fire_and_forget_leaves_no_row)
{
	struct peer_step steps[] = {{.status = 500}, {.status = 200}};
	char id[ID_SIZE];

	begin(steps, 2, "{'delivery':'fire_and_forget'}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_not(row.stored);
	cr_assert_eq(row.attempts, 2);
	delivery_row_release(&row);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	cr_assert_eq(atomic_load(&delivery_scene_target(&scene, "bus")->in_memory), 0);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

Test(delivery_classes, fire_and_forget_is_dropped_at_its_limit)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}};
	char id[ID_SIZE];

	begin(steps, 1, "{'delivery':'fire_and_forget','max_pending':2}");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(delivery_scene_event(&scene, id), 0);
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.state, "dropped");
	cr_assert_not(row.stored);
	delivery_row_release(&row);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "dropped"), 1);
	cr_assert_eq(delivery_scene_created(&scene, "bus"), 3);
	finish();
}

Test(delivery_classes, fire_and_forget_is_spilled_at_its_limit)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	char ids[3][ID_SIZE];

	begin(silent, 1, "{'delivery':'fire_and_forget','max_pending':1,'on_full':'spill','timeout':'300ms'}");
	struct target *target = delivery_scene_target(&scene, "bus");
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(delivery_scene_event(&scene, ids[i]), 0);
	struct delivery_row row = delivery_scene_row(&scene, ids[1], "bus");
	cr_assert(row.stored);
	delivery_row_release(&row);
	row = delivery_scene_row(&scene, ids[2], "bus"); /* the outbox has its limit, too */
	cr_assert_str_eq(row.state, "dropped");
	delivery_row_release(&row);
	cr_assert_eq(atomic_load(&target->spilled->value), 1);
	cr_assert(peer_wait(peer, 2, DELIVERY_WAIT_MS));
	peer_script(peer, NULL, 0);
	cr_assert(delivery_scene_await(&scene, ids[0], "bus", "delivered"));
	cr_assert(delivery_scene_await(&scene, ids[1], "bus", "delivered"));
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 2));
	cr_assert_eq(atomic_load(&target->in_memory), 0);
	cr_assert_eq(atomic_load(&target->pending), 0);
	finish();
}

/* An orderly stop loses nothing of any class. */
Test(delivery_classes, a_stop_writes_down_what_was_in_memory)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	char ids[6][ID_SIZE];

	begin(silent, 1, "{'delivery':'fire_and_forget','max_in_flight':2}");
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(delivery_scene_event(&scene, ids[i]), 0);
	cr_assert(peer_wait(peer, 2, DELIVERY_WAIT_MS));
	struct pool_totals totals = delivery_scene_stop(&scene, 50);
	cr_assert_eq(totals.kept, 6);
	cr_assert_eq(totals.dropped, 0);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 6);
	struct delivery_row row = delivery_scene_row(&scene, ids[5], "bus");
	cr_assert(row.stored);
	cr_assert_str_eq(row.state, "pending");
	delivery_row_release(&row);
	peer_script(peer, NULL, 0);
	delivery_scene_start(&scene);
	for (size_t i = 0; i < 6; i++)
		cr_assert(delivery_scene_await(&scene, ids[i], "bus", "delivered"));
	cr_assert_eq(delivery_scene_stop(&scene, 1000).kept, 0);
	finish();
}

struct throng {
	pthread_t thread;
	atomic_bool *stop;
	uint64_t made;
};

static void *throng_main(void *arg)
{
	struct throng *throng = arg;
	char id[ID_SIZE];

	while (!atomic_load(throng->stop))
		throng->made += delivery_scene_event(&scene, id) == 0;
	return NULL;
}

/* Requests that come in while the workers end: whatever an effect's way, it is accounted for. */
Test(delivery_classes, nothing_is_lost_while_the_workers_end)
{
	struct throng throngs[4];
	atomic_bool stop;

	for (int round = 0; round < 20; round++) {
		begin(NULL, 0, "{'delivery':'fire_and_forget'}");
		atomic_init(&stop, false);
		for (size_t i = 0; i < 4; i++) {
			throngs[i] = (struct throng){.stop = &stop};
			cr_assert_eq(pthread_create(&throngs[i].thread, NULL, throng_main, &throngs[i]), 0);
		}
		cr_assert(peer_wait(peer, 20, DELIVERY_WAIT_MS));
		pool_drain(scene.pool, clock_mono_us() + (round % 2 == 0 ? 0 : 20000));
		harness_sleep_ms(1); /* some come when no worker is left */
		atomic_store(&stop, true);
		for (size_t i = 0; i < 4; i++)
			pthread_join(throngs[i].thread, NULL);
		struct pool_totals totals = delivery_scene_stop(&scene, 0);
		uint64_t ended = delivery_scene_ended(&scene, "bus", "delivered") +
				 delivery_scene_ended(&scene, "bus", "dropped");
		cr_assert_eq(totals.kept, delivery_scene_pending(&scene, "bus"));
		cr_assert_eq(delivery_scene_created(&scene, "bus"), ended + (uint64_t)totals.kept,
			"created %lu, ended %lu, kept %ld", delivery_scene_created(&scene, "bus"), ended, totals.kept);
		finish();
	}
}

Test(delivery_classes, inline_ones_come_in_turn_before_the_answer)
{
	char id[ID_SIZE];

	begin_two(NULL, 0, "{'delivery':'inline'}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert_eq(peer_count(peer), 2);
	struct peer_request one = peer_request(peer, 0), two = peer_request(peer, 1);
	char value[PEER_TEXT];
	cr_assert_not_null(strstr(peer_header(&one, "Idempotency-Key", value), "-first"));
	cr_assert_not_null(strstr(peer_header(&two, "Idempotency-Key", value), "-second"));
	cr_assert(delivery_scene_await(&scene, id, "first", "delivered"));
	cr_assert(delivery_scene_await(&scene, id, "second", "delivered"));
	finish();
}

Test(delivery_classes, an_inline_failure_may_be_answered_all_the_same)
{
	struct peer_step steps[] = {{.status = 500}, {.status = 200}};
	char id[ID_SIZE];

	begin(steps, 2, "{'delivery':'inline'}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_eq(row.attempts, 2);
	delivery_row_release(&row);
	finish();
}

/* A refused request leaves nothing behind that would still be sent, nor waits for ever. */
Test(delivery_classes, an_inline_failure_may_refuse_the_request)
{
	struct peer_step steps[] = {{.status = 500}, {.status = 200}};
	char id[ID_SIZE];

	begin_two(steps, 2, "{'delivery':'inline','on_failure':'reject'}");
	cr_assert_eq(delivery_scene_event(&scene, id), ERR_DENIED);
	static const char *const effects[] = {"first", "second"};
	for (size_t i = 0; i < 2; i++) {
		cr_assert(delivery_scene_await(&scene, id, effects[i], "dead"), "%s", effects[i]);
		struct delivery_row row = delivery_scene_row(&scene, id, effects[i]);
		cr_assert_str_eq(row.cause, CAUSE_REJECTED);
		cr_assert_eq(row.attempts, i == 0);
		delivery_row_release(&row);
		cr_assert_eq(delivery_scene_pending(&scene, effects[i]), 0);
	}
	cr_assert_eq(peer_count(peer), 1);
	finish();
}

Test(delivery_classes, an_inline_effect_beyond_max_pending)
{
	struct peer_step steps[] = {{.status = 500}};
	char id[ID_SIZE];

	begin(steps, 1, "{'delivery':'inline','max_pending':1}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0); /* stays pending: it is retried */
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.cause, CAUSE_BACKLOG_FULL);
	delivery_row_release(&row);
	finish();
}

Test(delivery_classes, an_open_breaker_does_not_keep_a_request_waiting)
{
	struct peer_step steps[] = {{.status = 401}};
	char id[ID_SIZE];

	begin(steps, 1, "{'delivery':'inline','on_failure':'reject','breaker':{'open_for':'1h'}}");
	cr_assert_eq(delivery_scene_event(&scene, id), ERR_DENIED);
	cr_assert_eq(delivery_scene_event(&scene, id), ERR_DENIED);
	cr_assert(delivery_scene_await(&scene, id, "bus", "dead"));
	cr_assert_eq(peer_count(peer), 1);
	finish();
}

struct waiting {
	pthread_t thread;
	atomic_int *left;
	int result;
};

static void *waiting_main(void *arg)
{
	struct waiting *waiting = arg;
	char id[ID_SIZE];

	waiting->result = delivery_scene_event(&scene, id);
	atomic_fetch_sub(waiting->left, 1);
	return NULL;
}

/* Requests that wait for a place behind the attempt that finds the target gone. False: some wait still. */
static bool all_answered(const struct peer_step *steps, size_t count, const char *more, int result)
{
	struct waiting waiting[8];
	atomic_int left;

	atomic_init(&left, 8);
	begin(steps, count, more);
	for (size_t i = 0; i < 8; i++) {
		waiting[i] = (struct waiting){.left = &left};
		cr_assert_eq(pthread_create(&waiting[i].thread, NULL, waiting_main, &waiting[i]), 0);
	}
	for (int i = 0; i < 3000 && atomic_load(&left) > 0; i++)
		harness_sleep_ms(1);
	if (atomic_load(&left) > 0)
		return false;
	for (size_t i = 0; i < 8; i++) {
		pthread_join(waiting[i].thread, NULL);
		cr_assert_eq(waiting[i].result, result);
	}
	finish();
	return true;
}

Test(delivery_classes, requests_in_line_are_answered_when_the_target_goes)
{
	struct peer_step gone[] = {{.status = 410, .delay_ms = 300}};

	cr_assert(all_answered(gone, 1, "{'delivery':'inline','max_in_flight':1}", 0));
	cr_assert(all_answered(gone, 1, "{'delivery':'inline','max_in_flight':1,'on_failure':'reject'}", ERR_DENIED));
}

Test(delivery_classes, requests_in_line_are_answered_when_the_breaker_opens)
{
	struct peer_step refused[] = {{.status = 401, .delay_ms = 300}};

	cr_assert(all_answered(refused, 1, "{'delivery':'inline','max_in_flight':1,'breaker':{'open_for':'1h'}}", 0));
}

/* In the order in which they came: nobody is overtaken for as long as others keep coming. */
Test(delivery_classes, requests_in_line_are_served_in_order)
{
	enum { CALLERS = 5 };
	struct peer_step steps[] = {{.delay_ms = 400}, {.status = 200}};
	struct waiting waiting[CALLERS];
	atomic_int left;

	atomic_init(&left, CALLERS);
	begin(steps, 2, "{'delivery':'inline','max_in_flight':1}");
	for (size_t i = 0; i < CALLERS; i++) {
		waiting[i] = (struct waiting){.left = &left};
		cr_assert_eq(pthread_create(&waiting[i].thread, NULL, waiting_main, &waiting[i]), 0);
		harness_sleep_ms(20); /* ids are in the order of their milliseconds */
	}
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(waiting[i].thread, NULL);
	char last[PEER_TEXT] = "", value[PEER_TEXT];
	for (size_t i = 0; i < CALLERS; i++) {
		struct peer_request request = peer_request(peer, i);
		peer_header(&request, "Idempotency-Key", value);
		cr_assert_gt(strcmp(value, last), 0);
		memcpy(last, value, sizeof(last));
	}
	finish();
}

/* Whoever waits when the workers end is told so, and so is who comes later. */
Test(delivery_classes, a_stop_ends_the_waits)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct waiting waiting[4];
	char id[ID_SIZE];
	atomic_int left;

	atomic_init(&left, 4);
	begin(silent, 1, "{'delivery':'inline','max_in_flight':1,'on_failure':'reject'}");
	for (size_t i = 0; i < 4; i++) {
		waiting[i] = (struct waiting){.left = &left};
		cr_assert_eq(pthread_create(&waiting[i].thread, NULL, waiting_main, &waiting[i]), 0);
	}
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	pool_drain(scene.pool, clock_mono_us() + 50000);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(waiting[i].thread, NULL);
		cr_assert_eq(waiting[i].result, ERR_DENIED);
	}
	cr_assert_eq(delivery_scene_event(&scene, id), ERR_DENIED);
	finish();
}

struct blocker {
	struct commit_job job;
	sem_t entered, open;
};

static void blocker_done(void *arg, int err)
{
	struct blocker *blocker = arg;

	(void)err;
	sem_post(&blocker->entered);
	while (sem_wait(&blocker->open) != 0) {
	}
}

/*
 * Between its commit and its offer an inline effect is on disk, and a lane that reads its backlog just then sees it
 * there. It must leave it alone: the request waits for what becomes of it.
 */
Test(delivery_classes, a_refill_does_not_overtake_a_request)
{
	struct blocker blocker = {.job = {.run = job_nothing, .done = blocker_done, .arg = &blocker}};
	char dead[PEER_TEXT];
	struct gate gate;
	atomic_int left;

	peer = peer_start(NULL, 0);
	peer_url(peer, "/events", url);
	snprintf(dead, sizeof(dead), "http://127.0.0.1:%d/", closed_port());
	/* the third has a worker in common with the first, and keeps it busy */
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.url = url, .more = "{'delivery':'inline','on_failure':'reject'}"},
			{.name = "none", .url = dead, .more = "{'on':['none']}"},
			{.name = "restless",
				.url = dead,
				.more = "{'delivery':'fire_and_forget','retry':{'max_attempts':10000}}"}},
		3);
	sem_init(&blocker.entered, 0, 0);
	sem_init(&blocker.open, 0, 0);
	atomic_init(&left, 1);
	struct waiting waiting = {.left = &left};
	struct target *target = delivery_scene_target(&scene, "bus");
	struct target *restless = delivery_scene_target(&scene, "restless");
	cr_assert_eq(target->worker, restless->worker);

	/* one batch: the blocker, and behind it the login, whose offer waits for the blocker's end */
	char id[ID_SIZE];
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	gate_shut(&gate, scene.opened.committer);
	cr_assert_eq(committer_post(scene.opened.committer, &blocker.job), 0);
	cr_assert_eq(pthread_create(&waiting.thread, NULL, waiting_main, &waiting), 0);
	while (atomic_load(&target->pending) == 0) /* planned, and about to be posted */
		harness_sleep_ms(1);
	harness_sleep_ms(20);
	gate_open(&gate);
	while (sem_wait(&blocker.entered) != 0) {
	}
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 1, "the login is not in the batch");
	uint64_t turns = atomic_load(&restless->attempts[OUTCOME_CONNECT]->value);
	atomic_fetch_or(&target->orders, ORDER_NOTE); /* as by an offer for which the inbox had no room */
	worker_nudge(target->worker);
	while (atomic_load(&restless->attempts[OUTCOME_CONNECT]->value) < turns + 3)
		harness_sleep_ms(1);
	cr_assert_eq(atomic_load(&target->orders), 0, "the lane has not looked");
	cr_assert_eq(peer_count(peer), 1);
	sem_post(&blocker.open);
	pthread_join(waiting.thread, NULL);
	cr_assert_eq(waiting.result, 0);
	cr_assert_eq(peer_count(peer), 2);
	finish();
}

/* While its target takes none it is not kept in memory: dropped, and counted, at once. */
Test(delivery_classes, fire_and_forget_does_not_wait_for_a_breaker)
{
	struct peer_step steps[] = {{.status = 401}};
	char first[ID_SIZE], second[ID_SIZE];

	begin(steps, 1, "{'delivery':'fire_and_forget','breaker':{'open_for':'1h'}}");
	struct target *target = delivery_scene_target(&scene, "bus");
	cr_assert_eq(delivery_scene_event(&scene, first), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && target_parked(target, clock_now_ms()) == NULL; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivery_scene_event(&scene, second), 0);
	struct delivery_row row = delivery_scene_row(&scene, second, "bus");
	cr_assert_str_eq(row.state, "dropped");
	cr_assert_not_null(strstr(row.reason, "breaker"));
	delivery_row_release(&row);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "dropped"), 1);
	cr_assert_eq(peer_count(peer), 1);
	finish();
}

Test(delivery_classes, fire_and_forget_is_spilled_when_its_target_pauses)
{
	struct peer_step steps[] = {{.status = 503, .headers = "Retry-After: 1\r\n"}, {.status = 200}};
	char first[ID_SIZE], second[ID_SIZE];

	begin(steps, 2, "{'delivery':'fire_and_forget','on_full':'spill'}");
	struct target *target = delivery_scene_target(&scene, "bus");
	cr_assert_eq(delivery_scene_event(&scene, first), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && target_parked(target, clock_now_ms()) == NULL; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivery_scene_event(&scene, second), 0);
	struct delivery_row row = delivery_scene_row(&scene, second, "bus");
	cr_assert(row.stored);
	cr_assert_str_eq(row.state, "pending");
	delivery_row_release(&row);
	cr_assert(delivery_scene_await(&scene, first, "bus", "delivered"));
	cr_assert(delivery_scene_await(&scene, second, "bus", "delivered"));
	struct peer_request one = peer_request(peer, 0), two = peer_request(peer, 1);
	cr_assert_geq(two.arrived_us - one.arrived_us, 990 * 1000);
	finish();
}

/* All that came were dropped: when the breaker's time has come, one more is taken, or it would never close again. */
Test(delivery_classes, fire_and_forget_can_be_the_probe)
{
	struct peer_step steps[] = {{.status = 400}, {.status = 401}, {.status = 200}};
	char id[ID_SIZE];

	begin(steps, 3, "{'delivery':'fire_and_forget','retry':{'max_age':'1s'},'breaker':{'open_for':'1500ms'}}");
	struct target *target = delivery_scene_target(&scene, "bus");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(delivery_scene_event(&scene, id), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && target_parked(target, clock_now_ms()) == NULL; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "dropped"), 1);
	for (int i = 0; i < DELIVERY_WAIT_MS && target_parked(target, clock_now_ms()) != NULL; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	finish();
}

/* What a stop breaks off is due at once at the next start, and says what happened. */
Test(delivery_classes, what_a_stop_breaks_off_is_settled)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	char id[ID_SIZE];

	begin(silent, 1, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	int64_t before_ms = clock_now_ms();
	cr_assert_eq(delivery_scene_stop(&scene, 50).kept, 1);
	struct delivery_row row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.state, "pending");
	cr_assert_str_eq(row.reason, "stopping");
	cr_assert_not_null(strstr(row.log, "stopping"));
	cr_assert_geq(row.due_ms, before_ms);
	cr_assert_leq(row.due_ms, clock_now_ms());
	delivery_row_release(&row);
	cr_assert_eq(outbox_rows_number(scene.reader, "SELECT started_run FROM effects"), 0);
	finish();
}

/* One row for each recipient, each with its own end. */
Test(delivery_classes, one_row_for_each_recipient)
{
	enum { RECIPIENTS = 3 };
	char id[ID_SIZE], dead[PEER_TEXT];

	snprintf(dead, sizeof(dead), "smtp://127.0.0.1:%d", closed_port());
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "mail",
			.url = dead,
			.more = "{'type':'email','format':null,'from':'auth@example.com','max_pending':2,"
				"'to':['a@example.com','b@example.com','c@example.com']}"}},
		1);
	cr_assert_eq(dispatch_most(scene.config), RECIPIENTS);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert_eq(outbox_rows_number(scene.reader, "SELECT COUNT(*) FROM effects"), RECIPIENTS);
	cr_assert_eq(outbox_rows_number(scene.reader,
			     "SELECT COUNT(*) FROM effects WHERE part IN (1, 2, 3) AND"
			     " recipient = CASE part WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END || '@example.com'"),
		RECIPIENTS);
	cr_assert_eq(outbox_rows_count(scene.reader, "mail", CAUSE_BACKLOG_FULL), 1, "each takes a place of its own");
	cr_assert_eq(delivery_scene_created(&scene, "mail"), RECIPIENTS);
	delivery_scene_remove(&scene);
}
