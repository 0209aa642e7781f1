/* The outbox as operators see and change it. */
#include "background/store/outbox_admin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(outbox_admin, .init = setup, .fini = teardown);

static int64_t add_dead(const char *effect, const char *cause)
{
	struct settlement one = outbox_rows_settlement(outbox_rows_alone(db, effect, 100), 1, EFFECT_DEAD);
	size_t stale = 0;

	one.effect = effect;
	one.cause = cause;
	cr_assert_eq(outbox_settle(db, &one, 1, &stale), 0);
	cr_assert_eq(stale, 0);
	return one.row;
}

/* A dead letter of an event that was created then. */
static int64_t add_dead_at(const char *effect, int number, int64_t created_ms)
{
	struct event *event = outbox_rows_event_at(db, number, created_ms);
	int64_t row = outbox_rows_add(db, event, effect, created_ms);

	cr_assert_eq(outbox_rows_settle(db, effect, row, 1, EFFECT_DEAD), 0);
	event_unref(event);
	return row;
}

struct rows {
	int count, stop_after;
	int64_t rows[16];
};

static int note(void *arg, const struct outbox_entry *entry)
{
	struct rows *rows = arg;

	rows->rows[rows->count++] = entry->row;
	return rows->count == rows->stop_after;
}

static struct rows list(const struct outbox_filter *filter, int64_t before_row, int limit)
{
	struct rows rows = {0};

	cr_assert_eq(outbox_list(db, filter, before_row, limit, note, &rows), rows.count);
	return rows;
}

static int count(struct outbox_filter filter)
{
	return list(&filter, 0, 16).count;
}

static struct outbox_tally replay(const struct outbox_filter *filter, int64_t after_row, int limit)
{
	struct outbox_tally tally;

	cr_assert_eq(outbox_replay(db, filter, after_row, limit, 7000, &tally), 0, "%s", db_message(db));
	cr_assert(outbox_rows_add_up(db));
	return tally;
}

static struct outbox_tally discard(const struct outbox_filter *filter)
{
	struct outbox_tally tally;

	cr_assert_eq(outbox_discard(db, filter, 0, 16, 7000, &tally), 0, "%s", db_message(db));
	cr_assert(outbox_rows_add_up(db));
	return tally;
}

static struct outbox_tally tally_of(struct outbox_filter filter)
{
	struct outbox_tally tally;

	cr_assert_eq(outbox_tally(db, &filter, &tally), 0, "%s", db_message(db));
	return tally;
}

static int see_entry(void *arg, const struct outbox_entry *entry)
{
	cr_assert_eq(entry->row, *(int64_t *)arg);
	cr_assert_str_eq(entry->event_id, "00000000000000000000000001");
	cr_assert_str_eq(entry->type, "user.login");
	cr_assert_str_eq(entry->subject, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
	cr_assert_str_eq(entry->effect, "email");
	cr_assert_str_eq(entry->recipient, "zoë@example.com");
	cr_assert_str_eq(entry->delivery, "durable");
	cr_assert_str_eq(entry->cause, CAUSE_CONDEMNED);
	cr_assert_str_eq(entry->reason, "HTTP 500");
	cr_assert_str_eq(entry->reply, "no");
	cr_assert_str_eq(entry->log, "[1]");
	cr_assert_eq(entry->part, 3);
	cr_assert_eq(entry->attempts, 1);
	cr_assert_eq(entry->spent, 0);
	cr_assert_eq(entry->state, EFFECT_DEAD);
	cr_assert_eq(entry->created_ms, 1000);
	cr_assert_eq(entry->due_ms, 2000);
	cr_assert_eq(entry->settled_ms, 5000);
	cr_assert_eq(entry->replayed_ms, 0);
	cr_assert_eq(entry->user_id, 7);
	return 0;
}

Test(outbox_admin, an_entry_has_all_that_is_known)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "email",
				     .part = 3,
				     .recipient = "zoë@example.com",
				     .delivery = "durable",
				     .due_ms = 2000},
			     &row),
		0);
	cr_assert_eq(outbox_rows_settle(db, "email", row, 1, EFFECT_DEAD), 0);
	cr_assert_eq(outbox_list(db, &(struct outbox_filter){.any_state = true}, 0, 2, see_entry, &row), 1);
	event_unref(event);
}

