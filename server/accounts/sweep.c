#include "server/accounts/sweep.h"

#include <stdio.h>
#include <string.h>

#include "config/clock.h"

/* A round that has taken a second is followed by nine without one. */
enum { SHARE = 9 };

void sweep_init(struct sweep *sweep, struct metrics *metrics, int64_t retention_ms)
{
	static const char *const labels[SWEEP_KINDS] = {"kind=\"session\"", "kind=\"link\"", "kind=\"import\""};

	*sweep = (struct sweep){.retention_ms = retention_ms};
	for (size_t i = 0; i < SWEEP_KINDS; i++)
		sweep->removed[i] = metrics_counter(metrics, "tokenfirst_sweep_removed_total",
			"Sessions, links and lines of broken imports that were removed because their time was over.",
			labels[i]);
}

static void begin(struct sweep *sweep)
{
	sweep->begun_us = clock_mono_us();
	sweep->now_ms = clock_now_ms();
	sweep->kind = SWEEP_SESSIONS;
	sweep->cursor = 0;
}

static void end(struct sweep *sweep)
{
	const int64_t now_us = clock_mono_us();
	int64_t pause_ms = sweep->retention_ms / 10 < LIMIT_SWEEP_MS ? sweep->retention_ms / 10 : LIMIT_SWEEP_MS;
	int64_t pause_us = pause_ms * 1000, least_us = SHARE * (now_us - sweep->begun_us);

	sweep->next_us = now_us + (pause_us > least_us ? pause_us : least_us);
	sweep->begun_us = 0;
}

/* Collects the ids of rows (id, end, whether it is to be marked) whose time is over. How many were looked at. */
static int collect(struct sweep *sweep, struct db *reader, const char *sql)
{
	const int64_t before_ms = sweep->now_ms - sweep->retention_ms;
	struct db_statement *s = NULL;
	int looked = 0;
	int err = db_prepare(reader, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, sweep->cursor);
	db_bind_int(s, 2, LIMIT_OUTBOX_LOOK);
	while (sweep->count < LIMIT_SWEEP_ROWS && (err = db_step(s)) == 1) {
		const int64_t end_ms = db_int(s, 1);

		looked++;
		sweep->cursor = db_int(s, 0);
		if (end_ms < before_ms || (end_ms <= sweep->now_ms && db_int(s, 2) == 0))
			sweep->ids[sweep->count++] = sweep->cursor;
	}
	db_finish(s);
	return err < 0 ? err : looked;
}

/* The next import that has been left; 1, or 0: there is none. */
static int find_import(struct sweep *sweep, struct db *reader)
{
	static const char sql[] = "SELECT import FROM user_imports WHERE created_ms < $1 LIMIT 1";
	struct db_statement *s = NULL;
	int err = db_prepare(reader, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, sweep->now_ms - LIMIT_IMPORT_MS);
	err = db_step(s);
	if (err == 1) {
		const char *import = db_text(s, 0);

		(void)snprintf(sweep->import, sizeof(sweep->import), "%s", import ? import : "");
	}
	db_finish(s);
	return err;
}

static int look_at(struct sweep *sweep, struct db *reader)
{
	static const char sessions[] =
		"SELECT id, CASE WHEN revoked_ms <> 0 THEN revoked_ms ELSE expires_ms END, revoked_ms "
		"FROM sessions WHERE id > $1 ORDER BY id LIMIT $2";
	static const char links[] = "SELECT id, CASE WHEN used_ms <> 0 THEN used_ms ELSE expires_ms END, used_ms "
				    "FROM links WHERE id > $1 ORDER BY id LIMIT $2";

	if (sweep->kind == SWEEP_SESSIONS)
		return collect(sweep, reader, sessions);
	if (sweep->kind == SWEEP_LINKS)
		return collect(sweep, reader, links);
	/* a row that can't be removed must not be found for ever */
	return sweep->cursor != 0 && sweep->gone == 0 ? 0 : find_import(sweep, reader);
}

int sweep_look(void *arg, struct db *reader)
{
	struct sweep *sweep = arg;
	int looked;

	if (sweep->begun_us == 0) {
		if (clock_mono_us() < sweep->next_us)
			return JANITOR_DONE;
		begin(sweep);
	}
	sweep->count = 0;
	looked = look_at(sweep, reader);
	if (looked < 0)
		return looked;
	if (sweep->count > 0 || (looked > 0 && sweep->kind == SWEEP_IMPORTS))
		return JANITOR_WRITE;
	if (looked == 0) {
		sweep->cursor = 0;
		if (++sweep->kind == SWEEP_KINDS) {
			end(sweep);
			return JANITOR_DONE;
		}
	}
	return JANITOR_AGAIN;
}

/* One statement for one row, if it still is what it was. */
static int change(struct db *writer, const char *sql, int64_t id, int64_t time_ms)
{
	const int64_t values[] = {id, time_ms};

	return db_run_ints(writer, sql, values, 2);
}

static int write_rows(struct sweep *sweep, struct db *writer, const char *remove, const char *mark)
{
	int64_t removed = 0;

	sweep->gone = 0;
	for (size_t i = 0; i < sweep->count; i++) {
		int err = change(writer, remove, sweep->ids[i], sweep->now_ms - sweep->retention_ms);
		if (!err)
			removed = db_changes(writer);
		if (!err && removed == 0)
			err = change(writer, mark, sweep->ids[i], sweep->now_ms);
		if (err)
			return err;
		sweep->gone += removed;
	}
	return 0;
}

static int remove_import(struct sweep *sweep, struct db *writer)
{
	static const char sql[] = "DELETE FROM user_imports WHERE import = $1 AND line IN (SELECT line FROM "
				  "user_imports WHERE import = $1 AND created_ms < $2 ORDER BY line LIMIT $3)";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, sweep->import);
	db_bind_int(s, 2, sweep->now_ms - LIMIT_IMPORT_MS);
	db_bind_int(s, 3, LIMIT_SWEEP_ROWS);
	err = db_run(s);
	if (!err)
		sweep->gone = db_changes(writer);
	sweep->cursor = 1;
	return err;
}

int sweep_write(struct db *writer, void *arg)
{
	static const char remove_session[] =
		"DELETE FROM sessions WHERE id = $1 AND id < (SELECT MAX(id) FROM sessions) AND "
		"CASE WHEN revoked_ms <> 0 THEN revoked_ms ELSE expires_ms END < $2";
	static const char mark_session[] = "UPDATE sessions SET revoked_ms = expires_ms WHERE id = $1 AND "
					   "revoked_ms = 0 AND expires_ms <= $2";
	static const char mark_link[] =
		"UPDATE links SET used_ms = expires_ms, password = '' WHERE id = $1 AND used_ms = 0 AND "
		"expires_ms <= $2";
	static const char remove_link[] = "DELETE FROM links WHERE id = $1 AND id < (SELECT MAX(id) FROM links) AND "
					  "CASE WHEN used_ms <> 0 THEN used_ms ELSE expires_ms END < $2";
	struct sweep *sweep = arg;
	int err;

	if (sweep->kind == SWEEP_IMPORTS)
		err = remove_import(sweep, writer);
	else if (sweep->kind == SWEEP_LINKS)
		err = write_rows(sweep, writer, remove_link, mark_link);
	else
		err = write_rows(sweep, writer, remove_session, mark_session);
	if (!err)
		counter_add(sweep->removed[sweep->kind], (uint64_t)sweep->gone);
	return err;
}
