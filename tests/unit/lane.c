/* One lane under a simulated clock: what is taken, what is sent when, what waits where. */
#include "background/delivery/lane.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/outbox.h"
#include "config/limits.h"

enum { NOW = 1000000, HOUR_MS = 3600000, WINDOW = LIMIT_LANE_WINDOW / 2 }; /* of each class */
enum { OPEN_MS = 12500 }; /* 10 s, and a quarter for the largest random number, which `end` takes */

static struct effect_config config;
static struct event *event;
static struct lane *lane;
static struct item *started[4 * WINDOW]; /* and not given back to the lane: a test may leave them so */
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

/* One that has been tried before. */
static struct item *offer_again(int64_t row, int64_t due_ms, int64_t now_ms)
{
	struct item *item = make(row, due_ms);

	item->again = true;
	if (lane_offer(lane, item, false, now_ms))
		return item;
	item_free(item);
	return NULL;
}

static struct item *offer_suspect(int64_t row, bool again)
{
	struct item *item = make(row, NOW);

	item->again = again;
	item->suspect = true;
	if (lane_offer(lane, item, false, NOW))
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

	lane_clear_suspect(lane, item);
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
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
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
	offer_again(1, NOW + 500, NOW);
	offer_again(2, NOW + 200, NOW);
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
	cr_assert_not(
		lane_wants_refill(lane, OUTBOX_FIRST, NOW + HOUR_MS), "a row that was held already is no overflow");
	cr_assert_not_null(offer(7, NOW, NOW));
}

/* Rows are found in the index by number modulo its size: those that meet there are told apart. */
Test(lane, rows_that_share_a_place_in_the_index)
{
	enum { SAME = 2 * LIMIT_LANE_WINDOW };

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
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW), "the window is nearly full");
	while (lane_holds(lane, WINDOW)) {
		struct item *item = start(NOW);
		deliver(item, NOW);
	}
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
	cr_assert_leq(lane_due_ms(lane, NOW), NOW);
	lane_refill_begin(lane, OUTBOX_FIRST);
	cr_assert_not_null(offer(WINDOW + 1, NOW, NOW));
	cr_assert_not_null(offer(WINDOW + 2, NOW, NOW));
	lane_refilled(lane, OUTBOX_FIRST, 2, WINDOW, INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
	cr_assert_not_null(offer(WINDOW + 3, NOW, NOW)); /* straight to memory again */
}

Test(lane, a_refill_that_read_as_many_as_it_may_has_more_behind_it)
{
	lane_note_disk(lane);
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
	lane_refill_begin(lane, OUTBOX_FIRST);
	for (int64_t row = 1; row <= 100; row++)
		cr_assert_not_null(offer(row, NOW, NOW));
	lane_refilled(lane, OUTBOX_FIRST, 100, 100, INT64_MAX);
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
	cr_assert_null(offer(1000, NOW, NOW));
	lane_refill_begin(lane, OUTBOX_FIRST);
	lane_refilled(lane, OUTBOX_FIRST, 99, 100, INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
}

static void refill(enum outbox_class class, int rows, int64_t next_due_ms)
{
	lane_refill_begin(lane, class);
	lane_refilled(lane, class, rows, WINDOW, next_due_ms);
}

Test(lane, the_disk_is_looked_at_when_its_next_row_is_due)
{
	lane_note_disk(lane);
	refill(OUTBOX_FIRST, 0, INT64_MAX);
	cr_assert(lane_wants_refill(lane, OUTBOX_AGAIN, NOW));
	refill(OUTBOX_AGAIN, 0, NOW + 700);
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 700);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_AGAIN, NOW + 699));
	cr_assert(lane_wants_refill(lane, OUTBOX_AGAIN, NOW + 700));
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW + 700));
	cr_assert_leq(lane_due_ms(lane, NOW + 700), NOW + 700);
	cr_assert_not_null(offer(1, NOW, NOW)); /* a later row on disk keeps nobody waiting */
	lane_drain(lane);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_AGAIN, NOW + 700));
}

