#include "server/accounts/import.h"

#include <stdio.h>
#include <string.h>

/* As users.c: ASCII alone is without case. */
static void fold(const char *text, char *ret_key)
{
	do {
		*ret_key++ = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
	} while (*text++);
}

int import_add(struct db *writer, const char *import, int64_t line, const struct user *user, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO user_imports (import, line, public_id, username, username_key, email, "
				  "email_key, password, admin, disabled, created_ms) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
				  "ON CONFLICT (import, line) DO NOTHING";
	struct db_statement *s = NULL;
	char name_key[LIMIT_USERNAME + 1], email_key[LIMIT_EMAIL + 1], public_id[ID_SIZE];
	const bool has_email = user->email[0] != '\0';
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	fold(user->username, name_key);
	fold(user->email, email_key);
	id_new(public_id, now_ms);
	db_bind_text(s, 1, import);
	db_bind_int(s, 2, line);
	db_bind_text(s, 3, public_id);
	db_bind_text(s, 4, user->username);
	db_bind_text(s, 5, name_key);
	db_bind_text(s, 6, has_email ? user->email : NULL);
	db_bind_text(s, 7, has_email ? email_key : NULL);
	db_bind_text(s, 8, user->password);
	db_bind_int(s, 9, user->admin);
	db_bind_int(s, 10, user->disabled);
	db_bind_int(s, 11, now_ms);
	return db_run(s);
}

int import_finish(struct db *writer, const char *import, int64_t count, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO users (public_id, username, username_key, email, email_key, password, "
				  "admin, disabled, created_ms, updated_ms) "
				  "SELECT public_id, username, username_key, email, email_key, password, admin, "
				  "disabled, $1, $1 FROM user_imports WHERE import = $2 ORDER BY line";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_text(s, 2, import);
	err = db_run(s);
	if (!err && db_changes(writer) != count)
		err = ERR_STALE;
	return err;
}

int import_forget(struct db *writer, const char *import, int64_t *ret_count)
{
	static const char all[] = "DELETE FROM user_imports WHERE (import, line) IN "
				  "(SELECT import, line FROM user_imports LIMIT $1)";
	static const char one[] = "DELETE FROM user_imports WHERE (import, line) IN "
				  "(SELECT import, line FROM user_imports WHERE import = $1 LIMIT $2)";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, import ? one : all, &s);

	if (err)
		return err;
	if (import)
		db_bind_text(s, 1, import);
	db_bind_int(s, import ? 2 : 1, LIMIT_IMPORT_FORGET);
	err = db_run(s);
	if (!err)
		*ret_count = db_changes(writer);
	return err;
}

int import_finished(struct db *db, const char *import, bool *ret_finished)
{
	static const char sql[] = "SELECT 1 FROM audit WHERE type = 'user.imported' AND detail LIKE $1";
	struct db_statement *s = NULL;
	char pattern[ID_SIZE + 2];
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	(void)snprintf(pattern, sizeof(pattern), "%%%s%%", import);
	db_bind_text(s, 1, pattern);
	err = db_step(s);
	db_finish(s);
	if (err < 0)
		return err;
	*ret_finished = err == 1;
	return 0;
}
