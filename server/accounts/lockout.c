#include "server/accounts/lockout.h"

int lockout_fail(struct db *writer, int64_t user_id, int64_t hard, int64_t now_ms, bool *ret_locked)
{
	static const char sql[] = "UPDATE users SET failures = failures + 1, locked_ms = CASE WHEN locked_ms = 0 AND "
				  "failures + 1 >= $1 THEN $2 ELSE locked_ms END WHERE id = $3 RETURNING failures";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, hard);
	db_bind_int(s, 2, now_ms);
	db_bind_int(s, 3, user_id);
	err = db_step(s);
	if (err == 1) {
		*ret_locked = db_int(s, 0) == hard;
		err = db_step(s);
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	return err;
}

int lockout_clear(struct db *writer, int64_t user_id)
{
	static const char sql[] =
		"UPDATE users SET failures = 0, locked_ms = 0 WHERE id = $1 AND (failures <> 0 OR locked_ms <> 0)";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	return db_run(s);
}
