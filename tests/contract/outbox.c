/* Writing the outbox: fences and counters. */
#include "background/store/outbox.h"

#include <criterion/criterion.h>
#include <stdio.h>

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

TestSuite(outbox, .init = setup, .fini = teardown);

static int64_t add_alone(const char *effect, int64_t due_ms)
{
	return outbox_rows_alone(db, effect, due_ms);
}

/* The number of stale ones. */
static size_t settle(int64_t row, int attempt, enum effect_state state)
{
	return outbox_rows_settle(db, "crm", row, attempt, state);
}

Test(outbox, an_event_is_stored_once)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = event->row;

	cr_assert_eq(outbox_add_event(db, event, ""), ERR_EXISTS);
	cr_assert_eq(event->row, row);
	event_unref(event);
}

Test(outbox, an_effect_needs_its_event)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = -1;

	event->row = 4711;
	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "crm", .delivery = "durable", .due_ms = 1}, &row),
		ERR_INVALID);
	cr_assert_eq(row, -1);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	event_unref(event);
}

Test(outbox, delivered_is_owed_no_more)
{
	int64_t row = add_alone("crm", 100);

	cr_assert_eq(settle(row, 1, EFFECT_DELIVERED), 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 100000, 10).count, 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
}

Test(outbox, a_retry_is_due_later)
{
	int64_t row = add_alone("crm", 100);

	cr_assert_eq(settle(row, 1, EFFECT_PENDING), 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 8999, 10).count, 0);
	struct due_rows seen = due_rows(db, "crm", OUTBOX_AGAIN, 9000, 10);
	cr_assert_eq(seen.count, 1);
	cr_assert_eq(seen.attempts[0], 1);
	cr_assert_str_eq(seen.log, "[1]");
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
}

Test(outbox, dead_is_counted_by_its_cause)
{
	int64_t row = add_alone("crm", 100);

	cr_assert_eq(settle(row, 1, EFFECT_DEAD), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_CONDEMNED), 1);
}

Test(outbox, dead_from_the_start)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "crm",
				     .delivery = "durable",
				     .dead_cause = CAUSE_BACKLOG_FULL,
				     .due_ms = 2000},
			     &row),
		0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 100000, 10).count, 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_BACKLOG_FULL), 1);
	cr_assert_eq(settle(row, 1, EFFECT_DELIVERED), 1, "it is not pending");
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_BACKLOG_FULL), 1);
	event_unref(event);
}

Test(outbox, a_spilled_effect_keeps_what_is_behind_it)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "crm",
				     .delivery = "fire_and_forget",
				     .attempts = 3,
				     .log = "[3]",
				     .due_ms = 2000},
			     &row),
		0);
	struct due_rows seen = due_rows(db, "crm", OUTBOX_AGAIN, 2000, 10);
	cr_assert_eq(seen.attempts[0], 3);
	cr_assert_str_eq(seen.log, "[3]");
	event_unref(event);
}

Test(outbox, settling_is_fenced_by_the_attempt)
{
	int64_t row = add_alone("crm", 100);
	struct started started = {.row = row, .attempt = 1};

	cr_assert_eq(settle(row, 2, EFFECT_DELIVERED), 1, "attempt 2 has not been begun after 0");
	cr_assert_eq(settle(row, 1, EFFECT_PENDING), 0, "attempt 1, its start not noted");
	started.attempt = 2;
	cr_assert_eq(outbox_mark_started(db, 1, &started, 1), 0);
	cr_assert_eq(settle(row, 1, EFFECT_DEAD), 1, "a late answer to attempt 1");
	cr_assert_eq(settle(row, 2, EFFECT_PENDING), 0, "attempt 2, its start noted");
	cr_assert_eq(settle(row, 3, EFFECT_DELIVERED), 0);
	cr_assert_eq(settle(row, 3, EFFECT_DEAD), 1, "it is settled");
	cr_assert_eq(settle(row, 4, EFFECT_PENDING), 1);
	cr_assert_eq(settle(4711, 1, EFFECT_DELIVERED), 1, "no such row");
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_CONDEMNED), 0);
}

