/* Runs of the process as the outbox knows them: what was in flight at the end of one, and what time it was. */
#include "background/store/outbox.h"

#include <criterion/criterion.h>

#include "tests/support/outbox_rows.h"

static struct outbox_store opened;
static struct db *db;

static void setup(void)
{
	outbox_store_make(&opened);
	db = opened.db;
}

static void teardown(void)
{
	outbox_store_remove(&opened);
}

TestSuite(outbox_runs, .init = setup, .fini = teardown);

static void start(int64_t run, int64_t row, int attempt, bool alone)
{
	struct started started = {.row = row, .attempt = attempt, .alone = alone};

	cr_assert_eq(outbox_mark_started(db, run, &started, 1), 0);
}

static int crashes(enum outbox_class class, int64_t run)
{
	struct due_rows seen = due_rows_of(db, "crm", class, run, 100000);

	cr_assert_eq(seen.count, 1);
	return seen.crashes[0];
}

static bool crashed_alone(enum outbox_class class, int64_t run)
{
	struct due_rows seen = due_rows_of(db, "crm", class, run, 100000);

	cr_assert_eq(seen.count, 1);
	return seen.alone[0];
}

struct begun {
	int64_t run, back_ms, rows;
};

static struct begun begin(int64_t now_ms)
{
	struct begun begun = {0};

	cr_assert_eq(outbox_begin_run(db, now_ms, &begun.run, &begun.back_ms, &begun.rows), 0, "%s", db_message(db));
	return begun;
}

/* A settlement by which the store learns the time. */
static void time_is(int64_t now_ms)
{
	struct settlement one = outbox_rows_settlement(outbox_rows_alone(db, "clock", 1), 1, EFFECT_DELIVERED);
	size_t stale = 0;

	one.effect = "clock";
	one.now_ms = now_ms;
	cr_assert_eq(outbox_settle(db, &one, 1, &stale), 0);
}

static int64_t again_at(int64_t due_ms)
{
	struct settlement one = outbox_rows_settlement(outbox_rows_alone(db, "crm", 1), 1, EFFECT_PENDING);
	size_t stale = 0;

	one.due_ms = due_ms;
	cr_assert_eq(outbox_settle(db, &one, 1, &stale), 0);
	return one.row;
}

Test(outbox_runs, what_is_in_flight_in_this_run_has_not_crashed)
{
	int64_t row = outbox_rows_alone(db, "crm", 100);

	cr_assert_eq(crashes(OUTBOX_FIRST, 1), 0);
	start(1, row, 1, false);
	cr_assert_eq(crashes(OUTBOX_FIRST, 1), 0);
	start(1, row, 2, true);
	cr_assert_eq(crashes(OUTBOX_FIRST, 1), 0);
	cr_assert_not(crashed_alone(OUTBOX_FIRST, 1));
	start(1, row, 3, false);
	cr_assert_eq(crashes(OUTBOX_FIRST, 1), 0);
}

Test(outbox_runs, what_another_run_had_in_flight_has_crashed)
{
	int64_t row = outbox_rows_alone(db, "crm", 100);

	start(1, row, 1, false);
	cr_assert_eq(crashes(OUTBOX_FIRST, 2), 1, "seen, though nothing was rewritten");
	cr_assert_not(crashed_alone(OUTBOX_FIRST, 2));
	start(2, row, 2, false);
	cr_assert_eq(crashes(OUTBOX_FIRST, 2), 1);
	cr_assert_eq(crashes(OUTBOX_FIRST, 3), 2);
	start(3, row, 3, true);
	cr_assert_eq(crashes(OUTBOX_FIRST, 3), 2);
	cr_assert_not(crashed_alone(OUTBOX_FIRST, 3));
	cr_assert_eq(crashes(OUTBOX_FIRST, 4), 3);
	cr_assert(crashed_alone(OUTBOX_FIRST, 4));
	start(4, row, 4, false);
	cr_assert_eq(crashes(OUTBOX_FIRST, 4), 3);
	cr_assert_eq(crashes(OUTBOX_FIRST, 5), 4);
	cr_assert_not(crashed_alone(OUTBOX_FIRST, 5), "at the last of them it had company");
}

Test(outbox_runs, what_has_ended_was_not_in_flight_at_a_later_crash)
{
	int64_t row = outbox_rows_alone(db, "crm", 100);

	start(1, row, 1, false);
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 1, EFFECT_PENDING), 0);
	cr_assert_eq(crashes(OUTBOX_AGAIN, 2), 0);
	start(2, row, 2, true);
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 2, EFFECT_PENDING), 0);
	cr_assert_eq(crashes(OUTBOX_AGAIN, 3), 0);
	start(3, row, 3, false);
	cr_assert_eq(crashes(OUTBOX_AGAIN, 4), 1);
	start(4, row, 4, false);
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 4, EFFECT_PENDING), 0);
	cr_assert_eq(crashes(OUTBOX_AGAIN, 5), 0, "an attempt that the process lives through clears it");
}

