/* One lane under a simulated clock: what is taken, what is sent when, what waits where. */
#include "background/delivery/lane.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/outbox.h"
#include "config/limits.h"

enum { NOW = 1000000, HOUR_MS = 3600000, WINDOW = LIMIT_LANE_WINDOW };

static struct effect_config config;
static struct event *event;
static struct lane *lane;
static struct item *started[2 * WINDOW]; /* and not given back to the lane: a test may leave them so */
static size_t started_count;

static void setup(void)
{
	config = (struct effect_config){
		.delivery = DELIVERY_DURABLE,
		.max_in_flight = 64,
		.retry = {.max_attempts = 20, .first_ms = 1000, .cap_ms = HOUR_MS, .max_age_ms = 72 * HOUR_MS},
		.breaker = {.failures = 5, .open_for_ms = 10000},
	};
	event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "s", "{}", 7, "", NOW);
	lane = lane_new(&config);
	cr_assert(event != NULL && lane != NULL);
}

static void teardown(void)
{
	for (size_t i = 0; i < started_count; i++) {
		if (started[i]->place == ITEM_FLYING)
			lane_withdraw(lane, started[i]);
		lane_forget(lane, started[i]);
		item_free(started[i]);
	}
	lane_free(lane);
	event_unref(event);
}

TestSuite(lane, .init = setup, .fini = teardown);

static struct item *make(int64_t row, int64_t due_ms)
{
	struct item *item = item_new(event, due_ms);

	cr_assert_not_null(item);
	item->row = row;
	return item;
}

/* Offers a new item; NULL: it was turned away (and freed). */
static struct item *offer(int64_t row, int64_t due_ms, int64_t now_ms)
{
	struct item *item = make(row, due_ms);

	if (lane_offer(lane, item, false, now_ms))
		return item;
	item_free(item);
	return NULL;
}

static struct item *hold(int64_t row)
{
	struct item *item = make(row, NOW);

	cr_assert(lane_offer(lane, item, true, NOW));
	return item;
}

static struct item *start(int64_t now_ms)
{
	struct item *item = lane_start(lane, now_ms);

	if (item != NULL) {
		item->attempts++;
		started[started_count++] = item;
	}
	return item;
}

static void given_back(const struct item *item)
{
	size_t i = 0;

	while (i < started_count && started[i] != item)
		i++;
	if (i < started_count)
		started[i] = started[--started_count];
}

static struct lane_decision end(struct item *item, enum verdict_kind kind, int64_t now_ms)
{
	const struct verdict verdict = {.kind = kind, .retry_after_ms = -1};

	return lane_end(lane, item, &verdict, now_ms, UINT32_MAX);
}

static void forget(struct item *item)
{
	given_back(item);
	lane_forget(lane, item);
	item_free(item);
}

/* Its attempt ends well, and that is durable. */
static void deliver(struct item *item, int64_t now_ms)
{
	cr_assert_eq(end(item, VERDICT_OK, now_ms).action, LANE_DELIVERED);
	forget(item);
}

/* Its attempt fails, and it is to be tried again at `due_ms`. True: it waits in memory. */
static bool fail(struct item *item, int64_t due_ms, int64_t now_ms)
{
	struct lane_decision decision = end(item, VERDICT_RETRY, now_ms);

	cr_assert_eq(decision.action, LANE_AGAIN);
	item->due_ms = due_ms;
	given_back(item);
	if (lane_wait(lane, item))
		return true;
	item_free(item);
	return false;
}

Test(lane, an_empty_one_has_nothing_to_do)
{
	cr_assert_null(lane_start(lane, NOW));
	cr_assert_eq(lane_due_ms(lane, NOW), INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, NOW));
	cr_assert_not(lane_busy(lane, NOW));
	cr_assert_null(lane_take(lane));
	cr_assert_eq(lane_oldest_due_ms(lane), 0);
	cr_assert_null(lane_release(lane, 1, NULL));
	lane_free(NULL);
}

Test(lane, first_come_first_served)
{
	for (int64_t row = 1; row <= 10; row++)
		cr_assert_not_null(offer(row, NOW, NOW));
	cr_assert_leq(lane_due_ms(lane, NOW), NOW);
	for (int64_t row = 1; row <= 10; row++) {
		struct item *item = start(NOW);
		cr_assert_eq(item->row, row);
		cr_assert_eq(item->place, ITEM_FLYING);
		cr_assert(lane_holds(lane, row));
		deliver(item, NOW);
		cr_assert_not(lane_holds(lane, row));
	}
	cr_assert_eq(lane_in_flight(lane), 0);
}

