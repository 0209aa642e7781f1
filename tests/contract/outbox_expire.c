/* Retention: what may go, what goes, and what is counted. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "background/store/outbox_admin.h"
#include "tests/support/outbox_rows.h"

/* Settlements of outbox_rows end at 5000. */
enum { BEFORE = 5000, BEHIND = 5001, NOW = 100000 };

static struct outbox_store opened;
static struct db *db;
static int number;

static void setup(void)
{
	outbox_store_make(&opened);
	db = opened.db;
}

static void teardown(void)
{
	outbox_store_remove(&opened);
}

TestSuite(outbox_expire, .init = setup, .fini = teardown);

/* An event with one effect in that state; the event's row. */
static int64_t add(const char *effect, enum effect_state state)
{
	struct event *event = outbox_rows_event(db, number++);
	int64_t event_row = event->row;
	int64_t row = outbox_rows_add(db, event, effect, 100);

	if (state == EFFECT_DISCARDED) {
		struct outbox_filter only = {.event_id = event->id};
		struct outbox_tally tally;
		cr_assert_eq(outbox_discard(db, &only, 0, 1, 5000, &tally), 0);
	} else if (state != EFFECT_PENDING) {
		cr_assert_eq(outbox_rows_settle(db, effect, row, 1, state), 0);
	}
	event_unref(event);
	return event_row;
}

/* What is the newest never goes: something has to be. */
static void add_newest(void)
{
	(void)add("newest", EFFECT_PENDING);
}

struct events {
	int looked;
	size_t count;
	int64_t rows[16], last;
};

static int note(void *arg, int64_t event_row)
{
	struct events *events = arg;

	events->rows[events->count++] = event_row;
	return events->count == 16;
}

static struct events expired(int64_t after, int64_t delivered_before_ms, int64_t dead_before_ms, int limit)
{
	struct events events = {.last = -1};

	events.looked =
		outbox_expired(db, after, delivered_before_ms, dead_before_ms, NOW, limit, note, &events, &events.last);
	cr_assert_geq(events.looked, 0, "%s", db_message(db));
	return events;
}

static struct outbox_tally remove_all(const struct events *events, int64_t delivered_before_ms, int64_t dead_before_ms)
{
	struct outbox_tally tally;

	cr_assert_eq(outbox_remove(db, events->rows, events->count, delivered_before_ms, dead_before_ms, &tally), 0,
		"%s", db_message(db));
	cr_assert(outbox_rows_add_up(db));
	return tally;
}

Test(outbox_expire, each_state_has_its_time)
{
	int64_t delivered = add("crm", EFFECT_DELIVERED);
	int64_t dead = add("crm", EFFECT_DEAD);
	int64_t discarded = add("crm", EFFECT_DISCARDED);
	int64_t skipped = add("crm", EFFECT_SKIPPED);
	add("crm", EFFECT_PENDING);
	add_newest();
	cr_assert_eq(expired(0, BEFORE, BEFORE, 16).count, 0);
	struct events gone = expired(0, BEHIND, BEFORE, 16);
	cr_assert_eq(gone.count, 3);
	cr_assert_eq(gone.rows[0], delivered);
	cr_assert_eq(gone.rows[1], discarded);
	cr_assert_eq(gone.rows[2], skipped);
	gone = expired(0, BEFORE, BEHIND, 16);
	cr_assert_eq(gone.count, 1);
	cr_assert_eq(gone.rows[0], dead);
	gone = expired(0, NOW, NOW, 16);
	cr_assert_eq(gone.count, 4, "what is pending stays for ever");
}

Test(outbox_expire, an_event_goes_with_all_its_rows_or_not_at_all)
{
	struct event *event = outbox_rows_event(db, number++);
	int64_t first = outbox_rows_add(db, event, "crm", 100);
	int64_t second = outbox_rows_add(db, event, "email", 100);

	add_newest();
	cr_assert_eq(outbox_rows_settle(db, "crm", first, 1, EFFECT_DELIVERED), 0);
	cr_assert_eq(expired(0, BEHIND, BEHIND, 16).count, 0);
	cr_assert_eq(outbox_rows_settle(db, "email", second, 1, EFFECT_DEAD), 0);
	cr_assert_eq(expired(0, BEHIND, BEFORE, 16).count, 0);
	cr_assert_eq(expired(0, BEFORE, BEHIND, 16).count, 0);
	cr_assert_eq(expired(0, BEHIND, BEHIND, 16).count, 1);
	event_unref(event);
}

Test(outbox_expire, an_event_without_rows_goes_by_its_own_time)
{
	struct event *event = outbox_rows_event(db, number++);

	add_newest();
	cr_assert_eq(expired(0, 1000, 5000, 16).count, 0);
	struct events gone = expired(0, 1001, 5000, 16);
	cr_assert_eq(gone.count, 1);
	cr_assert_eq(remove_all(&gone, 1001, 5000).rows, 1);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM events"), 1);
	event_unref(event);
}

Test(outbox_expire, the_walk_goes_on_behind_the_last_one)
{
	int64_t rows[4];

	for (int i = 0; i < 4; i++)
		rows[i] = add("crm", i == 1 ? EFFECT_PENDING : EFFECT_DELIVERED);
	add_newest();
	struct events gone = expired(0, BEHIND, BEHIND, 2);
	cr_assert_eq(gone.looked, 2, "one that stays is looked at, too");
	cr_assert_eq(gone.count, 1);
	cr_assert_eq(gone.last, rows[1]);
	gone = expired(gone.last, BEHIND, BEHIND, 2);
	cr_assert_eq(gone.looked, 2);
	cr_assert_eq(gone.count, 2);
	cr_assert_eq(gone.last, rows[3]);
	gone = expired(rows[3] + 1, BEHIND, BEHIND, 2);
	cr_assert_eq(gone.looked, 0);
	cr_assert_eq(gone.last, rows[3] + 1);
}

