#include "server/accounts/lockout.h"

/*
 * A statement of its own: that it changes a row says that this failure is the one that locks, also where the limit has
 * been lowered.
 */
static int lock(struct db *writer, int64_t user_id, int64_t hard, int64_t now_ms, bool *ret_locked)
{
	static const char sql[] = "UPDATE users SET locked_ms = $1 WHERE id = $2 AND locked_ms = 0 AND failures >= $3";
	const int64_t values[] = {now_ms, user_id, hard};
	int err = db_run_ints(writer, sql, values, 3);

	if (!err)
		*ret_locked = db_changes(writer) > 0;
	return err;
}

int lockout_fail(struct db *writer, int64_t user_id, int64_t hard, int64_t now_ms, bool *ret_locked)
{
	static const char sql[] = "UPDATE users SET failures = failures + 1 WHERE id = $1 AND deleted_ms = 0";
	int err = db_run_ints(writer, sql, &user_id, 1);

	if (err)
		return err;
	return db_changes(writer) > 0 ? lock(writer, user_id, hard, now_ms, ret_locked) : ERR_NOT_FOUND;
}

int lockout_fail_nobody(struct db *writer, int64_t hard, int64_t now_ms)
{
	/* a row that is there in every store, and of which nothing but its being written is asked */
	static const char sql[] = "UPDATE store_probe SET count = count + 1 WHERE id = $1";
	const int64_t row = 1;
	bool locked = false;
	int err = db_run_ints(writer, sql, &row, 1);

	return err ? err : lock(writer, 0, hard, now_ms, &locked);
}

int lockout_clear(struct db *writer, int64_t user_id)
{
	static const char sql[] =
		"UPDATE users SET failures = 0, locked_ms = 0 WHERE id = $1 AND (failures <> 0 OR locked_ms <> 0)";

	return db_run_ints(writer, sql, &user_id, 1);
}
