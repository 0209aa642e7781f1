#include "background/store/idempotency.h"

#include <stdio.h>
#include <string.h>

static int add_key(struct db *db, const char *service, const char *key, const unsigned char digest[IDEMPOTENCY_DIGEST],
	const char *event_id, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO idempotency_keys (service, key, digest, event_id, created_ms)"
				  " VALUES ($1, $2, $3, $4, $5)";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, service);
	db_bind_text(s, 2, key);
	db_bind_blob(s, 3, digest, IDEMPOTENCY_DIGEST);
	db_bind_text(s, 4, event_id);
	db_bind_int(s, 5, now_ms);
	return db_run(s);
}

int idempotency_take(struct db *db, const char *service, const char *key,
	const unsigned char digest[IDEMPOTENCY_DIGEST], const char *event_id, int64_t now_ms,
	char ret_event_id[ID_SIZE])
{
	static const char sql[] = "SELECT digest, event_id FROM idempotency_keys WHERE service = $1 AND key = $2";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, service);
	db_bind_text(s, 2, key);
	err = db_step(s);
	if (err == 1) {
		size_t len = 0;
		const void *before = db_blob(s, 0, &len);
		const char *made = db_text(s, 1);
		if (before == NULL || made == NULL) {
			err = ERR_MEMORY; /* the columns hold no null */
		} else if (len != IDEMPOTENCY_DIGEST || memcmp(before, digest, len) != 0) {
			err = ERR_DENIED;
		} else {
			snprintf(ret_event_id, ID_SIZE, "%s", made);
			err = ERR_EXISTS;
		}
	}
	db_finish(s);
	return err != 0 ? err : add_key(db, service, key, digest, event_id, now_ms);
}

int idempotency_forget(struct db *db, int64_t before_ms, int limit, int64_t *ret_count)
{
	static const char sql[] = "DELETE FROM idempotency_keys WHERE (service, key) IN (SELECT service, key"
				  " FROM idempotency_keys WHERE created_ms < $1 ORDER BY created_ms LIMIT $2)";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, before_ms);
	db_bind_int(s, 2, limit > 0 ? limit : 0);
	err = db_run(s);
	if (err == 0)
		*ret_count = db_changes(db);
	return err;
}