Test(outbox_expire, the_walk_ends_at_the_first_young_event)
{
	int64_t old = add("crm", EFFECT_DELIVERED);
	struct event *young = outbox_rows_event_at(db, number++, 6000);

	add("crm", EFFECT_DELIVERED);
	add_newest();
	struct events gone = expired(0, BEHIND, BEFORE, 16);
	cr_assert_eq(gone.looked, 1);
	cr_assert_eq(gone.last, old);
	event_unref(young);
}

Test(outbox_expire, one_from_the_future_hides_nothing)
{
	struct event *wrong = outbox_rows_event_at(db, number++, NOW + 1);
	int64_t old = add("crm", EFFECT_DELIVERED);

	add_newest();
	struct events gone = expired(0, BEHIND, BEFORE, 16);
	cr_assert_eq(gone.count, 1);
	cr_assert_eq(gone.rows[0], old);
	event_unref(wrong);
}

Test(outbox_expire, the_newest_event_and_row_stay)
{
	struct event *first = outbox_rows_event(db, number++);
	int64_t newest = add("crm", EFFECT_DELIVERED);

	cr_assert_gt(newest, first->row);
	int64_t row = outbox_rows_add(db, first, "crm", 100); /* spilled later than the newest event */
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 1, EFFECT_DELIVERED), 0);
	cr_assert_eq(expired(0, BEHIND, BEHIND, 16).count, 0);
	const struct events both = {.count = 2, .rows = {first->row, newest}};
	cr_assert_eq(remove_all(&both, BEHIND, BEHIND).rows, 0);
	(void)add("crm", EFFECT_DELIVERED);
	cr_assert_eq(expired(0, BEHIND, BEHIND, 16).count, 2);
	event_unref(first);
}

Test(outbox_expire, what_goes_is_counted)
{
	add("crm", EFFECT_DELIVERED);
	add("crm", EFFECT_DEAD);
	add("email", EFFECT_DEAD);
	int64_t last = add("crm", EFFECT_DEAD);
	add_newest();
	struct events gone = expired(0, BEHIND, BEHIND, 16);
	struct outbox_tally tally = remove_all(&gone, BEHIND, BEHIND);
	cr_assert_eq(tally.rows, 8, "events and effects");
	cr_assert_eq(tally.last_row, last);
	cr_assert_not(tally.more);
	cr_assert_eq(tally.count, 2);
	cr_assert_str_eq(tally.items[0].effect, "crm");
	cr_assert_str_eq(tally.items[0].cause, CAUSE_CONDEMNED);
	cr_assert_eq(tally.items[0].rows, 2);
	cr_assert_eq(tally.items[1].rows, 1);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_CONDEMNED), 0);
	cr_assert_eq(outbox_rows_count(db, "newest", "pending"), 1);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM effects"), 1);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM events"), 1);
}

Test(outbox_expire, what_was_replayed_meanwhile_stays)
{
	struct outbox_filter dead = {.state = EFFECT_DEAD};
	struct outbox_tally tally;

	add("crm", EFFECT_DEAD);
	add("crm", EFFECT_DELIVERED);
	add_newest();
	struct events gone = expired(0, BEHIND, BEHIND, 16);
	cr_assert_eq(gone.count, 2);
	cr_assert_eq(outbox_replay(db, &dead, 0, 16, 6000, &tally), 0);
	tally = remove_all(&gone, BEHIND, BEHIND);
	cr_assert_eq(tally.rows, 2);
	cr_assert_eq(tally.count, 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
	cr_assert_eq(remove_all(&gone, BEHIND, BEHIND).rows, 0, "gone already, or not to go");
}

Test(outbox_expire, a_job_removes_a_bounded_number)
{
	enum { EVENTS = 400 };
	static int64_t rows[EVENTS];
	struct outbox_tally tally;

	for (int i = 0; i < EVENTS; i++)
		rows[i] = add("crm", EFFECT_DELIVERED);
	add_newest();
	cr_assert_eq(outbox_remove(db, rows, EVENTS, BEHIND, BEHIND, &tally), 0);
	cr_assert_eq(tally.rows, LIMIT_OUTBOX_BATCH);
	cr_assert(tally.more);
	cr_assert_eq(tally.last_row, rows[LIMIT_OUTBOX_BATCH / 2 - 1]);
	cr_assert_eq(outbox_remove(db, &rows[LIMIT_OUTBOX_BATCH / 2], EVENTS - LIMIT_OUTBOX_BATCH / 2, BEHIND, BEHIND,
			     &tally),
		0);
	cr_assert_not(tally.more);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM effects"), 1);
}

Test(outbox_expire, more_causes_than_a_tally_holds)
{
	enum { EVENTS = LIMIT_OUTBOX_FOLD + 5 };
	static int64_t rows[EVENTS];
	struct outbox_tally tally;
	char name[32];

	for (int i = 0; i < EVENTS; i++) {
		snprintf(name, sizeof(name), "effect%d", i);
		rows[i] = add(name, EFFECT_DEAD);
	}
	add_newest();
	cr_assert_eq(outbox_remove(db, rows, EVENTS, BEHIND, BEHIND, &tally), 0);
	cr_assert_eq(tally.count, LIMIT_OUTBOX_FOLD);
	cr_assert(tally.more);
	cr_assert_eq(tally.last_row, rows[LIMIT_OUTBOX_FOLD - 1]);
	cr_assert(outbox_rows_add_up(db));
}
