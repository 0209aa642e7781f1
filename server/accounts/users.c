#include "server/accounts/users.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "server/accounts/users_internal.h"

static_assert(LIMIT_USERNAME <= LIMIT_EMAIL, "one size of key does for both");

bool users_key(const char *text, char ret_key[USERS_KEY_SIZE])
{
	size_t len = strnlen(text, USERS_KEY_SIZE);

	if (len == USERS_KEY_SIZE)
		return false;
	for (size_t i = 0; i <= len; i++)
		ret_key[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	return true;
}

int users_read(struct db_statement *s, struct user *ret_user)
{
	struct user user = {
		.id = db_int(s, 0),
		.admin = db_int(s, 5) != 0,
		.disabled = db_int(s, 6) != 0,
		.created_ms = db_int(s, 7),
		.must_reset = db_int(s, 8) != 0,
		.locked = db_int(s, 9) != 0,
		.failures = db_int(s, 10),
		.credentials = db_int(s, 11),
	};
	int err = db_copy_text(s, 1, user.public_id, sizeof(user.public_id));

	if (!err)
		err = db_copy_text(s, 2, user.username, sizeof(user.username));
	if (!err)
		err = db_copy_text(s, 3, user.email, sizeof(user.email));
	if (!err)
		err = db_copy_text(s, 4, user.password, sizeof(user.password));
	if (!err)
		*ret_user = user;
	return err;
}

static int read_one(struct db_statement *s, struct user *ret_user)
{
	int err = db_step(s);

	if (err == 1)
		err = users_read(s, ret_user);
	else if (err == 0)
		err = ERR_NOT_FOUND;
	db_finish(s);
	return err;
}

static int find(struct db *db, const char *sql, const char *key, struct user *ret_user)
{
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, key);
	return read_one(s, ret_user);
}

int users_find_by_username(struct db *db, const char *username, struct user *ret_user)
{
	static const char sql[] = "SELECT " USERS_COLUMNS " FROM users WHERE username_key = $1 AND deleted_ms = 0";
	char key[USERS_KEY_SIZE];

	return users_key(username, key) ? find(db, sql, key, ret_user) : ERR_NOT_FOUND;
}

int users_find_by_email(struct db *db, const char *email, struct user *ret_user)
{
	static const char sql[] = "SELECT " USERS_COLUMNS " FROM users WHERE email_key = $1 AND deleted_ms = 0";
	char key[USERS_KEY_SIZE];

	return users_key(email, key) ? find(db, sql, key, ret_user) : ERR_NOT_FOUND;
}

int users_find_by_public_id(struct db *db, const char *public_id, struct user *ret_user)
{
	static const char sql[] = "SELECT " USERS_COLUMNS " FROM users WHERE public_id = $1 AND deleted_ms = 0";

	return find(db, sql, public_id, ret_user);
}

int users_find_by_id(struct db *db, int64_t id, struct user *ret_user)
{
	static const char sql[] = "SELECT " USERS_COLUMNS " FROM users WHERE id = $1 AND deleted_ms = 0";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, id);
	return read_one(s, ret_user);
}

/* Any row will do: a look-up that finds nobody has read none yet. */
int users_find_nobody(struct db *db, struct user *ret_nobody)
{
	static const char sql[] = "SELECT " USERS_COLUMNS " FROM users ORDER BY id LIMIT 1";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	return err ? err : read_one(s, ret_nobody);
}