Test(lane, max_in_flight_is_exact)
{
	struct item *first;

	config.max_in_flight = 3;
	for (int64_t row = 1; row <= 5; row++)
		offer(row, NOW, NOW);
	first = start(NOW);
	start(NOW);
	start(NOW);
	cr_assert_null(start(NOW));
	cr_assert_eq(lane_in_flight(lane), 3);
	cr_assert_eq(lane_due_ms(lane, NOW), INT64_MAX, "nothing can begin before an attempt ends");
	cr_assert(lane_busy(lane, NOW));
	end(first, VERDICT_OK, NOW); /* settling: its place is free */
	cr_assert_leq(lane_due_ms(lane, NOW), NOW);
	cr_assert_eq(start(NOW)->row, 4);
	cr_assert_null(start(NOW));
	forget(first);
	/* what flies or settles is not taken away */
	struct item *left = lane_take(lane);
	cr_assert_eq(left->row, 5);
	item_free(left);
	cr_assert_null(lane_take(lane));
	for (int64_t row = 2; row <= 4; row++)
		cr_assert(lane_holds(lane, row));
}

Test(lane, what_is_due_later_waits_for_its_time)
{
	offer(1, NOW + 500, NOW);
	offer(2, NOW + 200, NOW);
	cr_assert_null(start(NOW));
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 200);
	cr_assert_null(start(NOW + 199));
	deliver(start(NOW + 200), NOW + 200);
	cr_assert_eq(lane_due_ms(lane, NOW + 200), NOW + 500);
	struct item *item = start(NOW + 600);
	cr_assert_eq(item->row, 1);
	deliver(item, NOW + 600);
}

Test(lane, a_row_is_held_once)
{
	cr_assert_not_null(offer(7, NOW, NOW));
	cr_assert_null(offer(7, NOW, NOW)); /* ready */
	struct item *item = start(NOW);
	cr_assert_null(offer(7, NOW, NOW)); /* flying */
	end(item, VERDICT_RETRY, NOW);
	cr_assert_null(offer(7, NOW, NOW)); /* settling */
	item->due_ms = NOW + 100;
	given_back(item);
	cr_assert(lane_wait(lane, item));
	cr_assert_null(offer(7, NOW, NOW)); /* in backoff */
	deliver(start(NOW + 100), NOW + 100);
	cr_assert_null(start(NOW + HOUR_MS));
	cr_assert_not(lane_wants_refill(lane, NOW + HOUR_MS), "a row that was held already is no overflow");
	cr_assert_not_null(offer(7, NOW, NOW));
}

/* Rows are found in the index by number modulo its size: those that meet there are told apart. */
Test(lane, rows_that_share_a_place_in_the_index)
{
	enum { SAME = 2 * WINDOW };

	for (int64_t i = 1; i <= 5; i++)
		cr_assert_not_null(offer(i * SAME, NOW, NOW));
	struct item *items[5];
	for (size_t i = 0; i < 5; i++)
		items[i] = start(NOW);
	static const size_t order[] = {2, 0, 4, 1, 3};
	for (size_t i = 0; i < 5; i++) {
		deliver(items[order[i]], NOW);
		for (size_t k = 0; k < 5; k++) {
			bool gone = false;
			for (size_t j = 0; j <= i; j++)
				gone = gone || order[j] == k;
			cr_assert_eq(lane_holds(lane, (int64_t)(k + 1) * SAME), !gone);
		}
	}
}

Test(lane, the_window_is_exact_and_the_rest_waits_on_disk)
{
	for (int64_t row = 1; row <= WINDOW; row++)
		cr_assert_not_null(offer(row, NOW, NOW));
	cr_assert_null(offer(WINDOW + 1, NOW, NOW));
	deliver(start(NOW), NOW);
	/* there is room again, but an older row waits on disk: nobody overtakes it */
	cr_assert_null(offer(WINDOW + 2, NOW, NOW));
	/* effects in memory have no place on disk to wait in */
	cr_assert_not_null(offer(0, NOW, NOW));
	cr_assert_not(lane_wants_refill(lane, NOW), "the window is nearly full");
	while (lane_holds(lane, WINDOW)) {
		struct item *item = start(NOW);
		deliver(item, NOW);
	}
	cr_assert(lane_wants_refill(lane, NOW));
	cr_assert_leq(lane_due_ms(lane, NOW), NOW);
	lane_refill_begin(lane);
	cr_assert_not_null(offer(WINDOW + 1, NOW, NOW));
	cr_assert_not_null(offer(WINDOW + 2, NOW, NOW));
	lane_refilled(lane, 2, WINDOW, INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, NOW));
	cr_assert_not_null(offer(WINDOW + 3, NOW, NOW)); /* straight to memory again */
}