Test(outbox_admin, the_newest_come_first_and_page_by_page)
{
	struct outbox_filter dead = {.state = EFFECT_DEAD};
	int64_t rows[5];

	for (int i = 0; i < 5; i++) {
		rows[i] = add_dead("crm", CAUSE_AGE);
		(void)outbox_rows_alone(db, "crm", 1);
	}
	struct rows seen = list(&dead, 0, 2);
	cr_assert_eq(seen.count, 2);
	cr_assert_eq(seen.rows[0], rows[4]);
	cr_assert_eq(seen.rows[1], rows[3]);
	seen = list(&dead, seen.rows[1], 16);
	cr_assert_eq(seen.count, 3);
	cr_assert_eq(seen.rows[0], rows[2]);
	cr_assert_eq(seen.rows[2], rows[0]);
	cr_assert_eq(list(&dead, rows[0], 16).count, 0);
	cr_assert_eq(list(&dead, 0, 0).count, 0);

	struct rows stopped = {.stop_after = 1};
	cr_assert_eq(outbox_list(db, &dead, 0, 16, note, &stopped), 1);
}

Test(outbox_admin, a_filter_by_state)
{
	add_dead("crm", CAUSE_AGE);
	int64_t pending = outbox_rows_alone(db, "crm", 1);
	int64_t delivered = outbox_rows_alone(db, "crm", 1);

	cr_assert_eq(outbox_rows_settle(db, "crm", delivered, 1, EFFECT_DELIVERED), 0);
	struct rows seen = list(&(struct outbox_filter){.state = EFFECT_PENDING}, 0, 16);
	cr_assert_eq(seen.count, 1);
	cr_assert_eq(seen.rows[0], pending);
	seen = list(&(struct outbox_filter){.state = EFFECT_DELIVERED}, 0, 16);
	cr_assert_eq(seen.count, 1);
	cr_assert_eq(seen.rows[0], delivered);
	cr_assert_eq(count((struct outbox_filter){.any_state = true}), 3);
}

Test(outbox_admin, a_filter_by_effect_takes_its_targets)
{
	add_dead("hooks", CAUSE_AGE);
	add_dead("hooks.shop", CAUSE_AGE);
	add_dead("hooks.shopping", CAUSE_AGE);
	add_dead("hooks2", CAUSE_AGE);
	add_dead("hook", CAUSE_AGE);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .effect = "hooks"}), 3);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .effect = "hooks.shop"}), 1);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .effect = "hooks2"}), 1);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .effect = "none"}), 0);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_DEAD, .effect = "hooks"}).rows, 3);
}

Test(outbox_admin, a_filter_by_cause_and_time)
{
	add_dead_at("crm", 1, 2000);
	add_dead_at("crm", 2, 3000);
	add_dead_at("crm", 3, 4000);
	add_dead("crm", CAUSE_POISON); /* of 1000 */
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .cause = CAUSE_POISON}), 1);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .since_ms = 3000}), 2);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .until_ms = 3000}), 2);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .since_ms = 2000, .until_ms = 4000}), 2);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD, .cause = CAUSE_POISON, .since_ms = 2000}), 0);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_DEAD, .since_ms = 3000}).rows, 2);
}

