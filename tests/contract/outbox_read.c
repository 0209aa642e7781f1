/* Reading the outbox: order, bounds, whole rows, and what a search costs beside a million other rows. */
#include "background/store/outbox.h"

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

TestSuite(outbox_read, .init = setup, .fini = teardown);

static int64_t add_alone(const char *effect, int64_t due_ms)
{
	return outbox_rows_alone(db, effect, due_ms);
}

/* One that an attempt has left pending until then. */
static int64_t add_again(const char *effect, int64_t due_ms)
{
	struct settlement one = outbox_rows_settlement(add_alone(effect, 50), 1, EFFECT_PENDING);
	size_t stale = 0;

	one.effect = effect;
	one.due_ms = due_ms;
	cr_assert_eq(outbox_settle(db, &one, 1, &stale), 0);
	cr_assert_eq(stale, 0);
	return one.row;
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
	cr_assert_eq(row->part, 0);
	cr_assert_str_eq(row->recipient, "");
	cr_assert_eq(row->spent, 0);
	cr_assert_not(row->again);
	cr_assert_eq(row->crashes, 0);
	cr_assert_not(row->crashed_alone);
	cr_assert_eq(row->since_ms, 1000);
	(*calls)++;
	return 0;
}

static int see_part(void *arg, const struct outbox_row *row)
{
	(void)arg;
	cr_assert_eq(row->part, 2);
	cr_assert_str_eq(row->recipient, "zoë@example.com");
	return 0;
}

static int see_part_of_event(void *arg, const struct outbox_effect *effect)
{
	(void)arg;
	cr_assert_eq(effect->part, 2);
	cr_assert_str_eq(effect->recipient, "zoë@example.com");
	return 42;
}

Test(outbox_read, what_is_added_is_read_back)
{
	struct event *event = outbox_rows_event(db, 1);
	int calls = 0;

	int64_t row = outbox_rows_add(db, event, "crm", 2000);
	cr_assert_eq(outbox_due(db, "crm", OUTBOX_FIRST, 1, 2000, 10, see_whole_row, &calls), 1);
	cr_assert_eq(calls, 1);
	struct due_rows seen = due_rows(db, "crm", OUTBOX_FIRST, 2000, 10);
	cr_assert_eq(seen.rows[0], row);
	cr_assert_eq(due_rows(db, "email", OUTBOX_FIRST, 2000, 10).count, 0);
	cr_assert_eq(outbox_rows_count(db, "crm", "pending"), 1);
	event_unref(event);
}

Test(outbox_read, a_row_comes_with_its_part_and_recipient)
{
	struct event *event = outbox_rows_event(db, 1);
	int64_t row = 0;

	cr_assert_eq(outbox_add_effect(db, event,
			     &(struct new_effect){.effect = "email",
				     .part = 2,
				     .recipient = "zoë@example.com",
				     .delivery = "durable",
				     .due_ms = 1},
			     &row),
		0);
	cr_assert_eq(outbox_due(db, "email", OUTBOX_FIRST, 1, 0, 10, see_part, NULL), 1);
	cr_assert_eq(outbox_event_effects(db, event->row, see_part_of_event, NULL), 42);
	event_unref(event);
}

Test(outbox_read, first_tries_are_due_at_once_and_come_in_order)
{
	static const int64_t at[] = {300, 100, 200, 100, 400};
	int64_t rows[5];

	for (size_t i = 0; i < 5; i++)
		rows[i] = add_alone("crm", at[i]);
	add_alone("email", 50);
	struct due_rows seen = due_rows(db, "crm", OUTBOX_FIRST, 0, 10);
	cr_assert_eq(seen.count, 5, "whatever the clock says");
	cr_assert_eq(seen.rows[0], rows[1]);
	cr_assert_eq(seen.rows[1], rows[3]);
	cr_assert_eq(seen.rows[2], rows[2]);
	cr_assert_eq(seen.rows[3], rows[0]);
	cr_assert_eq(seen.rows[4], rows[4]);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 1000, 2).count, 2);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 1000, 0).count, 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 1000, 10).count, 0);

	struct due_rows stopped = {.stop_after = 3};
	cr_assert_eq(outbox_due(db, "crm", OUTBOX_FIRST, 1, 1000, 10, due_rows_note, &stopped), 3);
	cr_assert_eq(stopped.count, 3);
}