/* The heap takes half of the retries' part; the other half stays free for those that are due. */
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
	cr_assert_not(lane_wants_refill(lane, OUTBOX_AGAIN, NOW));
	/* in memory the earliest is due at 1,001, on disk at 1,000 + half of it + 1 */
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 1001);
	int64_t disk_due = NOW + 1000 + WINDOW / 2 + 1;
	for (int64_t row = 1; row <= WINDOW / 2; row++)
		deliver(start(disk_due - 1), disk_due - 1);
	cr_assert_eq(lane_due_ms(lane, disk_due - 1), disk_due);
	cr_assert(lane_wants_refill(lane, OUTBOX_AGAIN, disk_due));
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, disk_due));
	/* an effect in memory has nowhere else to wait */
	offer(0, NOW, NOW);
	cr_assert(fail(start(NOW), NOW + 5, NOW));
}

/* A storm of retries fills its own part of the window and no more. */
Test(lane, retries_leave_the_part_of_first_tries_alone)
{
	for (int64_t row = 1; row <= WINDOW; row++)
		cr_assert_not_null(offer_again(row, NOW, NOW));
	cr_assert_null(offer_again(WINDOW + 1, NOW, NOW));
	for (int64_t row = 1; row <= WINDOW; row++)
		cr_assert_not_null(offer(10000 + row, NOW, NOW));
	cr_assert_null(offer(20000, NOW, NOW));
	/* each knows of its own backlog */
	for (int i = 0; i < 2 * WINDOW; i++)
		deliver(start(NOW), NOW);
	cr_assert(lane_wants_refill(lane, OUTBOX_AGAIN, NOW));
	refill(OUTBOX_AGAIN, 0, INT64_MAX);
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
}

/* With its first attempt a row leaves the part of the first tries. */
Test(lane, what_waits_in_backoff_takes_no_room_from_first_tries)
{
	config.breaker.failures = 10 * WINDOW;
	for (int64_t row = 1; row <= WINDOW / 2; row++) {
		offer(row, NOW, NOW);
		cr_assert(fail(start(NOW), NOW + 1000, NOW));
	}
	for (int64_t row = 1; row <= WINDOW; row++)
		cr_assert_not_null(offer(10000 + row, NOW, NOW));
	cr_assert_null(offer(20000, NOW, NOW));
}

Test(lane, first_tries_and_retries_take_turns)
{
	for (int64_t row = 1; row <= 6; row++)
		offer_again(row, NOW, NOW);
	for (int64_t row = 11; row <= 13; row++)
		offer(row, NOW, NOW);
	static const int64_t order[] = {11, 1, 12, 2, 13, 3, 4, 5, 6};
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		cr_assert_eq(start(NOW)->row, order[i], "at %zu", i);
	/* after a while of nothing but retries a first try comes next */
	offer_again(21, NOW, NOW);
	offer(22, NOW, NOW);
	cr_assert_eq(start(NOW)->row, 22);
}

Test(lane, a_first_try_is_due_whatever_the_clock_says)
{
	offer(1, NOW + HOUR_MS, NOW);
	cr_assert_leq(lane_due_ms(lane, NOW), NOW);
	cr_assert_eq(start(NOW)->row, 1);
}

Test(lane, it_begins_no_more_than_the_rate)
{
	config.rate = (struct rate_config){.per_second = 10, .burst = 3};
	lane_free(lane);
	lane = lane_new(&config);
	for (int64_t row = 1; row <= 6; row++)
		offer(row, NOW, NOW);
	for (int i = 0; i < 3; i++)
		cr_assert_not_null(start(NOW));
	cr_assert_null(start(NOW));
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 100);
	cr_assert_null(start(NOW + 99));
	struct item *item = start(NOW + 100);
	cr_assert_not_null(item);
	cr_assert_null(start(NOW + 100));
	/* one that was not sent costs nothing */
	lane_withdraw(lane, item);
	cr_assert_not_null(start(NOW + 100));
	cr_assert(lane_busy(lane, NOW + 100));
}

static struct lane_decision end_told(struct item *item, int64_t retry_after_ms, bool pauses_target, int64_t now_ms)
{
	const struct verdict verdict = {
		.kind = VERDICT_RETRY, .retry_after_ms = retry_after_ms, .pauses_target = pauses_target};

	lane_clear_suspect(lane, item);
	return lane_end(lane, item, &verdict, now_ms, 0);
}