Test(outbox_admin, a_filter_by_event_effect_and_part)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	add_dead("email", CAUSE_AGE);
	(void)outbox_rows_add(db, event, "crm", 1);
	for (int part = 1; part < 3; part++)
		cr_assert_eq(
			outbox_add_effect(db, event,
				&(struct new_effect){.effect = "email", .part = part, .delivery = "durable"}, &row),
			0);
	struct outbox_filter filter = {.event_id = event->id, .part = -1, .any_state = true};
	cr_assert_eq(count(filter), 3);
	filter.part = 2;
	cr_assert_eq(count(filter), 3, "a part without an effect says nothing");
	filter.effect = "email";
	cr_assert_eq(count(filter), 1);
	cr_assert_eq(list(&filter, 0, 2).rows[0], row);
	filter.part = -1;
	cr_assert_eq(count(filter), 2);
	filter.state = EFFECT_DEAD;
	filter.any_state = false;
	cr_assert_eq(count(filter), 0);
	filter.event_id = "00000000000000000000000009";
	filter.any_state = true;
	cr_assert_eq(count(filter), 0);
	event_unref(event);
}

static int see_replayed(void *arg, const struct outbox_row *row)
{
	cr_assert_eq(row->row, *(int64_t *)arg);
	cr_assert_eq(row->attempts, 1, "what it is fenced by never falls");
	cr_assert_eq(row->spent, 1);
	cr_assert_not(row->again);
	cr_assert_eq(row->since_ms, 7000);
	cr_assert_eq(row->created_ms, 1000);
	cr_assert_eq(row->due_ms, 7000);
	cr_assert_str_eq(row->log, "[1]");
	return 0;
}

static int see_replayed_entry(void *arg, const struct outbox_entry *entry)
{
	(void)arg;
	cr_assert_str_eq(entry->cause, "");
	cr_assert_str_eq(entry->reason, "");
	cr_assert_null(entry->reply);
	cr_assert_eq(entry->settled_ms, 0);
	cr_assert_eq(entry->replayed_ms, 7000);
	return 0;
}

Test(outbox_admin, what_is_replayed_is_owed_as_if_new)
{
	int64_t row = add_dead("crm", CAUSE_AGE);
	struct outbox_filter dead = {.state = EFFECT_DEAD};

	struct outbox_tally tally = replay(&dead, 0, 16);
	cr_assert_eq(tally.rows, 1);
	cr_assert_eq(tally.count, 1);
	cr_assert_str_eq(tally.items[0].effect, "crm");
	cr_assert_str_eq(tally.items[0].cause, CAUSE_AGE);
	cr_assert_eq(tally.items[0].rows, 1);
	cr_assert_not(tally.more);
	cr_assert_eq(tally.last_row, row);
	cr_assert_eq(outbox_due(db, "crm", OUTBOX_FIRST, 1, 0, 16, see_replayed, &row), 1);
	cr_assert_eq(outbox_list(db, &(struct outbox_filter){.any_state = true}, 0, 16, see_replayed_entry, NULL), 1);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_AGE), 0);
	cr_assert_eq(replay(&dead, 0, 16).rows, 0, "it is dead no more");

	cr_assert_eq(outbox_rows_settle(db, "crm", row, 2, EFFECT_DEAD), 0);
	cr_assert_eq(replay(&dead, 0, 16).rows, 1, "a dead letter may die again");
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 1, EFFECT_DELIVERED), 1, "an answer from before");
	cr_assert_eq(outbox_rows_settle(db, "crm", row, 3, EFFECT_DELIVERED), 0);
}

Test(outbox_admin, a_replay_takes_the_oldest_first_and_goes_on)
{
	struct outbox_filter dead = {.state = EFFECT_DEAD};
	int64_t rows[5];

	for (int i = 0; i < 5; i++)
		rows[i] = add_dead(i == 2 ? "email" : "crm", CAUSE_AGE);
	struct outbox_tally tally = replay(&dead, 0, 2);
	cr_assert_eq(tally.rows, 2);
	cr_assert_eq(tally.last_row, rows[1]);
	cr_assert(tally.more);
	tally = replay(&dead, tally.last_row, 2);
	cr_assert_eq(tally.rows, 2);
	cr_assert_eq(tally.count, 2);
	cr_assert_eq(tally.last_row, rows[3]);
	tally = replay(&dead, tally.last_row, 2);
	cr_assert_eq(tally.rows, 1);
	cr_assert_not(tally.more);
	tally = replay(&dead, 4711, 2);
	cr_assert_eq(tally.rows, 0);
	cr_assert_eq(tally.last_row, 4711);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 0, 16).count, 4);
	cr_assert_eq(due_rows(db, "email", OUTBOX_FIRST, 0, 16).count, 1);
}

