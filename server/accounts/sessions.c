#include "server/accounts/sessions.h"

#include <string.h>

int sessions_last_id(struct db *db, int64_t *ret_id)
{
	static const char sql[] = "SELECT COALESCE(MAX(id), 0) FROM sessions";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	err = db_step(s);
	if (err == 1) {
		*ret_id = db_int(s, 0);
		err = 0;
	}
	db_finish(s);
	return err;
}

int sessions_add(struct db *writer, const struct session *session)
{
	static const char sql[] = "INSERT INTO sessions (id, user_id, generation, created_ms, refreshed_ms, "
				  "expires_ms, revoked_ms, client, user_agent, absolute_ms) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, session->id);
	db_bind_int(s, 2, session->user_id);
	db_bind_int(s, 3, session->generation);
	db_bind_int(s, 4, session->created_ms);
	db_bind_int(s, 5, session->refreshed_ms);
	db_bind_int(s, 6, session->expires_ms);
	db_bind_int(s, 7, session->revoked_ms);
	db_bind_text(s, 8, session->client);
	db_bind_text(s, 9, session->user_agent);
	db_bind_int(s, 10, session->absolute_ms);
	return db_run(s);
}

int sessions_revoke(struct db *writer, int64_t id, int64_t now_ms)
{
	/* a second revocation keeps the time of the first */
	static const char sql[] =
		"UPDATE sessions SET revoked_ms = CASE WHEN revoked_ms = 0 THEN $1 ELSE revoked_ms END "
		"WHERE id = $2";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, id);
	err = db_run(s);
	return !err && db_changes(writer) == 0 ? ERR_NOT_FOUND : err;
}

int sessions_revoke_all(struct db *writer, int64_t user_id, int64_t except, int64_t now_ms, int64_t *ret_count)
{
	static const char sql[] =
		"UPDATE sessions SET revoked_ms = $1 WHERE user_id = $2 AND revoked_ms = 0 AND id <> $3";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, user_id);
	db_bind_int(s, 3, except);
	err = db_run(s);
	if (!err && ret_count)
		*ret_count = db_changes(writer);
	return err;
}

int sessions_owner(struct db *db, int64_t id, int64_t now_ms, struct session_owner *ret_owner)
{
	static const char sql[] =
		"SELECT users.id, users.public_id, users.disabled, sessions.revoked_ms, "
		"sessions.expires_ms, users.admin FROM sessions JOIN users ON users.id = sessions.user_id "
		"WHERE sessions.id = $1";
	struct db_statement *s = NULL;
	struct session_owner owner = {.live = false};
	const char *public_id;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, id);
	err = db_step(s);
	if (err == 1) {
		owner.session_id = id;
		owner.user_id = db_int(s, 0);
		owner.admin = db_int(s, 5) != 0;
		public_id = db_text(s, 1);
		owner.live = db_int(s, 2) == 0 && db_int(s, 3) == 0 && db_int(s, 4) > now_ms;
		if (public_id && strlen(public_id) == ID_LENGTH) {
			memcpy(owner.public_id, public_id, ID_SIZE);
			*ret_owner = owner;
			err = 0;
		} else {
			err = ERR_STORE;
		}
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	return err;
}