Test(lane, a_retry_after_pauses_the_lane)
{
	struct item *items[4];

	for (int64_t row = 1; row <= 6; row++)
		offer(row, NOW, NOW);
	for (size_t i = 0; i < 4; i++)
		items[i] = start(NOW);
	struct lane_decision decision = end_told(items[0], 5000, true, NOW);
	cr_assert_eq(decision.told_until_ms, NOW + 5000);
	cr_assert_eq(decision.due_ms, NOW + 5000);
	cr_assert_eq(lane_told_until_ms(lane), NOW + 5000);
	cr_assert_null(start(NOW + 4999));
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 5000);
	/* a success does not end it, a shorter one does not shorten it, a longer one wins */
	deliver(items[1], NOW + 10);
	cr_assert_null(start(NOW + 10));
	cr_assert_eq(end_told(items[2], 100, true, NOW + 20).told_until_ms, 0);
	cr_assert_null(start(NOW + 4999));
	cr_assert_eq(end_told(items[3], 9000, true, NOW + 30).told_until_ms, NOW + 9030);
	cr_assert_null(start(NOW + 9029));
	cr_assert_not(lane_busy(lane, NOW + 9029), "a drain does not wait for it");
	cr_assert_eq(lane_due_ms(lane, NOW + 30), NOW + 9030);
	cr_assert_eq(start(NOW + 9030)->row, 5);
	cr_assert_eq(lane_told_until_ms(lane), 0);
}

/* Of a status other than 429 and 503 it is the one effect's. */
Test(lane, not_every_retry_after_pauses_the_lane)
{
	offer(1, NOW, NOW);
	offer(2, NOW, NOW);
	struct lane_decision decision = end_told(start(NOW), 5000, false, NOW);
	cr_assert_eq(decision.told_until_ms, 0);
	cr_assert_eq(decision.due_ms, NOW + 5000);
	cr_assert_eq(start(NOW)->row, 2);
	cr_assert_eq(end_told(started[1], 0, true, NOW).told_until_ms, 0);
}

Test(lane, an_operator_holds_it_and_lets_it_go)
{
	for (int64_t row = 1; row <= 4; row++)
		offer(row, NOW, NOW);
	struct item *item = start(NOW);
	lane_pause(lane);
	cr_assert(lane_paused(lane));
	cr_assert_null(start(NOW + HOUR_MS));
	cr_assert_eq(lane_due_ms(lane, NOW), INT64_MAX);
	deliver(item, NOW); /* what is under way ends */
	cr_assert_null(start(NOW));
	cr_assert_not(lane_busy(lane, NOW));
	lane_resume(lane);
	cr_assert_not(lane_paused(lane));
	/* of a pause by Retry-After, of an open breaker, of a 410 */
	end_told(start(NOW), 5000, true, NOW);
	lane_resume(lane);
	end(start(NOW), VERDICT_TARGET, NOW);
	cr_assert_null(start(NOW));
	lane_resume(lane);
	item = start(NOW);
	cr_assert(item->probe);
	end(item, VERDICT_GONE, NOW);
	offer(5, NOW, NOW);
	cr_assert_null(start(NOW + HOUR_MS));
	lane_resume(lane);
	item = start(NOW);
	cr_assert(item->probe);
	deliver(item, NOW);
}

Test(lane, rows_that_were_changed_are_read_again)
{
	struct inline_wait *waiter = (struct inline_wait *)&config; /* only compared */

	for (int64_t row = 1; row <= 4; row++)
		offer(row, NOW, NOW);
	struct item *flying = start(NOW), *settling = start(NOW);
	end(settling, VERDICT_OK, NOW);
	offer_again(5, NOW, NOW);
	offer_again(6, NOW + 100, NOW);
	offer_again(0, NOW + 100, NOW);
	offer(0, NOW, NOW);
	hold(7);
	hold(8);
	lane_release(lane, 8, waiter);
	offer_suspect(9, false);
	lane_refill_begin(lane, OUTBOX_FIRST);
	lane_refilled(lane, OUTBOX_FIRST, 0, WINDOW, INT64_MAX);
	lane_reread(lane);
	static const bool held[] = {false, true, true, false, false, false, false, true, true, false};
	for (int64_t row = 1; row < 10; row++)
		cr_assert_eq(lane_holds(lane, row), held[row], "row %ld", row);
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW) && lane_wants_refill(lane, OUTBOX_AGAIN, NOW));
	cr_assert_eq(start(NOW)->row, 8);
	cr_assert_eq(start(NOW)->row, 0);
	cr_assert_null(start(NOW + 99));
	cr_assert_eq(start(NOW + 100)->row, 0);
	deliver(flying, NOW);
	forget(settling);
}

