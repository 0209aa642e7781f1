#include "background/store/pauses.h"

int pause_add(struct db *db, const char *target, const char *reason, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO targets_paused (target, reason, since_ms) VALUES ($1, $2, $3)"
				  " ON CONFLICT (target) DO NOTHING";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, target);
	db_bind_text(s, 2, reason);
	db_bind_int(s, 3, now_ms);
	return db_run(s);
}

int pause_remove(struct db *db, const char *target)
{
	static const char sql[] = "DELETE FROM targets_paused WHERE target = $1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, target);
	err = db_run(s);
	if (err != 0)
		return err;
	return db_changes(db) > 0 ? 0 : ERR_NOT_FOUND;
}

int pause_list(
	struct db *db, int (*pause)(void *arg, const char *target, const char *reason, int64_t since_ms), void *arg)
{
	static const char sql[] = "SELECT target, reason, since_ms FROM targets_paused ORDER BY target";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	while ((err = db_step(s)) == 1) {
		const char *target = db_text(s, 0);
		const char *reason = db_text(s, 1);
		/* the columns hold no null */
		err = target == NULL || reason == NULL ? ERR_MEMORY : pause(arg, target, reason, db_int(s, 2));
		if (err != 0)
			break;
	}
	db_finish(s);
	return err;
}
