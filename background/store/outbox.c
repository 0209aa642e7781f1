/*
 * Writing the outbox. Each row that becomes pending or dead, or ceases to be, is counted
 * in the table counters by the same transaction: counts are then as durable as the rows,
 * and a start need not count a million of them.
 *
 * Rows settle in bulk, and many of them move the same few counters, so a call adds up the
 * changes in memory and writes each counter once.
 */
#include "background/store/outbox.h"

#include <assert.h>
#include <string.h>

#include "background/store/outbox_internal.h"
#include "config/limits.h"

struct fold {
	size_t count;
	struct {
		const char *effect, *kind;
		int64_t delta;
	} items[LIMIT_OUTBOX_FOLD];
};

const char *effect_state_text(enum effect_state state)
{
	switch (state) {
	case EFFECT_PENDING:
		return "pending";
	case EFFECT_DELIVERED:
		return "delivered";
	case EFFECT_DEAD:
		return "dead";
	case EFFECT_DISCARDED:
		return "discarded";
	case EFFECT_SKIPPED:
		return "skipped";
	}
	return "unknown";
}

int outbox_count_change(struct db *db, const char *effect, const char *kind, int64_t delta)
{
	static const char sql[] = "INSERT INTO counters (effect, kind, count) VALUES ($1, $2, $3)"
				  " ON CONFLICT (effect, kind) DO UPDATE SET count = counters.count + excluded.count";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, effect);
	db_bind_text(s, 2, kind);
	db_bind_int(s, 3, delta);
	return db_run(s);
}

static int fold_flush(struct fold *fold, struct db *db)
{
	int err = 0;

	for (size_t i = 0; i < fold->count && err == 0; i++)
		if (fold->items[i].delta != 0)
			err = outbox_count_change(db, fold->items[i].effect, fold->items[i].kind, fold->items[i].delta);
	fold->count = 0;
	return err;
}

static int fold_add(struct fold *fold, struct db *db, const char *effect, const char *kind, int64_t delta)
{
	for (size_t i = 0; i < fold->count; i++) {
		if (strcmp(fold->items[i].effect, effect) == 0 && strcmp(fold->items[i].kind, kind) == 0) {
			fold->items[i].delta += delta;
			return 0;
		}
	}
	int err = fold->count == LIMIT_OUTBOX_FOLD ? fold_flush(fold, db) : 0;
	if (err != 0)
		return err;
	fold->items[fold->count].effect = effect;
	fold->items[fold->count].kind = kind;
	fold->items[fold->count].delta = delta;
	fold->count++;
	return 0;
}

/* For an INSERT … RETURNING id: steps to its end, so that every constraint has been checked, and finishes it. */
static int run_for_id(struct db_statement *s, int64_t *ret_id)
{
	int64_t id = 0;

	int err = db_step(s);
	if (err == 1) {
		id = db_int(s, 0);
		err = db_step(s);
		assert(err <= 0);
		if (err == 0)
			*ret_id = id;
	}
	db_finish(s);
	return err;
}

int outbox_add_event(struct db *db, struct event *event, const char *unrecorded)
{
	static const char sql[] =
		"INSERT INTO events (event_id, type, user_id, subject, data, traceparent, unrecorded, created_ms)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, event->id);
	db_bind_text(s, 2, event->type);
	db_bind_int(s, 3, event->user_id);
	db_bind_text(s, 4, event->subject);
	db_bind_text(s, 5, event->data);
	db_bind_text(s, 6, event->traceparent);
	db_bind_text(s, 7, unrecorded);
	db_bind_int(s, 8, event->created_ms);
	return run_for_id(s, &event->row);
}

