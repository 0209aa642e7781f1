#include "tests/support/outbox_rows.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"

struct event *outbox_rows_event(struct db *db, int number)
{
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%026d", number);
	struct event *event = event_new(id, "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "{\"n\":1}", 7, "00-ab", 1000);
	if (event == NULL || outbox_add_event(db, event, "chat,analytics") != 0 || event->row <= 0)
		harness_fail("event %d: %s", number, db_message(db));
	return event;
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

int due_rows_note(void *arg, const struct outbox_row *row)
{
	struct due_rows *due = arg;

	if (due->count == 64)
		harness_fail("more due rows than expected");
	due->rows[due->count] = row->row;
	due->attempts[due->count] = row->attempts;
	snprintf(due->log, sizeof(due->log), "%s", row->log);
	due->count++;
	return due->count == due->stop_after;
}

struct due_rows due_rows(struct db *db, const char *effect, int64_t now_ms, int limit)
{
	struct due_rows due = {0};

	int seen = outbox_due(db, effect, OUTBOX_FIRST, 1, now_ms, limit, due_rows_note, &due);
	if (seen != due.count)
		harness_fail("outbox_due returned %d, after %d rows", seen, due.count);
	return due;
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