Test(outbox_admin, a_call_changes_and_looks_at_a_bounded_number)
{
	static const char fill[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
		" INSERT INTO effects (event, effect, delivery, state, attempts, due_ms, created_ms, settled_ms, cause,"
		" reason, log) SELECT 1, 'email', 'durable', 2, 0, 1, 1, 1, 'age', '', '[]' FROM n;"
		"INSERT INTO counters (effect, kind, count) VALUES ('email', 'age', 3000)";
	struct event *event = outbox_rows_event(db, 1);
	struct outbox_filter dead = {.state = EFFECT_DEAD, .effect = "crm"};

	cr_assert_eq(event->row, 1);
	cr_assert_eq(db_execute(db, fill), 0, "%s", db_message(db));
	int64_t row = add_dead("crm", CAUSE_AGE);
	struct outbox_tally tally = replay(&dead, 0, 16);
	cr_assert_eq(tally.rows, 0);
	cr_assert_eq(tally.last_row, LIMIT_OUTBOX_LOOK);
	cr_assert(tally.more, "though it found none");
	tally = replay(&dead, tally.last_row, 16);
	cr_assert_eq(tally.rows, 1);
	cr_assert_eq(tally.last_row, row);
	cr_assert_not(tally.more);

	dead.effect = NULL;
	tally = replay(&dead, 0, 100000);
	cr_assert_eq(tally.rows, LIMIT_OUTBOX_BATCH);
	cr_assert(tally.more);
	event_unref(event);
}

Test(outbox_admin, a_call_ends_where_a_tally_is_full)
{
	struct outbox_filter dead = {.state = EFFECT_DEAD};
	char name[32];

	for (int i = 0; i < LIMIT_OUTBOX_FOLD + 2; i++) {
		snprintf(name, sizeof(name), "effect%d", i);
		add_dead(name, CAUSE_AGE);
	}
	struct outbox_tally counted = tally_of(dead);
	cr_assert_eq(counted.rows, LIMIT_OUTBOX_FOLD + 2);
	cr_assert_eq(counted.count, LIMIT_OUTBOX_FOLD);
	cr_assert(counted.more);
	struct outbox_tally tally = replay(&dead, 0, 500);
	cr_assert_eq(tally.rows, LIMIT_OUTBOX_FOLD);
	cr_assert(tally.more);
	tally = replay(&dead, tally.last_row, 500);
	cr_assert_eq(tally.rows, 2);
	cr_assert_not(tally.more);
}

Test(outbox_admin, what_is_discarded_is_given_up)
{
	int64_t pending = outbox_rows_alone(db, "crm", 1);
	int64_t dead = add_dead("crm", CAUSE_AGE);
	struct started started = {.row = pending, .attempt = 1};

	cr_assert_eq(outbox_mark_started(db, 1, &started, 1), 0);
	struct outbox_tally tally = discard(&(struct outbox_filter){.state = EFFECT_PENDING});
	cr_assert_eq(tally.rows, 1);
	cr_assert_str_eq(tally.items[0].cause, "");
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 0);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_AGE), 1);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 0, 16).count, 0);
	cr_assert_eq(outbox_rows_settle(db, "crm", pending, 1, EFFECT_DELIVERED), 1, "it comes too late");

	tally = discard(&(struct outbox_filter){.state = EFFECT_DEAD});
	cr_assert_eq(tally.rows, 1);
	cr_assert_str_eq(tally.items[0].cause, CAUSE_AGE);
	cr_assert_eq(outbox_rows_count(db, "crm", CAUSE_AGE), 0);
	struct rows seen = list(&(struct outbox_filter){.state = EFFECT_DISCARDED}, 0, 16);
	cr_assert_eq(seen.count, 2);
	cr_assert_eq(seen.rows[0], dead);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM effects WHERE settled_ms = 7000"), 2);
	cr_assert_eq(replay(&(struct outbox_filter){.state = EFFECT_DEAD}, 0, 16).rows, 0);
}