int outbox_add_uncounted(struct db *db, const struct event *event, const struct new_effect *effect, int64_t *ret_row)
{
	static const char sql[] = "INSERT INTO effects (event, effect, delivery, state, attempts, due_ms, created_ms,"
				  " settled_ms, cause, reason, log, part, recipient, again)"
				  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11, $12, $13)"
				  " RETURNING id";
	const char *dead_cause = effect->dead_cause;
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event->row);
	db_bind_text(s, 2, effect->effect);
	db_bind_text(s, 3, effect->delivery);
	db_bind_int(s, 4, dead_cause != NULL ? EFFECT_DEAD : EFFECT_PENDING);
	db_bind_int(s, 5, effect->attempts);
	db_bind_int(s, 6, effect->due_ms);
	db_bind_int(s, 7, event->created_ms);
	db_bind_int(s, 8, dead_cause != NULL ? effect->due_ms : 0);
	db_bind_text(s, 9, dead_cause != NULL ? dead_cause : "");
	db_bind_text(s, 10, effect->log != NULL ? effect->log : "[]");
	db_bind_int(s, 11, effect->part);
	db_bind_text(s, 12, effect->recipient != NULL ? effect->recipient : "");
	db_bind_int(s, 13, effect->attempts > 0);
	return run_for_id(s, ret_row);
}

int outbox_count_pending(struct db *db, const char *effect, int64_t added)
{
	return outbox_count_change(db, effect, KIND_PENDING, added);
}

int outbox_add_effect(struct db *db, const struct event *event, const struct new_effect *effect, int64_t *ret_row)
{
	int64_t row = 0;
	int err = outbox_add_uncounted(db, event, effect, &row);
	if (err == 0)
		err = outbox_count_change(
			db, effect->effect, effect->dead_cause != NULL ? effect->dead_cause : KIND_PENDING, 1);
	if (err == 0)
		*ret_row = row;
	return err;
}

/* 1: changed the row; 0: stale. */
static int settle_row(struct db *db, const struct settlement *one)
{
	static const char sql[] = "UPDATE effects SET state = $1, attempts = $2,"
				  " due_ms = CASE WHEN $1 = 0 THEN $3 ELSE due_ms END,"
				  " again = CASE WHEN $1 = 0 THEN 1 ELSE again END, started_run = 0,"
				  /* what another run had in flight, it had in flight when it ended */
				  " crashes = CASE WHEN $4 = 0 THEN 0 WHEN started_run IN (0, $4, 0 - $4) THEN crashes"
				  " ELSE crashes + 1 END,"
				  " settled_ms = $5, cause = $6, reason = $7, reply = $8, log = $9"
				  " WHERE id = $10 AND state = 0 AND attempts IN ($11 - 1, $11)";
	struct db_statement *s = NULL;

	assert(one->cause != NULL && one->reason != NULL && one->log != NULL);
	assert(one->state != EFFECT_DEAD || one->cause[0] != '\0');
	assert(!one->uncounted || one->attempt > 0);
	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, one->state);
	db_bind_int(s, 2, one->uncounted ? one->attempt - 1 : one->attempt);
	db_bind_int(s, 3, one->due_ms);
	db_bind_int(s, 4, one->unsent_run);
	db_bind_int(s, 5, one->state == EFFECT_PENDING ? 0 : one->now_ms);
	db_bind_text(s, 6, one->state == EFFECT_DEAD ? one->cause : "");
	db_bind_text(s, 7, one->reason);
	db_bind_text(s, 8, one->reply);
	db_bind_text(s, 9, one->log);
	db_bind_int(s, 10, one->row);
	db_bind_int(s, 11, one->attempt);
	err = db_run(s);
	return err != 0 ? err : db_changes(db) > 0;
}

/* Time goes on: what was known later stays. */
static int keep_clock(struct db *db, int64_t now_ms)
{
	static const char sql[] = "UPDATE outbox_run SET latest_ms = $1 WHERE id = 1 AND latest_ms < $1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, now_ms);
	return db_run(s);
}