Test(outbox_read, later_tries_are_due_at_their_time_and_come_in_order)
{
	static const int64_t at[] = {300, 100, 200, 100, 400};
	int64_t rows[5];

	for (size_t i = 0; i < 5; i++)
		rows[i] = add_again("crm", at[i]);
	add_again("email", 50);
	add_alone("crm", 50);
	struct due_rows seen = due_rows(db, "crm", OUTBOX_AGAIN, 300, 10);
	cr_assert_eq(seen.count, 4);
	cr_assert_eq(seen.rows[0], rows[1]);
	cr_assert_eq(seen.rows[1], rows[3]);
	cr_assert_eq(seen.rows[2], rows[2]);
	cr_assert_eq(seen.rows[3], rows[0]);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 1000, 2).count, 2);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 99, 10).count, 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 1000, 10).count, 1);
}

Test(outbox_read, the_next_due_time_is_of_later_tries)
{
	int64_t at = -1;

	add_alone("crm", 700);
	cr_assert_eq(outbox_next_due(db, "crm", 0, &at), 0, "a first try waits for no time");
	cr_assert_eq(at, -1);
	add_again("crm", 100);
	add_again("crm", 300);
	add_again("crm", 200);
	add_again("email", 50);
	cr_assert_eq(outbox_next_due(db, "crm", 0, &at), 1);
	cr_assert_eq(at, 100);
	cr_assert_eq(outbox_next_due(db, "crm", 100, &at), 1);
	cr_assert_eq(at, 200, "what is due already is not meant");
	cr_assert_eq(outbox_next_due(db, "crm", 300, &at), 0);
}

Test(outbox_read, the_oldest_due_time_is_of_either_class)
{
	int64_t at = -1;

	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 0);
	cr_assert_eq(at, -1);
	add_alone("crm", 300);
	int64_t first = add_alone("crm", 100);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
	cr_assert_eq(at, 100);
	cr_assert_eq(outbox_rows_settle(db, "crm", first, 1, EFFECT_DELIVERED), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
	cr_assert_eq(at, 300);
	add_again("crm", 200);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
	cr_assert_eq(at, 200);
	add_again("email", 50);
	cr_assert_eq(outbox_oldest_due(db, "email", &at), 1);
	cr_assert_eq(at, 50, "with none that is new");
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
	static const char prepared[] = "SELECT sql FROM sqlite_stmt WHERE sql LIKE 'SELECT%FROM effects%effect = $%'"
				       " AND sql NOT LIKE '%sqlite_stmt%'";
	static char plans[8][1024];
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
			by_index += strstr(detail, "effects_due (effect=? AND again=?") != NULL;
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

	cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 1, 10).count, 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 1, 10).count, 0);
	cr_assert_eq(outbox_next_due(db, "crm", 1, &at), 0);
	cr_assert_eq(outbox_oldest_due(db, "crm", &at), 0);
	cr_assert_eq(check_plans(), 4);
}

Test(outbox_read, searches_do_not_touch_what_is_not_theirs, .timeout = 60)
{
	/* a million rows that must not be touched: another effect's, settled ones, later ones */
	static const char fill[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
		" INSERT INTO effects (event, effect, delivery, state, attempts, due_ms, created_ms, settled_ms, cause,"
		" reason, log, again) SELECT 1, CASE i % 3 WHEN 0 THEN 'email' ELSE 'crm' END, 'durable',"
		" CASE i % 3 WHEN 1 THEN 1 ELSE 0 END, 0, CASE i % 3 WHEN 2 THEN 9000 ELSE 1 END, 1, 0, '', '', '[]', "
		"1 "
		"FROM n";
	struct event *event = outbox_rows_event(db, 1);
	int64_t at = 0;

	cr_assert_eq(event->row, 1);
	cr_assert_eq(db_execute(db, fill), 0);
	for (int i = 0; i < 5; i++)
		outbox_rows_add(db, event, "crm", 100 + i);
	/* a search that reads rows one by one would need minutes for this many */
	for (int i = 0; i < 2000; i++) {
		cr_assert_eq(due_rows(db, "crm", OUTBOX_FIRST, 200, 64).count, 5);
		cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 200, 64).count, 0);
		cr_assert_eq(outbox_next_due(db, "crm", 200, &at), 1);
		cr_assert_eq(at, 9000);
		cr_assert_eq(outbox_oldest_due(db, "crm", &at), 1);
		cr_assert_eq(at, 100);
	}
	event_unref(event);
}
