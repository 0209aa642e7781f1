#include "tests/support/outbox_rows.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"

void outbox_store_make(struct outbox_store *made)
{
	char why[256] = "";

	scratch_make(&made->scratch);
	if (store_open(made->scratch.url, &made->store, why) != 0)
		harness_fail("store: %s", why);
	made->db = store_writer(made->store);
}

void outbox_store_remove(struct outbox_store *made)
{
	store_close(made->store);
	scratch_remove(&made->scratch);
}

struct event *outbox_rows_event_at(struct db *db, int number, int64_t created_ms)
{
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%026d", number);
	struct event *event =
		event_new(id, "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "{\"n\":1}", 7, "00-ab", created_ms);
	if (event == NULL || outbox_add_event(db, event, "chat,analytics") != 0 || event->row <= 0)
		harness_fail("event %d: %s", number, db_message(db));
	return event;
}

struct event *outbox_rows_event(struct db *db, int number)
{
	return outbox_rows_event_at(db, number, 1000);
}

int64_t outbox_rows_add(struct db *db, const struct event *event, const char *effect, int64_t due_ms)
{
	int64_t row = 0;

	if (outbox_add_effect(db, event,
		    &(struct new_effect){.effect = effect, .delivery = "durable", .due_ms = due_ms}, &row) != 0 ||
		row <= 0)
		harness_fail("effect %s: %s", effect, db_message(db));
	return row;
}

int64_t outbox_rows_alone(struct db *db, const char *effect, int64_t due_ms)
{
	static int number = 1000;
	struct event *event = outbox_rows_event(db, number++);
	int64_t row = outbox_rows_add(db, event, effect, due_ms);

	event_unref(event);
	return row;
}

struct settlement outbox_rows_settlement(int64_t row, int attempt, enum effect_state state)
{
	return (struct settlement){.row = row,
		.attempt = attempt,
		.state = state,
		.due_ms = 9000,
		.now_ms = 5000,
		.effect = "crm",
		.cause = state == EFFECT_DEAD ? CAUSE_CONDEMNED : "",
		.reason = state == EFFECT_DELIVERED ? "" : "HTTP 500",
		.reply = state == EFFECT_DEAD ? "no" : NULL,
		.log = "[1]"};
}

size_t outbox_rows_settle(struct db *db, const char *effect, int64_t row, int attempt, enum effect_state state)
{
	struct settlement one = outbox_rows_settlement(row, attempt, state);
	size_t stale = 99;

	one.effect = effect;
	if (outbox_settle(db, &one, 1, &stale) != 0)
		harness_fail("settle: %s", db_message(db));
	return stale;
}

int due_rows_note(void *arg, const struct outbox_row *row)
{
	struct due_rows *due = arg;

	if (due->count == 64)
		harness_fail("more due rows than expected");
	due->rows[due->count] = row->row;
	due->attempts[due->count] = row->attempts;
	due->crashes[due->count] = row->crashes;
	due->alone[due->count] = row->crashed_alone;
	snprintf(due->log, sizeof(due->log), "%s", row->log);
	due->count++;
	return due->count == due->stop_after;
}

static struct due_rows read_due(
	struct db *db, const char *effect, enum outbox_class class, int64_t run, int64_t now_ms, int limit)
{
	struct due_rows due = {0};

	int seen = outbox_due(db, effect, class, run, now_ms, limit, due_rows_note, &due);
	if (seen != due.count)
		harness_fail("outbox_due returned %d, after %d rows", seen, due.count);
	return due;
}

struct due_rows due_rows(struct db *db, const char *effect, enum outbox_class class, int64_t now_ms, int limit)
{
	return read_due(db, effect, class, 1, now_ms, limit);
}

struct due_rows due_rows_of(struct db *db, const char *effect, enum outbox_class class, int64_t run, int64_t now_ms)
{
	return read_due(db, effect, class, run, now_ms, 64);
}

struct wanted {
	const char *effect, *kind;
	int64_t count;
};

static int find_count(void *arg, const char *effect, const char *kind, int64_t count)
{
	struct wanted *wanted = arg;

	if (strcmp(effect, wanted->effect) == 0 && strcmp(kind, wanted->kind) == 0)
		wanted->count = count;
	return 0;
}

int64_t outbox_rows_count(struct db *db, const char *effect, const char *kind)
{
	struct wanted wanted = {.effect = effect, .kind = kind};

	if (outbox_counts(db, find_count, &wanted) != 0)
		harness_fail("counts: %s", db_message(db));
	return wanted.count;
}

int64_t outbox_rows_number(struct db *db, const char *sql)
{
	struct db_statement *s = NULL;

	if (db_prepare(db, sql, &s) != 0 || db_step(s) != 1)
		harness_fail("%s: %s", sql, db_message(db));
	int64_t number = db_int(s, 0);
	db_finish(s);
	return number;
}

bool outbox_rows_add_up(struct db *db)
{
	static const char sql[] =
		"SELECT count(*) FROM (SELECT effect, CASE state WHEN 0 THEN 'pending' ELSE cause END AS kind,"
		" count(*) AS count FROM effects WHERE state IN (0, 2) GROUP BY 1, 2) AS f FULL JOIN"
		" (SELECT * FROM counters WHERE count <> 0) AS c ON c.effect = f.effect AND c.kind = f.kind"
		" WHERE f.count IS NULL OR c.count IS NULL OR f.count <> c.count";

	return outbox_rows_number(db, sql) == 0;
}