Test(lane, suspects_begin_only_when_asked_for)
{
	offer_suspect(1, false);
	offer_suspect(2, true);
	offer(3, NOW, NOW);
	cr_assert_eq(lane_suspect_since_ms(lane), 0);
	cr_assert_eq(start(NOW)->row, 3);
	cr_assert_null(start(NOW));
	cr_assert_eq(lane_suspect_since_ms(lane), NOW);
	cr_assert_eq(lane_due_ms(lane, NOW), INT64_MAX, "that it may be alone is not known here");
	cr_assert_null(start(NOW + 500));
	cr_assert_eq(lane_suspect_since_ms(lane), NOW);
	deliver(started[0], NOW + 500);
	cr_assert_not(lane_busy(lane, NOW + 500));
	struct item *item = lane_start_suspect(lane, NOW + 500);
	cr_assert_eq(item->row, 1);
	cr_assert_eq(lane_in_flight(lane), 1);
	cr_assert_null(start(NOW + 600));
	cr_assert_eq(lane_suspect_since_ms(lane), NOW + 600, "the next waits anew");
	/* it has proved to be none */
	started[started_count++] = item;
	cr_assert(fail(item, NOW + 700, NOW + 600));
	cr_assert_eq(start(NOW + 700)->row, 1);
}

Test(lane, suspects_wait_for_the_lane_as_well)
{
	offer(1, NOW, NOW);
	offer_suspect(2, false);
	end_told(start(NOW), 5000, true, NOW);
	cr_assert_null(start(NOW + 1));
	cr_assert_eq(lane_suspect_since_ms(lane), 0);
	cr_assert_null(lane_start_suspect(lane, NOW + 1));
	cr_assert_eq(lane_due_ms(lane, NOW + 1), NOW + 5000);
	cr_assert_null(start(NOW + 5000));
	cr_assert_eq(lane_suspect_since_ms(lane), NOW + 5000);
	struct item *item = lane_start_suspect(lane, NOW + 5000);
	cr_assert_eq(item->row, 2);
	deliver(item, NOW + 5000);
}

/* However many there are, they keep nobody else out of memory. */
Test(lane, suspects_have_room_of_their_own)
{
	for (int64_t row = 1; row <= LIMIT_LANE_SUSPECTS; row++)
		cr_assert_not_null(offer_suspect(row, false));
	cr_assert_null(offer_suspect(1000, false));
	cr_assert_null(offer_suspect(1001, true));
	for (int64_t row = 1; row <= WINDOW; row++)
		cr_assert_not_null(offer(2000 + row, NOW, NOW));
	for (int64_t row = 1; row <= WINDOW; row++)
		deliver(start(NOW), NOW);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW), "there is no room for more suspects");
	for (int64_t row = 1; row <= LIMIT_LANE_SUSPECTS; row++)
		deliver(lane_start_suspect(lane, NOW), NOW);
	cr_assert(lane_wants_refill(lane, OUTBOX_FIRST, NOW) && lane_wants_refill(lane, OUTBOX_AGAIN, NOW));
	refill(OUTBOX_FIRST, 0, INT64_MAX);
	cr_assert_not(lane_wants_refill(lane, OUTBOX_FIRST, NOW));
}

Test(lane, one_that_is_not_to_be_sent_is_settling)
{
	struct item *item = make(1, NOW);

	cr_assert(lane_adopt(lane, item));
	cr_assert_null(lane_start_suspect(lane, NOW));
	cr_assert_null(start(NOW));
	cr_assert_null(offer(1, NOW, NOW));
	struct item *twice = make(1, NOW);
	cr_assert_not(lane_adopt(lane, twice));
	item_free(twice);
	cr_assert_null(lane_take(lane));
	lane_forget(lane, item);
	cr_assert_not(lane_holds(lane, 1));
	item_free(item);
}