Test(lane, a_refill_that_read_as_many_as_it_may_has_more_behind_it)
{
	lane_note_disk(lane);
	cr_assert(lane_wants_refill(lane, NOW));
	lane_refill_begin(lane);
	for (int64_t row = 1; row <= 100; row++)
		cr_assert_not_null(offer(row, NOW, NOW));
	lane_refilled(lane, 100, 100, INT64_MAX);
	cr_assert(lane_wants_refill(lane, NOW));
	cr_assert_null(offer(1000, NOW, NOW));
	lane_refill_begin(lane);
	lane_refilled(lane, 99, 100, INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, NOW));
}

Test(lane, the_disk_is_looked_at_when_its_next_row_is_due)
{
	lane_note_disk(lane);
	lane_refill_begin(lane);
	lane_refilled(lane, 0, WINDOW, NOW + 700);
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 700);
	cr_assert_not(lane_wants_refill(lane, NOW + 699));
	cr_assert(lane_wants_refill(lane, NOW + 700));
	cr_assert_leq(lane_due_ms(lane, NOW + 700), NOW + 700);
	cr_assert_not_null(offer(1, NOW, NOW)); /* a later row on disk keeps nobody waiting */
	lane_drain(lane);
	cr_assert_not(lane_wants_refill(lane, NOW + 700));
}

/* The heap takes half the window; the other half stays free for new work, whatever fails. */
Test(lane, without_room_in_the_heap_a_row_waits_on_disk)
{
	config.max_in_flight = WINDOW;
	config.breaker.failures = 10 * WINDOW;
	for (int64_t row = 1; row <= WINDOW / 2 + 2; row++) {
		offer(row, NOW, NOW);
		bool kept = fail(start(NOW), NOW + 1000 + row, NOW);
		cr_assert_eq(kept, row <= WINDOW / 2, "row %d", (int)row);
		cr_assert_eq(lane_holds(lane, row), kept);
	}
	cr_assert_not(lane_wants_refill(lane, NOW));
	/* in memory the earliest is due at 1,001, on disk at 1,000 + half the window + 1 */
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 1001);
	int64_t disk_due = NOW + 1000 + WINDOW / 2 + 1;
	for (int64_t row = 1; row <= WINDOW / 2; row++)
		deliver(start(disk_due - 1), disk_due - 1);
	cr_assert_eq(lane_due_ms(lane, disk_due - 1), disk_due);
	cr_assert(lane_wants_refill(lane, disk_due));
	/* an effect in memory has nowhere else to wait */
	offer(0, NOW, NOW);
	cr_assert(fail(start(NOW), NOW + 5, NOW));
}

Test(lane, a_released_one_is_first_and_those_before_it_stay_so)
{
	struct inline_wait *waiter = (struct inline_wait *)&config; /* only compared */

	offer(1, NOW, NOW);
	hold(2);
	hold(3);
	cr_assert_null(lane_release(lane, 1, waiter)); /* ready, not held back */
	cr_assert_null(lane_release(lane, 99, waiter));
	cr_assert_eq(lane_release(lane, 3, waiter)->row, 3);
	cr_assert_eq(lane_release(lane, 2, waiter)->row, 2);
	cr_assert_null(lane_release(lane, 2, waiter)); /* once */
	static const int64_t order[] = {3, 2, 1};
	for (size_t i = 0; i < 3; i++) {
		struct item *item = start(NOW);
		cr_assert_eq(item->row, order[i]);
		cr_assert_eq(item->waiter, order[i] == 1 ? NULL : waiter);
		deliver(item, NOW);
	}
}

