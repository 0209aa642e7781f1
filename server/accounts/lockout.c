#include "server/accounts/lockout.h"

/* Two statements: that the second changes a row says that this failure is the one that locks, also where the limit has been lowered. */
int lockout_fail(struct db *writer, int64_t user_id, int64_t hard, int64_t now_ms, bool *ret_locked)
{
	static const char count[] = "UPDATE users SET failures = failures + 1 WHERE id = $1 AND deleted_ms = 0";
	static const char lock[] = "UPDATE users SET locked_ms = $1 WHERE id = $2 AND locked_ms = 0 AND failures >= $3";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, count, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	err = db_run(s);
	if (err)
		return err;
	if (db_changes(writer) == 0)
		return ERR_NOT_FOUND;
	err = db_prepare(writer, lock, &s);
	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, user_id);
	db_bind_int(s, 3, hard);
	err = db_run(s);
	if (!err)
		*ret_locked = db_changes(writer) > 0;
	return err;
}

int lockout_fail_nobody(struct db *writer)
{
	static const char count[] = "UPDATE store_probe SET count = count + 1 WHERE id = 1";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, count, &s);

	return err ? err : db_run(s);
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
