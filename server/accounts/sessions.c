#include "server/accounts/sessions.h"

#include <string.h>

int sessions_last_id(struct db *db, int64_t *ret_id)
{
	static const char sql[] = "SELECT COALESCE(MAX(id), 0) FROM sessions";
	int found = db_read_int(db, sql, NULL, 0, ret_id);

	return found < 0 ? found : 0; /* one row in any case */
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
	const int64_t values[] = {now_ms, id};
	int err = db_run_ints(writer, sql, values, 2);

	return !err && db_changes(writer) == 0 ? ERR_NOT_FOUND : err;
}

int sessions_revoke_of(struct db *writer, int64_t user_id, int64_t id, int64_t now_ms)
{
	static const char sql[] = "UPDATE sessions SET revoked_ms = $1 WHERE id = $2 AND user_id = $3 AND "
				  "revoked_ms = 0 AND expires_ms > $1";
	const int64_t values[] = {now_ms, id, user_id};
	int err = db_run_ints(writer, sql, values, 3);

	return !err && db_changes(writer) == 0 ? ERR_NOT_FOUND : err;
}

int sessions_revoke_all(struct db *writer, int64_t user_id, int64_t except, int64_t now_ms, int64_t *ret_count)
{
	static const char sql[] =
		"UPDATE sessions SET revoked_ms = $1 WHERE user_id = $2 AND revoked_ms = 0 AND id <> $3";
	const int64_t values[] = {now_ms, user_id, except};
	int err = db_run_ints(writer, sql, values, 3);

	if (!err && ret_count)
		*ret_count = db_changes(writer);
	return err;
}

/* The id of the last of the next rows; 0: there is none. */
static int find_next(struct db *db, int64_t after_id, int64_t last_id, int64_t limit, int64_t *ret_id)
{
	static const char sql[] = "SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM sessions WHERE id > $1 AND "
				  "id <= $2 ORDER BY id LIMIT $3) AS next";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, after_id);
	db_bind_int(s, 2, last_id);
	db_bind_int(s, 3, limit);
	err = db_step(s);
	if (err == 1) {
		*ret_id = db_int(s, 0);
		err = 0;
	}
	db_finish(s);
	return err;
}

int sessions_revoke_next(
	struct db *writer, int64_t last_id, int64_t limit, int64_t now_ms, int64_t *after_id, int64_t *ret_count)
{
	static const char sql[] = "UPDATE sessions SET revoked_ms = $1 WHERE id > $2 AND id <= $3 AND revoked_ms = 0";
	struct db_statement *s = NULL;
	int64_t next_id = 0;
	int err = find_next(writer, *after_id, last_id, limit, &next_id);

	if (!err && next_id)
		err = db_prepare(writer, sql, &s);
	if (err)
		return err;
	if (!next_id) {
		*ret_count = 0;
		return 0;
	}
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, *after_id);
	db_bind_int(s, 3, next_id);
	err = db_run(s);
	if (err)
		return err;
	*ret_count = db_changes(writer);
	*after_id = next_id;
	return next_id < last_id;
}

/* What a claim is judged by. */
struct standing {
	bool barred; /* its user may not come in */
	int64_t generation, refreshed_ms, expires_ms, revoked_ms, absolute_ms;
};

static enum refresh_state judge(const struct standing *now, const struct refresh_claim *claim)
{
	/* a clock that was set back between two runs makes it negative: by more than the grace is as bad as too late */
	int64_t since_ms = claim->now_ms - now->refreshed_ms;

	if (now->barred || now->revoked_ms != 0 || now->expires_ms <= claim->now_ms ||
		(now->absolute_ms != 0 && now->absolute_ms <= claim->now_ms) || claim->generation > now->generation)
		return REFRESH_DEAD;
	if (claim->generation == now->generation)
		return REFRESH_ROTATED;
	if (claim->generation == now->generation - 1 && since_ms < claim->grace_ms && -since_ms < claim->grace_ms)
		return REFRESH_REPEATED;
	return REFRESH_REUSED;
}

static int64_t next_end(const struct standing *now, const struct refresh_claim *claim)
{
	int64_t end_ms = claim->now_ms + claim->ttl_ms;

	return now->absolute_ms != 0 && now->absolute_ms < end_ms ? now->absolute_ms : end_ms;
}

static int read_standing(
	struct db_statement *s, const struct refresh_claim *claim, struct standing *now, struct refresh_result *result)
{
	const char *public_id = db_text(s, 1);

	if (!public_id || strlen(public_id) != ID_LENGTH)
		return ERR_STORE;
	*now = (struct standing){
		.barred = db_int(s, 2) != 0,
		.generation = db_int(s, 3),
		.refreshed_ms = db_int(s, 4),
		.expires_ms = db_int(s, 5),
		.revoked_ms = db_int(s, 6),
		.absolute_ms = db_int(s, 7),
	};
	result->state = judge(now, claim);
	result->user_id = db_int(s, 0);
	memcpy(result->public_id, public_id, ID_SIZE);
	result->generation = now->generation;
	result->expires_ms = now->expires_ms;
	if (result->state == REFRESH_ROTATED) {
		result->generation++;
		result->expires_ms = next_end(now, claim);
	}
	return 0;
}

int sessions_refresh_look(struct db *db, const struct refresh_claim *claim, struct refresh_result *ret_result)
{
	static const char sql[] = "SELECT users.id, users.public_id, users.disabled <> 0 OR users.locked_ms <> 0 OR "
				  "users.deleted_ms <> 0, generation, refreshed_ms, expires_ms, revoked_ms, "
				  "absolute_ms FROM sessions JOIN users ON users.id = sessions.user_id "
				  "WHERE sessions.id = $1";
	struct refresh_result result = {.state = REFRESH_DEAD};
	struct db_statement *s = NULL;
	struct standing now;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, claim->id);
	err = db_step(s);
	if (err == 1)
		err = read_standing(s, claim, &now, &result);
	db_finish(s);
	if (!err)
		*ret_result = result;
	return err;
}