Test(outbox, an_uncounted_attempt_is_given_back)
{
	int64_t row = add_alone("crm", 100);
	struct settlement one = outbox_rows_settlement(row, 1, EFFECT_PENDING);
	struct started started = {.row = row, .attempt = 1};
	size_t stale = 99;

	one.uncounted = true;
	cr_assert_eq(outbox_mark_started(db, 1, &started, 1), 0);
	cr_assert_eq(outbox_settle(db, &one, 1, &stale), 0);
	cr_assert_eq(stale, 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 9000, 10).attempts[0], 0);
	cr_assert_eq(settle(row, 1, EFFECT_DELIVERED), 0, "its number is used again");
}

Test(outbox, a_skip_needs_no_attempt)
{
	int64_t row = add_alone("crm", 100);

	cr_assert_eq(settle(row, 0, EFFECT_SKIPPED), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
}

Test(outbox, one_row_twice_in_a_call_counts_once)
{
	int64_t row = add_alone("crm", 100);
	struct settlement twice[2] = {
		outbox_rows_settlement(row, 1, EFFECT_DELIVERED), outbox_rows_settlement(row, 1, EFFECT_DELIVERED)};
	size_t stale = 0;

	cr_assert_eq(outbox_settle(db, twice, 2, &stale), 0);
	cr_assert_eq(stale, 1);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
}

static int count_writes(void *arg, const char *effect, const char *kind, int64_t count)
{
	(void)effect;
	(void)kind;
	*(int64_t *)arg += count;
	return 0;
}

Test(outbox, more_counters_than_are_folded_at_once)
{
	enum { EFFECTS = 150 };
	static struct settlement all[EFFECTS];
	static char names[EFFECTS][16];
	size_t stale = 99;
	int64_t total = 0;

	for (int i = 0; i < EFFECTS; i++) {
		snprintf(names[i], sizeof(names[i]), "effect%d", i);
		all[i] = outbox_rows_settlement(add_alone(names[i], 100), 1, EFFECT_DEAD);
		all[i].effect = names[i];
	}
	cr_assert_eq(outbox_settle(db, all, EFFECTS, &stale), 0);
	cr_assert_eq(stale, 0);
	for (int i = 0; i < EFFECTS; i++) {
		cr_assert_eq(outbox_rows_count(db, names[i], "pending"), 0);
		cr_assert_eq(outbox_rows_count(db, names[i], CAUSE_CONDEMNED), 1);
	}
	cr_assert_eq(outbox_counts(db, count_writes, &total), 0);
	cr_assert_eq(total, EFFECTS);
}

Test(outbox, one_call_writes_each_counter_once)
{
	enum { ROWS = 40 };
	static struct settlement all[ROWS];
	static const char sql[] = "SELECT n FROM writes";
	struct db_statement *s = NULL;
	size_t stale = 99;

	for (int i = 0; i < ROWS; i++)
		all[i] = outbox_rows_settlement(add_alone("crm", 100), 1, i % 2 == 0 ? EFFECT_DEAD : EFFECT_DELIVERED);
	cr_assert_eq(db_execute(db, "CREATE TABLE writes (n BIGINT); INSERT INTO writes VALUES (0);"
				    "CREATE TRIGGER a AFTER UPDATE ON counters BEGIN UPDATE writes SET n = n + 1; END;"
				    "CREATE TRIGGER b AFTER INSERT ON counters BEGIN UPDATE writes SET n = n + 1; END"),
		0);
	cr_assert_eq(outbox_settle(db, all, ROWS, &stale), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_CONDEMNED), ROWS / 2);
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	cr_assert_eq(db_step(s), 1);
	cr_assert_eq(db_int(s, 0), 2);
	db_finish(s);
}

Test(outbox, starts_are_noted_and_never_taken_back)
{
	int64_t row = add_alone("crm", 100);
	int64_t settled = add_alone("crm", 100);
	struct started both[2] = {{.row = row, .attempt = 1}, {.row = settled, .attempt = 5}};

	cr_assert_eq(settle(settled, 1, EFFECT_DELIVERED), 0);
	cr_assert_eq(outbox_mark_started(db, 1, both, 2), 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 100, 10).attempts[0], 1);
	cr_assert_eq(settle(row, 2, EFFECT_PENDING), 0);
	cr_assert_eq(outbox_mark_started(db, 1, both, 1), 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 9000, 10).attempts[0], 2);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
}

Test(outbox, a_transaction_undone_undoes_the_counts)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "crm", .delivery = "durable", .due_ms = 1}, &row),
		0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
	db_rollback(db);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	event_unref(event);
}