Test(outbox_runs, a_late_mark_says_nothing)
{
	int64_t row = outbox_rows_alone(db, "crm", 100);

	cr_assert_eq(outbox_rows_settle(db, "crm", row, 1, EFFECT_PENDING), 0);
	start(1, row, 1, false);
	cr_assert_eq(crashes(OUTBOX_AGAIN, 2), 0);
}

Test(outbox_runs, a_crash_leaves_rows_in_their_class)
{
	int64_t first = outbox_rows_alone(db, "crm", 100);
	int64_t again = again_at(9000);

	start(1, first, 1, false);
	start(1, again, 2, false);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_FIRST, 2, 0).rows[0], first, "due at once");
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_AGAIN, 2, 9000).rows[0], again);
}

Test(outbox_runs, a_spilled_effect_waits_for_its_time)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){
				     .effect = "crm", .delivery = "fire_and_forget", .attempts = 1, .due_ms = 2000},
			     &row),
		0);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_FIRST, 1, 9000).count, 0);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_AGAIN, 1, 1999).count, 0);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_AGAIN, 1, 2000).count, 1);
	event_unref(event);
}

Test(outbox_runs, runs_are_numbered)
{
	for (int64_t run = 1; run < 4; run++) {
		struct begun begun = begin(1000 * run);
		cr_assert_eq(begun.run, run);
		cr_assert_eq(begun.back_ms, 0);
		cr_assert_eq(begun.rows, 0);
	}
}

Test(outbox_runs, a_clock_that_goes_on_moves_nothing)
{
	int64_t row = again_at(9000);

	time_is(8000);
	cr_assert_eq(begin(8000).back_ms, 0);
	cr_assert_eq(begin(8500).back_ms, 0);
	struct due_rows seen = due_rows_of(db, "crm", OUTBOX_AGAIN, 2, 9000);
	cr_assert_eq(seen.rows[0], row);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_AGAIN, 2, 8999).count, 0);
}

Test(outbox_runs, a_clock_that_went_back_brings_rows_forward)
{
	int64_t late = again_at(100000); /* waits 10 s more at 90,000 */
	int64_t due = again_at(20000);
	int64_t first = outbox_rows_alone(db, "crm", 95000);

	time_is(90000);
	struct begun begun = begin(30000);
	cr_assert_eq(begun.back_ms, 60000);
	cr_assert_eq(begun.rows, 1);
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_AGAIN, 1, 39999).count, 1);
	struct due_rows seen = due_rows_of(db, "crm", OUTBOX_AGAIN, 1, 40000);
	cr_assert_eq(seen.count, 2);
	cr_assert_eq(seen.rows[0], due);
	cr_assert_eq(seen.rows[1], late, "it waits 10 s still");
	cr_assert_eq(due_rows_of(db, "crm", OUTBOX_FIRST, 1, 30000).rows[0], first);

	begun = begin(30000);
	cr_assert_eq(begun.back_ms, 0, "the store knows the new time");
	cr_assert_eq(begun.run, 2);
}

Test(outbox_runs, the_clock_of_the_store_keeps_the_latest_time)
{
	time_is(5000);
	time_is(4000);
	cr_assert_eq(begin(4500).back_ms, 500);
}

Test(outbox_runs, a_stale_settlement_tells_the_time_as_well)
{
	struct settlement stale_one = outbox_rows_settlement(4711, 1, EFFECT_DELIVERED);
	size_t stale = 0;

	cr_assert_eq(outbox_settle(db, &stale_one, 1, &stale), 0);
	cr_assert_eq(stale, 1);
	cr_assert(stale_one.stale);
	cr_assert_eq(begin(4000).back_ms, 1000);
}

Test(outbox_runs, one_settling_writes_the_time_once)
{
	enum { ROWS = 40 };
	static struct settlement all[ROWS];
	size_t stale = 99;

	for (int i = 0; i < ROWS; i++) {
		all[i] = outbox_rows_settlement(outbox_rows_alone(db, "crm", 100), 1, EFFECT_DELIVERED);
		all[i].now_ms = 5000 + i % 7;
	}
	cr_assert_eq(
		db_execute(db, "CREATE TABLE writes (n BIGINT); INSERT INTO writes VALUES (0);"
			       "CREATE TRIGGER a AFTER UPDATE ON outbox_run BEGIN UPDATE writes SET n = n + 1; END"),
		0);
	cr_assert_eq(outbox_settle(db, all, ROWS, &stale), 0);
	cr_assert_eq(outbox_rows_number(db, "SELECT n FROM writes"), 1);
	cr_assert_eq(outbox_rows_number(db, "SELECT latest_ms FROM outbox_run"), 5006);
}

Test(outbox_runs, a_run_begins_within_a_transaction_as_well)
{
	struct begun begun = {0};

	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(outbox_begin_run(db, 1000, &begun.run, &begun.back_ms, &begun.rows), 0);
	cr_assert(db_in_transaction(db), "it is the caller's to end");
	db_rollback(db);
	cr_assert_eq(begin(1000).run, 1);
}