Test(outbox_admin, a_tally_changes_nothing_and_counts_all)
{
	add_dead("crm", CAUSE_AGE);
	add_dead("crm", CAUSE_AGE);
	add_dead("crm", CAUSE_POISON);
	outbox_rows_alone(db, "crm", 1);
	outbox_rows_alone(db, "email", 1);
	struct outbox_tally tally = tally_of((struct outbox_filter){.state = EFFECT_DEAD});
	cr_assert_eq(tally.rows, 3);
	cr_assert_eq(tally.count, 2);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_DEAD, .cause = CAUSE_AGE}).rows, 2);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_PENDING}).rows, 2);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_PENDING, .effect = "email"}).rows, 1);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_PENDING, .cause = CAUSE_AGE}).rows, 0);
	/* by rows, where the counters do not know */
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_DEAD, .since_ms = 1}).rows, 3);
	cr_assert_eq(tally_of((struct outbox_filter){.state = EFFECT_PENDING, .since_ms = 1}).rows, 2);
	cr_assert_eq(tally_of((struct outbox_filter){.any_state = true}).rows, 5);
	cr_assert_eq(count((struct outbox_filter){.state = EFFECT_DEAD}), 3);
}

/* The steps of the plan of a statement that this connection has prepared, whose text contains `part`. */
static void check_plan(const char *part, const char *index)
{
	static const char find[] = "SELECT sql FROM sqlite_stmt WHERE sql LIKE 'SELECT%FROM effects%'"
				   " AND sql LIKE $1";
	static char plans[8][1024];
	static int next;
	struct db_statement *s = NULL;
	bool used = false;

	cr_assert_eq(db_prepare(db, find, &s), 0);
	db_bind_text(s, 1, part);
	cr_assert_eq(db_step(s), 1, "%s", part);
	char *plan = plans[next++];
	snprintf(plan, sizeof(plans[0]), "EXPLAIN QUERY PLAN %s", db_text(s, 0));
	db_finish(s);
	cr_assert_eq(db_prepare(db, plan, &s), 0);
	while (db_step(s) == 1) {
		const char *detail = db_text(s, 3);
		used = used || strstr(detail, index) != NULL;
		cr_assert_null(strstr(detail, "SCAN"), "%s: %s", plan, detail);
		cr_assert_null(strstr(detail, "TEMP B-TREE"), "%s: %s", plan, detail);
	}
	db_finish(s);
	cr_assert(used, "%s", plan);
}

Test(outbox_admin, searches_use_an_index_and_sort_nothing)
{
	struct outbox_tally tally;

	(void)count((struct outbox_filter){.state = EFFECT_DEAD});
	(void)count((struct outbox_filter){.any_state = true});
	(void)count((struct outbox_filter){.event_id = "x"});
	cr_assert_eq(outbox_replay(db, &(struct outbox_filter){.state = EFFECT_DEAD}, 0, 1, 1, &tally), 0);
	check_plan("%state = 2)%DESC%", "effects_open (state=? AND id<?)");
	check_plan("%state = 2)%f.id LIMIT%", "effects_open (state=? AND id>?)");
	check_plan("%event_id = $1%DESC%", "effects_event (event=? AND rowid<?)");
	check_plan("%WHERE f.id <%", "INTEGER PRIMARY KEY (rowid<?)");
}
