/* Reading the outbox: order, bounds, whole rows, and what a search costs beside a million other rows. */
#include "background/store/outbox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "background/store/store.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/scratch.h"

static struct scratch scratch;
static struct store *store;
static struct db *db;

static void setup(void)
{
	char why[256] = "";

	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	db = store_writer(store);
}

static void teardown(void)
{
	store_close(store);
	scratch_remove(&scratch);
}

TestSuite(outbox_read, .init = setup, .fini = teardown);

static int64_t add_alone(const char *effect, int64_t due_ms)
{
	static int number = 1000;
	struct event *event = outbox_rows_event(db, number++);
	int64_t row = outbox_rows_add(db, event, effect, due_ms);

	event_unref(event);
	return row;
}

static int see_whole_row(void *arg, const struct outbox_row *row)
{
	int *calls = arg;

	cr_assert_str_eq(row->event_id, "00000000000000000000000001");
	cr_assert_str_eq(row->type, "user.login");
	cr_assert_str_eq(row->subject, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
	cr_assert_str_eq(row->data, "{\"n\":1}");
	cr_assert_str_eq(row->traceparent, "00-ab");
	cr_assert_str_eq(row->log, "[]");
	cr_assert_eq(row->created_ms, 1000);
	cr_assert_eq(row->user_id, 7);
	cr_assert_eq(row->attempts, 0);
	cr_assert_eq(row->due_ms, 2000);
	(*calls)++;
	return 0;
}

Test(outbox_read, what_is_added_is_read_back)
{
	struct event *event = outbox_rows_event(db, 1);
	int calls = 0;

	int64_t row = outbox_rows_add(db, event, "crm", 2000);
	cr_assert_eq(outbox_due(db, "crm", OUTBOX_FIRST, 1, 2000, 10, see_whole_row, &calls), 1);
	cr_assert_eq(calls, 1);
	struct due_rows seen = due_rows(db, "crm", 2000, 10);
	cr_assert_eq(seen.rows[0], row);
	cr_assert_eq(due_rows(db, "email", 2000, 10).count, 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
	event_unref(event);
}

Test(outbox_read, due_rows_come_in_order_and_within_the_limit)
{
	static const int64_t at[] = {300, 100, 200, 100, 400};
	int64_t rows[5];

	for (size_t i = 0; i < 5; i++)
		rows[i] = add_alone("crm", at[i]);
	add_alone("email", 50);
	struct due_rows seen = due_rows(db, "crm", 300, 10);
	cr_assert_eq(seen.count, 4);
	cr_assert_eq(seen.rows[0], rows[1]);
	cr_assert_eq(seen.rows[1], rows[3]);
	cr_assert_eq(seen.rows[2], rows[2]);
	cr_assert_eq(seen.rows[3], rows[0]);
	cr_assert_eq(due_rows(db, "crm", 1000, 2).count, 2);
	cr_assert_eq(due_rows(db, "crm", 1000, 0).count, 0);
	cr_assert_eq(due_rows(db, "crm", 99, 10).count, 0);

	struct due_rows stopped = {.stop_after = 3};
	cr_assert_eq(outbox_due(db, "crm", OUTBOX_FIRST, 1, 1000, 10, due_rows_note, &stopped), 3);
	cr_assert_eq(stopped.count, 3);
}

Test(outbox_read, the_next_and_the_oldest_due_time)
{
	int64_t at = -1;
	size_t stale = 0;

	cr_assert_eq(outbox_next_due(db, "crm", 0, &at), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 0);
	cr_assert_eq(at, -1);
	int64_t first = add_alone("crm", 100);
	add_alone("crm", 300);
	add_alone("crm", 200);
	cr_assert_eq(outbox_next_due(db, "crm", 0, &at), 1);
	cr_assert_eq(at, 100);
	cr_assert_eq(outbox_next_due(db, "crm", 100, &at), 1);
	cr_assert_eq(at, 200, "what is due already is not meant");
	cr_assert_eq(outbox_next_due(db, "crm", 300, &at), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
	cr_assert_eq(at, 100);
	struct settlement done = {.row = first,
		.attempt = 1,
		.state = EFFECT_DELIVERED,
		.effect = "crm",
		.cause = "",
		.reason = "",
		.log = "[]"};
	cr_assert_eq(outbox_settle(db, &done, 1, &stale), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
	cr_assert_eq(at, 200);
}

struct list {
	int count;
	char text[4][128];
};

static int list_effect(void *arg, const struct outbox_effect *effect)
{
	struct list *list = arg;

	snprintf(list->text[list->count++], sizeof(list->text[0]), "%s %s %s %d %lld %lld '%s' '%s' %s %s",
		effect->effect, effect->delivery, effect_state_text(effect->state), effect->attempts,
		(long long)effect->due_ms, (long long)effect->settled_ms, effect->cause, effect->reason,
		effect->reply != NULL ? effect->reply : "-", effect->log);
	return list->count == 3 ? 42 : 0;
}

Test(outbox_read, an_event_is_found_with_its_effects)
{
	struct event *event = outbox_rows_event(db, 1);
	struct outbox_event found = {0};
	struct list list = {0};
	size_t stale = 0;

	(void)outbox_rows_add(db, event, "email", 100);
	struct settlement dead = {.row = outbox_rows_add(db, event, "crm", 200),
		.attempt = 1,
		.state = EFFECT_DEAD,
		.now_ms = 5000,
		.effect = "crm",
		.cause = CAUSE_CONDEMNED,
		.reason = "HTTP 500",
		.reply = "no",
		.log = "[1]"};
	cr_assert_eq(outbox_settle(db, &dead, 1, &stale), 0);

	cr_assert_eq(outbox_find_event(db, "00000000000000000000000009", &found), ERR_NOT_FOUND);
	cr_assert_null(found.type);
	cr_assert_eq(outbox_find_event(db, event->id, &found), 0);
	cr_assert_eq(found.row, event->row);
	cr_assert_eq(found.user_id, 7);
	cr_assert_eq(found.created_ms, 1000);
	cr_assert_str_eq(found.type, "user.login");
	cr_assert_str_eq(found.subject, "01BX5ZZKBKACTAV9WEVGEMMVRZ");
	cr_assert_str_eq(found.unrecorded, "chat,analytics");
	cr_assert_eq(outbox_event_effects(db, found.row, list_effect, &list), 0);
	cr_assert_eq(list.count, 2);
	cr_assert_str_eq(list.text[0], "email durable pending 0 100 0 '' '' - []");
	cr_assert_str_eq(list.text[1], "crm durable dead 1 200 5000 'condemned' 'HTTP 500' no [1]");
	outbox_event_release(&found);

	(void)outbox_rows_add(db, event, "bus", 300);
	list.count = 0;
	cr_assert_eq(outbox_event_effects(db, event->row, list_effect, &list), 42, "the callback's word ends the walk");
	event_unref(event);
}

/* Asks for the plan of each statement on effects that this connection has prepared so far; returns how many. */
static int check_plans(void)
{
	static const char prepared[] = "SELECT sql FROM sqlite_stmt WHERE sql LIKE 'SELECT%FROM effects%effect = $1%'"
				       " AND sql NOT LIKE '%sqlite_stmt%'";
	static char plans[8][512];
	struct db_statement *s = NULL;
	int count = 0;

	cr_assert_eq(db_prepare(db, prepared, &s), 0, "%s", db_message(db));
	while (db_step(s) == 1) {
		cr_assert_lt(count, 8);
		snprintf(plans[count++], sizeof(plans[0]), "EXPLAIN QUERY PLAN %s", db_text(s, 0));
	}
	db_finish(s);
	for (int i = 0; i < count; i++) {
		int by_index = 0;
		cr_assert_eq(db_prepare(db, plans[i], &s), 0);
		while (db_step(s) == 1) {
			const char *detail = db_text(s, 3);
			by_index += strstr(detail, "effects_due (effect=?") != NULL;
			cr_assert_null(strstr(detail, "SCAN"), "%s: %s", plans[i], detail);
			cr_assert_null(strstr(detail, "TEMP B-TREE"), "%s: %s", plans[i], detail);
		}
		db_finish(s);
		cr_assert_eq(by_index, 1, "%s", plans[i]);
	}
	return count;
}

Test(outbox_read, searches_use_the_index_and_sort_nothing)
{
	int64_t at = 0;

	cr_assert_eq(due_rows(db, "crm", 1, 10).count, 0);
	cr_assert_eq(outbox_next_due(db, "crm", 1, &at), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 0);
	cr_assert_eq(check_plans(), 3);
}

Test(outbox_read, searches_do_not_touch_what_is_not_theirs, .timeout = 60)
{
	/* a million rows that must not be touched: another effect's, settled ones, later ones */
	static const char fill[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
		" INSERT INTO effects (event, effect, delivery, state, attempts, due_ms, created_ms, settled_ms, cause,"
		" reason, log) SELECT 1, CASE i % 3 WHEN 0 THEN 'email' ELSE 'crm' END, 'durable',"
		" CASE i % 3 WHEN 1 THEN 1 ELSE 0 END, 0, CASE i % 3 WHEN 2 THEN 9000 ELSE 1 END, 1, 0, '', '', '[]' "
		"FROM n";
	struct event *event = outbox_rows_event(db, 1);
	int64_t at = 0;

	cr_assert_eq(event->row, 1);
	cr_assert_eq(db_execute(db, fill), 0);
	for (int i = 0; i < 5; i++)
		outbox_rows_add(db, event, "crm", 100 + i);
	/* a search that reads rows one by one would need minutes for this many */
	for (int i = 0; i < 2000; i++) {
		cr_assert_eq(due_rows(db, "crm", 200, 64).count, 5);
		cr_assert_eq(due_rows(db, "crm", 99, 64).count, 0);
		cr_assert_eq(outbox_next_due(db, "crm", 200, &at), 1);
		cr_assert_eq(at, 9000);
		cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
		cr_assert_eq(at, 100);
	}
	event_unref(event);
}