int users_add(struct db *writer, struct user *user, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO users (public_id, username, username_key, email, email_key, password, "
				  "admin, disabled, created_ms, updated_ms) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id";
	struct db_statement *s = NULL;
	char name_key[USERS_KEY_SIZE], email_key[USERS_KEY_SIZE];
	bool has_email = user->email[0] != '\0';
	int err;

	if (!users_key(user->username, name_key) || !users_key(user->email, email_key))
		return ERR_INVALID;
	err = db_prepare(writer, sql, &s);
	if (err)
		return err;
	if (!user->public_id[0])
		id_new(user->public_id, now_ms);
	db_bind_text(s, 1, user->public_id);
	db_bind_text(s, 2, user->username);
	db_bind_text(s, 3, name_key);
	db_bind_text(s, 4, has_email ? user->email : NULL);
	db_bind_text(s, 5, has_email ? email_key : NULL);
	db_bind_text(s, 6, user->password);
	db_bind_int(s, 7, user->admin);
	db_bind_int(s, 8, user->disabled);
	db_bind_int(s, 9, now_ms);
	err = db_step(s);
	if (err == 1) {
		user->id = db_int(s, 0);
		user->created_ms = now_ms;
		err = db_step(s); /* to its end, which completes the insert */
	}
	db_finish(s);
	return err;
}

/* What an update of one account has come to. */
static int changed(struct db *writer, int err)
{
	return !err && db_changes(writer) == 0 ? ERR_NOT_FOUND : err;
}

int users_set_disabled(struct db *writer, int64_t id, bool disabled, int64_t now_ms)
{
	static const char sql[] = "UPDATE users SET disabled = $1, credentials = credentials + $1, updated_ms = $2 "
				  "WHERE id = $3 AND deleted_ms = 0";
	const int64_t values[] = {disabled, now_ms, id};

	return changed(writer, db_run_ints(writer, sql, values, 3));
}

int users_set_must_reset(struct db *writer, int64_t id, int64_t now_ms)
{
	static const char sql[] = "UPDATE users SET must_reset = 1, credentials = credentials + 1, updated_ms = $1 "
				  "WHERE id = $2 AND deleted_ms = 0";
	const int64_t values[] = {now_ms, id};

	return changed(writer, db_run_ints(writer, sql, values, 2));
}

int users_delete(struct db *writer, int64_t id, int64_t now_ms)
{
	/* no name may hold a ':', so nobody can take a stone's */
	static const char sql[] =
		"UPDATE users SET username = 'deleted:' || public_id, username_key = 'deleted:' || public_id, "
		"email = NULL, email_key = NULL, password = '', admin = 0, disabled = 1, must_reset = 0, failures = 0, "
		"locked_ms = 0, credentials = credentials + 1, updated_ms = $1, deleted_ms = $1 "
		"WHERE id = $2 AND deleted_ms = 0";
	const int64_t values[] = {now_ms, id};

	return changed(writer, db_run_ints(writer, sql, values, 2));
}

int users_set_password(struct db *writer, int64_t id, const char *hash, int64_t now_ms)
{
	static const char sql[] = "UPDATE users SET password = $1, must_reset = 0, failures = 0, locked_ms = 0, "
				  "credentials = credentials + 1, updated_ms = $2 WHERE id = $3 AND deleted_ms = 0";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, hash);
	db_bind_int(s, 2, now_ms);
	db_bind_int(s, 3, id);
	return changed(writer, db_run(s));
}

int users_raise_credentials(struct db *writer, int64_t id, int64_t now_ms)
{
	static const char sql[] = "UPDATE users SET credentials = credentials + 1, updated_ms = $1 "
				  "WHERE id = $2 AND deleted_ms = 0";
	const int64_t values[] = {now_ms, id};

	return changed(writer, db_run_ints(writer, sql, values, 2));
}

int users_confirm(struct db *writer, const struct user *user)
{
	static const char sql[] = "SELECT disabled = 0 AND locked_ms = 0 AND deleted_ms = 0 AND credentials = $1 "
				  "FROM users WHERE id = $2";
	const int64_t values[] = {user->credentials, user->id};
	int64_t holds = 0;
	int found = db_read_int(writer, sql, values, 2, &holds);

	if (found < 0)
		return found;
	return found && holds ? 0 : ERR_STALE;
}

int users_upgrade_password(struct db *writer, int64_t id, const char *old_hash, const char *hash, int64_t now_ms)
{
	static const char sql[] = "UPDATE users SET password = $1, updated_ms = $2 WHERE id = $3 AND password = $4";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, hash);
	db_bind_int(s, 2, now_ms);
	db_bind_int(s, 3, id);
	db_bind_text(s, 4, old_hash);
	err = db_run(s);
	if (!err && db_changes(writer) == 0)
		err = ERR_STALE;
	return err;
}
