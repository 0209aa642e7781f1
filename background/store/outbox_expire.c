/*
 * Retention: which events may go, and their going. An event goes with all its rows or not at all, since /events/{id}
 * tells of both.
 *
 * The newest event and the newest row stay, however old: an engine may give the id of the last row again once that is
 * gone, and an attempt that has been given up could then settle a row that is not its own.
 */
#include <string.h>

#include "background/store/outbox_internal.h"
#include "config/limits.h"

struct rule {
	int64_t delivered_before_ms, dead_before_ms;
	int64_t newest_event, newest_row;
};

static int newest(struct db *db, const char *sql, int64_t *ret_id)
{
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	err = db_step(s);
	if (err == 1)
		*ret_id = db_int(s, 0); /* null of an empty table is 0 */
	db_finish(s);
	return err < 0 ? err : 0;
}

static int rule_make(struct db *db, int64_t delivered_before_ms, int64_t dead_before_ms, struct rule *ret_rule)
{
	static const char events[] = "SELECT max(id) FROM events";
	static const char effects[] = "SELECT max(id) FROM effects";
	struct rule rule = {.delivered_before_ms = delivered_before_ms, .dead_before_ms = dead_before_ms};

	int err = newest(db, events, &rule.newest_event);
	if (err == 0)
		err = newest(db, effects, &rule.newest_row);
	if (err == 0)
		*ret_rule = rule;
	return err;
}

static bool row_may_go(const struct rule *rule, int64_t row, enum effect_state state, int64_t settled_ms)
{
	if (state == EFFECT_PENDING || row == rule->newest_row)
		return false;
	return settled_ms < (state == EFFECT_DEAD ? rule->dead_before_ms : rule->delivered_before_ms);
}

/* 1: it may go, and how many dead letters with it; 0: it stays. */
static int may_go(struct db *db, const struct rule *rule, int64_t event_row, int64_t created_ms, size_t *ret_dead)
{
	static const char sql[] = "SELECT id, state, settled_ms FROM effects WHERE event = $1";
	struct db_statement *s = NULL;
	bool goes = event_row != rule->newest_event;
	size_t rows = 0;
	size_t dead = 0;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event_row);
	while (goes && (err = db_step(s)) == 1) {
		enum effect_state state = (enum effect_state)db_int(s, 1);
		goes = row_may_go(rule, db_int(s, 0), state, db_int(s, 2));
		dead += state == EFFECT_DEAD;
		rows++;
	}
	db_finish(s);
	if (err < 0)
		return err;
	if (!goes || (rows == 0 && created_ms >= rule->delivered_before_ms))
		return 0;
	*ret_dead = dead;
	return 1;
}

int outbox_expired(struct db *db, int64_t after_event, int64_t delivered_before_ms, int64_t dead_before_ms,
	int64_t now_ms, int limit, int (*event)(void *arg, int64_t event_row), void *arg, int64_t *ret_last)
{
	static const char sql[] = "SELECT id, created_ms FROM events WHERE id > $1 ORDER BY id LIMIT $2";
	struct db_statement *s = NULL;
	struct rule rule;
	int64_t last = after_event;
	size_t dead = 0;
	int looked = 0;

	int err = rule_make(db, delivered_before_ms, dead_before_ms, &rule);
	if (err == 0)
		err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	int64_t young_ms = delivered_before_ms > dead_before_ms ? delivered_before_ms : dead_before_ms;
	db_bind_int(s, 1, after_event);
	db_bind_int(s, 2, limit > 0 ? limit : 0);
	while ((err = db_step(s)) == 1) {
		int64_t row = db_int(s, 0);
		int64_t created_ms = db_int(s, 1);
		/* one from the future, of a clock that was wrong, says nothing of those behind it */
		if (created_ms >= young_ms && created_ms <= now_ms) {
			err = 0;
			break;
		}
		err = may_go(db, &rule, row, created_ms, &dead);
		if (err < 0)
			break;
		looked++;
		last = row;
		if (err == 1 && event(arg, row) != 0) {
			err = 0;
			break;
		}
	}
	db_finish(s);
	if (err < 0)
		return err;
	*ret_last = last;
	return looked;
}

static int delete_rows(struct db *db, const char *sql, int64_t event_row, int64_t *rows)
{
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event_row);
	err = db_run(s);
	if (err == 0)
		*rows += db_changes(db);
	return err;
}

static int delete_event(struct db *db, int64_t event_row, int64_t *rows)
{
	static const char effects[] = "DELETE FROM effects WHERE event = $1";
	static const char events[] = "DELETE FROM events WHERE id = $1";

	int err = delete_rows(db, effects, event_row, rows);
	return err != 0 ? err : delete_rows(db, events, event_row, rows);
}

/* When it was created: 1, or 0: it is gone. */
static int find_created(struct db *db, int64_t event_row, int64_t *ret_created_ms)
{
	static const char sql[] = "SELECT created_ms FROM events WHERE id = $1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event_row);
	err = db_step(s);
	if (err == 1)
		*ret_created_ms = db_int(s, 0);
	db_finish(s);
	return err;
}

static int take_dead_off(struct db *db, int64_t event_row, struct outbox_tally *tally)
{
	static const char sql[] = "SELECT effect, cause FROM effects WHERE event = $1 AND state = 2";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event_row);
	while ((err = db_step(s)) == 1) {
		const char *effect = db_text(s, 0);
		const char *cause = db_text(s, 1);
		err = effect == NULL || cause == NULL ? ERR_MEMORY : outbox_count_change(db, effect, cause, -1);
		if (err != 0)
			break;
		/* there is room, but for a single event with more targets than are ever configured */
		(void)outbox_tally_add(tally, effect, cause, 1);
	}
	db_finish(s);
	return err;
}

/* 1: done with this event; 0: the tally has no room for it beside the others. */
static int remove_one(struct db *db, const struct rule *rule, int64_t event_row, struct outbox_tally *tally)
{
	int64_t created_ms = 0;
	size_t dead = 0;

	int err = find_created(db, event_row, &created_ms);
	if (err == 1)
		err = may_go(db, rule, event_row, created_ms, &dead);
	if (err != 1)
		return err == 0 ? 1 : err;
	if (tally->count > 0 && tally->count + dead > LIMIT_OUTBOX_FOLD)
		return 0;
	err = dead > 0 ? take_dead_off(db, event_row, tally) : 0;
	if (err == 0)
		err = delete_event(db, event_row, &tally->rows);
	return err == 0 ? 1 : err;
}

int outbox_remove(struct db *db, const int64_t *event_rows, size_t count, int64_t delivered_before_ms,
	int64_t dead_before_ms, struct outbox_tally *ret_tally)
{
	struct outbox_tally tally = {0};
	struct rule rule;

	int err = rule_make(db, delivered_before_ms, dead_before_ms, &rule);
	if (err != 0)
		return err;
	for (size_t i = 0; i < count && !tally.more; i++) {
		int done = tally.rows < LIMIT_OUTBOX_BATCH ? remove_one(db, &rule, event_rows[i], &tally) : 0;
		if (done < 0)
			return done;
		tally.more = done == 0;
		if (done == 1)
			tally.last_row = event_rows[i];
	}
	*ret_tally = tally;
	return 0;
}