Test(lane, held_ones_are_not_sent_and_not_due)
{
	for (int64_t row = 1; row <= WINDOW + 10; row++)
		hold(row); /* request threads bound their number, not the window */
	cr_assert_null(start(NOW));
	cr_assert_eq(lane_due_ms(lane, NOW), INT64_MAX);
	cr_assert_not(lane_busy(lane, NOW));
	for (int i = 0; i < WINDOW + 10; i++)
		item_free(lane_take(lane));
	cr_assert_null(lane_take(lane));
}

/* Nobody's wait ends with the attempt of another. */
Test(lane, those_waited_for_are_demoted_in_their_order)
{
	struct inline_wait *waiter = (struct inline_wait *)&config;

	offer(1, NOW, NOW);
	hold(2);
	hold(3);
	cr_assert_null(lane_demote(lane));
	lane_release(lane, 2, waiter);
	lane_release(lane, 3, waiter);
	cr_assert_eq(lane_demote(lane)->row, 2);
	cr_assert_eq(lane_demote(lane)->row, 3);
	cr_assert_null(lane_demote(lane));
	cr_assert_eq(start(NOW)->row, 1);
	cr_assert_eq(start(NOW)->row, 2);
	cr_assert_eq(start(NOW)->row, 3);
}

Test(lane, unqueued_and_forgotten)
{
	offer(1, NOW, NOW);
	hold(2);
	struct item *item = lane_release(lane, 2, NULL);
	lane_unqueue(lane, item);
	cr_assert_eq(item->place, ITEM_SETTLING);
	cr_assert(lane_holds(lane, 2));
	forget(item);
	cr_assert_not(lane_holds(lane, 2));
	deliver(start(NOW), NOW);
	cr_assert_null(start(NOW));
}