int outbox_settle(struct db *db, struct settlement *settlements, size_t count, size_t *ret_stale)
{
	struct fold fold;
	size_t stale = 0;
	int64_t now_ms = 0;

	fold.count = 0;
	for (size_t i = 0; i < count; i++) {
		struct settlement *one = &settlements[i];
		int err = settle_row(db, one);
		if (err < 0)
			return err;
		one->stale = err == 0;
		now_ms = one->now_ms > now_ms ? one->now_ms : now_ms;
		if (err == 0) {
			stale++;
			continue;
		}
		if (one->state == EFFECT_PENDING)
			continue;
		err = fold_add(&fold, db, one->effect, KIND_PENDING, -1);
		if (err == 0 && one->state == EFFECT_DEAD)
			err = fold_add(&fold, db, one->effect, one->cause, 1);
		if (err != 0)
			return err;
	}
	int err = fold_flush(&fold, db);
	if (err == 0 && count > 0)
		err = keep_clock(db, now_ms);
	if (err == 0)
		*ret_stale = stale;
	return err;
}

int outbox_mark_started(struct db *db, int64_t run, const struct started *started, size_t count)
{
	/* the right sides are of the row as it was: what another run had in flight, it had in flight when it ended */
	static const char sql[] = "UPDATE effects SET attempts = $1, started_run = $2,"
				  " crashes = crashes + CASE WHEN started_run IN (0, $3, 0 - $3) THEN 0 ELSE 1 END"
				  " WHERE id = $4 AND state = 0 AND attempts < $1";
	struct db_statement *s = NULL;

	for (size_t i = 0; i < count; i++) {
		int err = db_prepare(db, sql, &s);
		if (err != 0)
			return err;
		db_bind_int(s, 1, started[i].attempt);
		db_bind_int(s, 2, started[i].alone ? -run : run);
		db_bind_int(s, 3, run);
		db_bind_int(s, 4, started[i].row);
		err = db_run(s);
		if (err != 0)
			return err;
	}
	return 0;
}

static int read_run(struct db *db, int64_t *ret_number, int64_t *ret_latest_ms)
{
	static const char sql[] = "SELECT number, latest_ms FROM outbox_run WHERE id = 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	err = db_step(s);
	if (err == 1) {
		*ret_number = db_int(s, 0);
		*ret_latest_ms = db_int(s, 1);
		err = 0;
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	return err;
}

static int write_run(struct db *db, int64_t number, int64_t latest_ms)
{
	static const char sql[] = "UPDATE outbox_run SET number = $1, latest_ms = $2 WHERE id = 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, number);
	db_bind_int(s, 2, latest_ms);
	return db_run(s);
}

/*
 * A row of OUTBOX_AGAIN was given its time by a settlement, so at `latest_ms` at the latest: by the clock of before it
 * has no more than its delay to wait, and so it has by the new one, if it moves as far.
 */
static int bring_forward(struct db *db, int64_t now_ms, int64_t back_ms, int64_t *ret_rows)
{
	static const char sql[] =
		"UPDATE effects SET due_ms = due_ms - $1 WHERE state = 0 AND again = 1 AND due_ms > $2";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, back_ms);
	db_bind_int(s, 2, now_ms);
	err = db_run(s);
	if (err == 0)
		*ret_rows = db_changes(db);
	return err;
}

int outbox_begin_run(struct db *db, int64_t now_ms, int64_t *ret_run, int64_t *ret_back_ms, int64_t *ret_rows)
{
	int64_t number = 0;
	int64_t latest_ms = 0;
	int64_t rows = 0;

	/* all of it at once: were it cut short, the next start would move rows a second time */
	bool own = !db_in_transaction(db);
	int err = own ? db_begin(db) : 0;
	if (err != 0)
		return err;
	err = read_run(db, &number, &latest_ms);
	int64_t back_ms = latest_ms > now_ms ? latest_ms - now_ms : 0;
	if (err == 0 && back_ms > 0)
		err = bring_forward(db, now_ms, back_ms, &rows);
	if (err == 0)
		err = write_run(db, number + 1, now_ms);
	if (own && err == 0)
		err = db_commit(db);
	else if (own)
		db_rollback(db);
	if (err != 0)
		return err;
	*ret_run = number + 1;
	*ret_back_ms = back_ms;
	*ret_rows = rows;
	return 0;
}