/*
 * For writers: a session that can't be read is its owner's misfortune. As ERR_STORE it would end the transaction that it
 * shares with others (committer.h), again at each try; if the store is to blame, their writing says so.
 */
static int look_to_write(struct db *writer, const struct refresh_claim *claim, struct refresh_result *ret_result)
{
	int err = sessions_refresh_look(writer, claim, ret_result);

	return err == ERR_STORE ? ERR_INVALID : err;
}

static int rotate(struct db *writer, const struct refresh_claim *claim, const struct refresh_result *result)
{
	static const char sql[] =
		"UPDATE sessions SET generation = $1, refreshed_ms = $2, expires_ms = $3 WHERE id = $4";
	const int64_t values[] = {result->generation, claim->now_ms, result->expires_ms, claim->id};

	return db_run_ints(writer, sql, values, 4);
}

int sessions_refresh(struct db *writer, const struct refresh_claim *claim, struct refresh_result *ret_result)
{
	struct refresh_result result;
	int err = look_to_write(writer, claim, &result);

	if (!err && result.state == REFRESH_ROTATED)
		err = rotate(writer, claim, &result);
	if (!err)
		*ret_result = result;
	return err;
}

int sessions_refresh_end(struct db *writer, const struct refresh_claim *claim)
{
	struct refresh_result result;
	int err = look_to_write(writer, claim, &result);

	if (!err)
		err = result.state == REFRESH_REUSED ? sessions_revoke(writer, claim->id, claim->now_ms) : ERR_STALE;
	return err;
}

static int read_session(struct db_statement *s, struct session *session)
{
	*session = (struct session){
		.id = db_int(s, 0),
		.user_id = db_int(s, 1),
		.generation = db_int(s, 2),
		.created_ms = db_int(s, 3),
		.refreshed_ms = db_int(s, 4),
		.expires_ms = db_int(s, 5),
		.absolute_ms = db_int(s, 6),
		.client = db_text(s, 7),
		.user_agent = db_text(s, 8),
	};
	return session->client && session->user_agent ? 0 : ERR_MEMORY; /* the columns hold no null */
}

int sessions_list(struct db *db, int64_t user_id, int64_t now_ms, int64_t limit,
	int (*row)(void *arg, const struct session *session), void *arg)
{
	static const char sql[] = "SELECT id, user_id, generation, created_ms, refreshed_ms, expires_ms, absolute_ms, "
				  "client, user_agent FROM sessions WHERE user_id = $1 AND revoked_ms = 0 AND "
				  "expires_ms > $2 ORDER BY id DESC LIMIT $3";
	struct db_statement *s = NULL;
	struct session session;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	db_bind_int(s, 2, now_ms);
	db_bind_int(s, 3, limit);
	while ((err = db_step(s)) == 1) {
		err = read_session(s, &session);
		if (!err)
			err = row(arg, &session);
		if (err)
			break;
	}
	db_finish(s);
	return err;
}

/* Of a session and its user; both statements below begin with them. */
#define OWNER_COLUMNS                                                                                                  \
	"users.id, users.public_id, users.disabled, sessions.revoked_ms, sessions.expires_ms, users.admin, "           \
	"sessions.generation, sessions.refreshed_ms"
enum { OWNER_COLUMN_COUNT = 8 };

static int read_owner(struct db_statement *s, int64_t id, int64_t now_ms, struct session_owner *owner)
{
	const char *public_id = db_text(s, 1);

	if (!public_id || strlen(public_id) != ID_LENGTH)
		return ERR_STORE;
	*owner = (struct session_owner){
		.session_id = id,
		.user_id = db_int(s, 0),
		.live = db_int(s, 2) == 0 && db_int(s, 3) == 0 && db_int(s, 4) > now_ms,
		.expires_ms = db_int(s, 4),
		.admin = db_int(s, 5) != 0,
		.generation = db_int(s, 6),
		.refreshed_ms = db_int(s, 7),
	};
	memcpy(owner->public_id, public_id, ID_SIZE);
	return 0;
}

int sessions_owner(struct db *db, int64_t id, int64_t now_ms, struct session_owner *ret_owner)
{
	static const char sql[] = "SELECT " OWNER_COLUMNS
				  " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1";
	struct session_owner owner = {.live = false};
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, id);
	err = db_step(s);
	if (err == 1)
		err = read_owner(s, id, now_ms, &owner);
	else if (err == 0)
		err = ERR_NOT_FOUND;
	db_finish(s);
	if (!err)
		*ret_owner = owner;
	return err;
}

int sessions_account(struct db *db, int64_t id, int64_t now_ms, struct session_account *ret_account)
{
	static const char sql[] =
		"SELECT " OWNER_COLUMNS ", username, email, totp.confirmed_ms "
		"FROM sessions JOIN users ON users.id = sessions.user_id LEFT JOIN totp ON totp.user_id = users.id "
		"WHERE sessions.id = $1";
	struct session_account account = {.second_factor = false};
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, id);
	err = db_step(s);
	if (err == 1) {
		err = read_owner(s, id, now_ms, &account.owner);
		if (!err)
			err = db_copy_text(s, OWNER_COLUMN_COUNT, account.username, sizeof(account.username));
		if (!err)
			err = db_copy_text(s, OWNER_COLUMN_COUNT + 1, account.email, sizeof(account.email));
		account.second_factor = db_int(s, OWNER_COLUMN_COUNT + 2) != 0;
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	if (!err)
		*ret_account = account;
	return err;
}