/* Attempts before a replay are no longer counted, and the age counts from it. */
Test(lane, a_replay_starts_anew)
{
	config.retry.max_attempts = 3;
	offer(1, NOW, NOW);
	struct item *item = start(NOW);
	item->attempts = 5;
	item->spent = 3;
	item->since_ms = NOW + config.retry.max_age_ms;
	cr_assert_eq(end(item, VERDICT_RETRY, NOW + config.retry.max_age_ms).action, LANE_AGAIN);
	forget(item);
	offer(2, NOW, NOW);
	item = start(NOW);
	item->attempts = 6;
	item->spent = 3;
	struct lane_decision decision = end(item, VERDICT_RETRY, NOW);
	cr_assert_str_eq(decision.cause, CAUSE_ATTEMPTS);
	cr_assert_not_null(decision.why);
	forget(item);
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
	cr_assert_null(start(NOW + OPEN_MS - 1));
	cr_assert_eq(lane_due_ms(lane, NOW + 1), NOW + OPEN_MS);
	cr_assert_not(lane_busy(lane, NOW + 1), "a drain does not wait for a target that is condemned");
	struct item *probe = start(NOW + OPEN_MS);
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
	struct item *probe = start(NOW + OPEN_MS);
	lane_withdraw(lane, probe);
	forget(probe);
	cr_assert_leq(lane_due_ms(lane, NOW + OPEN_MS), NOW + OPEN_MS);
	cr_assert_eq(start(NOW + OPEN_MS)->row, 3);
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
	struct item *probe = start(NOW + OPEN_MS);
	cr_assert_not_null(probe);
	cr_assert_not(end(items[1], VERDICT_RETRY, NOW + OPEN_MS + 1).breaker_changed);
	cr_assert_not(end(items[2], VERDICT_OK, NOW + OPEN_MS + 2).breaker_changed);
	cr_assert_null(start(NOW + OPEN_MS + 2), "the probe is still under way");
	cr_assert(end(probe, VERDICT_OK, NOW + OPEN_MS + 3).breaker_changed);
	cr_assert_eq(lane_breaker(lane)->state, BREAKER_CLOSED);
	cr_assert_eq(start(NOW + OPEN_MS + 3)->row, 6);
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

/* Else nobody would see that it waits: nothing else happens to a lane that is paused. */
Test(lane, what_becomes_due_while_nothing_may_begin_is_seen)
{
	offer_again(1, NOW + 100, NOW);
	offer_again(2, NOW + 200, NOW);
	lane_pause(lane);
	cr_assert_eq(lane_due_ms(lane, NOW), NOW + 100);
	cr_assert_eq(lane_due_ms(lane, NOW + 101), NOW + 100, "until it has been looked at");
	cr_assert_null(start(NOW + 101));
	cr_assert_eq(lane_oldest_due_ms(lane), NOW + 100);
	cr_assert_eq(lane_due_ms(lane, NOW + 101), INT64_MAX, "that others wait, too, is no news");
	lane_resume(lane);
	deliver(start(NOW + 101), NOW + 101);
	cr_assert_eq(lane_oldest_due_ms(lane), 0);
	/* the same with a pause that ends by itself, after the second is due */
	offer(3, NOW, NOW);
	end_told(start(NOW + 101), 1000, true, NOW + 101);
	cr_assert_eq(lane_due_ms(lane, NOW + 101), NOW + 200);
	cr_assert_null(start(NOW + 200));
	cr_assert_eq(lane_oldest_due_ms(lane), NOW + 200);
	cr_assert_eq(lane_due_ms(lane, NOW + 200), NOW + 1101);
}

Test(lane, a_drain_takes_everything_that_is_not_under_way)
{
	int taken = 0;

	offer(1, NOW, NOW);
	struct item *flying = start(NOW);
	for (int64_t row = 2; row <= 10; row++)
		offer(row, NOW, NOW);
	offer_again(11, NOW + 100, NOW);
	offer_again(0, NOW + 100, NOW);
	offer(0, NOW, NOW);
	hold(12);
	offer_suspect(13, false);
	for (struct item *item = lane_take(lane); item != NULL; item = lane_take(lane)) {
		cr_assert_eq(item->place, ITEM_LOOSE);
		cr_assert_neq(item, flying);
		item_free(item);
		taken++;
	}
	cr_assert_eq(taken, 14);
	deliver(flying, NOW);
}