Test(lane, verdicts_become_decisions)
{
	static const struct {
		enum verdict_kind kind;
		enum lane_action action;
		const char *cause;
	} rows[] = {
		{VERDICT_OK, LANE_DELIVERED, NULL},
		{VERDICT_RETRY, LANE_AGAIN, NULL},
		{VERDICT_DEAD, LANE_DEAD, CAUSE_CONDEMNED},
		{VERDICT_TARGET, LANE_AGAIN, NULL},
		{VERDICT_GONE, LANE_AGAIN, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lane_free(lane);
		lane = lane_new(&config);
		offer(1, NOW, NOW);
		struct item *item = start(NOW);
		struct lane_decision decision = end(item, rows[i].kind, NOW);
		cr_assert_eq(decision.action, rows[i].action, "verdict %d", (int)rows[i].kind);
		if (rows[i].cause != NULL)
			cr_assert_str_eq(decision.cause, rows[i].cause);
		if (decision.action == LANE_AGAIN)
			cr_assert_eq(decision.due_ms, NOW + 1000);
		cr_assert_eq(decision.breaker_changed, rows[i].kind == VERDICT_TARGET || rows[i].kind == VERDICT_GONE);
		forget(item);
	}
}

Test(lane, attempts_are_counted_only_where_nothing_is_condemned)
{
	config.retry.max_attempts = 2;
	offer(1, NOW, NOW);
	struct item *item = start(NOW);
	item->attempts = 2;
	struct lane_decision decision = end(item, VERDICT_RETRY, NOW);
	cr_assert_eq(decision.action, LANE_DEAD);
	cr_assert_str_eq(decision.cause, CAUSE_ATTEMPTS);
	forget(item);
	offer(2, NOW, NOW);
	item = start(NOW);
	item->attempts = 50;
	cr_assert_eq(end(item, VERDICT_TARGET, NOW).action, LANE_AGAIN);
	forget(item);
}

Test(lane, an_inline_effect_that_may_refuse_is_tried_once)
{
	static const enum verdict_kind kinds[] = {VERDICT_RETRY, VERDICT_TARGET, VERDICT_GONE};

	config.delivery = DELIVERY_INLINE;
	for (int reject = 0; reject < 2; reject++) {
		config.on_failure = reject ? ON_FAILURE_REJECT : ON_FAILURE_ANSWER;
		for (size_t i = 0; i < 3; i++) {
			lane_free(lane);
			lane = lane_new(&config);
			offer(1, NOW, NOW);
			struct item *item = start(NOW);
			struct lane_decision decision = end(item, kinds[i], NOW);
			cr_assert_eq(decision.action, reject ? LANE_DEAD : LANE_AGAIN);
			if (reject)
				cr_assert_str_eq(decision.cause, CAUSE_REJECTED);
			forget(item);
		}
	}
}

Test(lane, an_open_breaker_parks_all_and_probes_one)
{
	for (int64_t row = 1; row <= 3; row++)
		offer(row, NOW, NOW);
	struct item *item = start(NOW);
	cr_assert(end(item, VERDICT_TARGET, NOW).breaker_changed);
	forget(item);
	cr_assert_null(start(NOW + 9999));
	cr_assert_eq(lane_due_ms(lane, NOW + 1), NOW + 10000);
	cr_assert_not(lane_busy(lane, NOW + 1), "a drain does not wait for a target that is condemned");
	struct item *probe = start(NOW + 10000);
	cr_assert_eq(probe->row, 2);
	cr_assert_null(start(NOW + 20000), "one probe at a time");
	cr_assert_eq(lane_due_ms(lane, NOW + 20000), INT64_MAX);
	deliver(probe, NOW + 20000);
	cr_assert_eq(start(NOW + 20000)->row, 3);
}

/* A probe that is never sent is no news: the next one may go. */
Test(lane, a_probe_that_can_not_be_built_makes_way)
{
	for (int64_t row = 1; row <= 3; row++)
		offer(row, NOW, NOW);
	struct item *item = start(NOW);
	end(item, VERDICT_TARGET, NOW);
	forget(item);
	struct item *probe = start(NOW + 10000);
	lane_withdraw(lane, probe);
	forget(probe);
	cr_assert_leq(lane_due_ms(lane, NOW + 10000), NOW + 10000);
	cr_assert_eq(start(NOW + 10000)->row, 3);
}

/* Attempts begun before the breaker opened end when they like; the probe's end decides. */
Test(lane, late_ends_do_not_speak_for_the_probe)
{
	struct item *items[4];

	for (int64_t row = 1; row <= 6; row++)
		offer(row, NOW, NOW);
	for (size_t i = 0; i < 4; i++)
		items[i] = start(NOW);
	end(items[0], VERDICT_TARGET, NOW);
	struct item *probe = start(NOW + 10000);
	cr_assert_not_null(probe);
	cr_assert_not(end(items[1], VERDICT_RETRY, NOW + 10001).breaker_changed);
	cr_assert_not(end(items[2], VERDICT_OK, NOW + 10002).breaker_changed);
	cr_assert_null(start(NOW + 10002), "the probe is still under way");
	cr_assert(end(probe, VERDICT_OK, NOW + 10003).breaker_changed);
	cr_assert_eq(lane_breaker(lane)->state, BREAKER_CLOSED);
	cr_assert_eq(start(NOW + 10003)->row, 6);
	forget(items[0]);
	forget(items[1]);
	forget(items[2]);
	forget(probe);
}

Test(lane, gone_is_for_good)
{
	offer(1, NOW, NOW);
	offer(2, NOW, NOW);
	struct item *item = start(NOW);
	end(item, VERDICT_GONE, NOW);
	forget(item);
	cr_assert_null(start(NOW + 100 * (int64_t)HOUR_MS));
	cr_assert_eq(lane_due_ms(lane, NOW + 1), INT64_MAX);
	cr_assert(lane_breaker(lane)->paused);
}

Test(lane, oldest_due)
{
	offer(1, NOW - 50, NOW);
	offer(2, NOW - 90, NOW);
	cr_assert_eq(lane_oldest_due_ms(lane), NOW - 50);
	deliver(start(NOW), NOW);
	cr_assert_eq(lane_oldest_due_ms(lane), NOW - 90);
	deliver(start(NOW), NOW);
	cr_assert_eq(lane_oldest_due_ms(lane), 0);
}

Test(lane, a_drain_takes_everything_that_is_not_under_way)
{
	int taken = 0;

	offer(1, NOW, NOW);
	struct item *flying = start(NOW);
	for (int64_t row = 2; row <= 10; row++)
		offer(row, NOW, NOW);
	offer(11, NOW + 100, NOW);
	offer(0, NOW + 100, NOW);
	offer(0, NOW, NOW);
	hold(12);
	for (struct item *item = lane_take(lane); item != NULL; item = lane_take(lane)) {
		cr_assert_eq(item->place, ITEM_LOOSE);
		cr_assert_neq(item, flying);
		item_free(item);
		taken++;
	}
	cr_assert_eq(taken, 13);
	deliver(flying, NOW);
}
