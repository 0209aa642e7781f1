/*
 * A search is two walks, each through the index of a unique key: names from the prefix on, then addresses. Of the
 * second walk those that the first has given are left out. The cursor says in which of the two a page ended, and at
 * which key.
 */
#include "server/accounts/users_search.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "server/accounts/users_internal.h"

enum order { BY_NAME, BY_EMAIL };

static const char *const orders[] = {[BY_NAME] = "name:", [BY_EMAIL] = "email:"};

struct search {
	char prefix[USERS_KEY_SIZE]; /* folded */
	size_t prefix_len;
	enum order order;
	char after[USERS_KEY_SIZE];
	int limit, seen, looked;
	int (*row)(void *arg, const struct user *user);
	void *arg;
};

static int read_cursor(const char *cursor, struct search *search)
{
	for (enum order order = BY_NAME; order <= BY_EMAIL; order++) {
		const size_t len = strlen(orders[order]);
		if (strncmp(cursor, orders[order], len) != 0)
			continue;
		search->order = order;
		return users_key(cursor + len, search->after) ? 0 : ERR_INVALID;
	}
	return ERR_INVALID;
}

/* What the user is found by in this order. */
static const char *key_of(enum order order, const struct user *user, char key[USERS_KEY_SIZE])
{
	if (!users_key(order == BY_NAME ? user->username : user->email, key))
		key[0] = '\0'; /* no row of ours: its texts are shorter */
	return key;
}

static bool begins(const struct search *search, const char *key)
{
	return strncmp(key, search->prefix, search->prefix_len) == 0;
}

/* 0: go on; 1: the walk is over, since its keys do not begin so any more; 2: the page is over. */
static int take(struct search *search, const struct user *user)
{
	char key[USERS_KEY_SIZE], name[USERS_KEY_SIZE];
	int err;

	key_of(search->order, user, key);
	if (!begins(search, key))
		return 1;
	memcpy(search->after, key, sizeof(key));
	search->looked++;
	if (search->order == BY_NAME || !begins(search, key_of(BY_NAME, user, name))) {
		search->seen++;
		err = search->row(search->arg, user);
		if (err)
			return err;
	}
	return search->seen == search->limit || search->looked == LIMIT_SEARCH_LOOK ? 2 : 0;
}

/* One of the two walks; as take(), and 1 also at its end. */
static int walk(struct db *db, struct search *search)
{
	static const char *const sql[] = {
		[BY_NAME] = "SELECT " USERS_COLUMNS " FROM users WHERE deleted_ms = 0 AND username_key >= $1 AND "
			    "username_key > $2 ORDER BY username_key LIMIT $3",
		[BY_EMAIL] = "SELECT " USERS_COLUMNS " FROM users WHERE deleted_ms = 0 AND email_key >= $1 AND "
			     "email_key > $2 ORDER BY email_key LIMIT $3",
	};
	struct db_statement *s = NULL;
	struct user user;
	int stop = 0;
	int err = db_prepare(db, sql[search->order], &s);

	if (err)
		return err;
	db_bind_text(s, 1, search->prefix);
	db_bind_text(s, 2, search->after);
	db_bind_int(s, 3, LIMIT_SEARCH_LOOK);
	while (!stop && (err = db_step(s)) == 1) {
		err = users_read(s, &user);
		stop = err ? err : take(search, &user);
	}
	db_finish(s);
	if (err < 0)
		return err;
	return stop ? stop : 1;
}

int users_search(struct db *db, const char *prefix, const char *after, int limit,
	int (*row)(void *arg, const struct user *user), void *arg, char ret_next[USERS_CURSOR_SIZE])
{
	struct search search = {.limit = limit, .row = row, .arg = arg};
	char next[USERS_CURSOR_SIZE] = "";
	int err = 0;

	assert(limit > 0);
	if (after && after[0])
		err = read_cursor(after, &search);
	if (err)
		return err;
	if (prefix && !users_key(prefix, search.prefix)) {
		ret_next[0] = '\0'; /* no name or address is that long */
		return 0;
	}
	search.prefix_len = strlen(search.prefix);
	err = walk(db, &search);
	if (err == 1 && search.order == BY_NAME && search.prefix_len > 0) {
		search.order = BY_EMAIL;
		search.after[0] = '\0';
		err = walk(db, &search);
	}
	if (err < 0)
		return err;
	if (err == 2)
		(void)snprintf(next, sizeof(next), "%s%s", orders[search.order], search.after);
	memcpy(ret_next, next, sizeof(next));
	return search.seen;
}

/* The one number of the one row of a statement that is bound. */
static int read_number(struct db_statement *s, int64_t *ret_number)
{
	int err = db_step(s);

	if (err == 1) {
		*ret_number = db_int(s, 0);
		err = 0;
	}
	db_finish(s);
	return err;
}

static int count(struct db *db, const char *sql, int64_t *ret_count)
{
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	return err ? err : read_number(s, ret_count);
}

int users_number(struct db *db, const char *public_id, int64_t *ret_id)
{
	static const char sql[] = "SELECT id FROM users WHERE public_id = $1";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, public_id);
	err = db_step(s);
	if (err == 1)
		*ret_id = db_int(s, 0);
	db_finish(s);
	return err == 1 ? 0 : err == 0 ? ERR_NOT_FOUND : err;
}

int users_count_sessions(struct db *db, int64_t user_id, int64_t now_ms, int64_t *ret_count)
{
	static const char sql[] =
		"SELECT COUNT(*) FROM (SELECT revoked_ms, expires_ms FROM sessions WHERE user_id = $1 "
		"ORDER BY id DESC LIMIT $2) s WHERE s.revoked_ms = 0 AND s.expires_ms > $3";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	db_bind_int(s, 2, LIMIT_SHOWN_SESSIONS);
	db_bind_int(s, 3, now_ms);
	return read_number(s, ret_count);
}

/* The latest of all: ids are given in order, and older ones have ended before. */
static int count_latest_sessions(struct db *db, int64_t now_ms, struct users_total *total)
{
	static const char sql[] = "SELECT COUNT(*), COALESCE(SUM(s.revoked_ms = 0 AND s.expires_ms > $1), 0) FROM "
				  "(SELECT revoked_ms, expires_ms FROM sessions ORDER BY id DESC LIMIT $2) s";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, LIMIT_OVERVIEW_COUNT);
	err = db_step(s);
	if (err == 1) {
		total->sessions_all = db_int(s, 0) < LIMIT_OVERVIEW_COUNT;
		total->sessions = db_int(s, 1);
		err = 0;
	}
	db_finish(s);
	return err;
}

int users_total(struct db *db, int64_t now_ms, struct users_total *ret_total)
{
	static const char all[] = "SELECT COUNT(*) FROM users";
	/* what stands behind WHERE repeats what the indexes of these few hold */
	static const char deleted[] = "SELECT COUNT(*) FROM users WHERE deleted_ms <> 0";
	static const char disabled[] = "SELECT COUNT(*) FROM users WHERE disabled <> 0 AND deleted_ms = 0";
	static const char locked[] = "SELECT COUNT(*) FROM users WHERE locked_ms <> 0 AND deleted_ms = 0";
	struct users_total total = {0};
	int64_t gone = 0;
	int err = count(db, all, &total.accounts);

	if (!err)
		err = count(db, deleted, &gone);
	if (!err)
		err = count(db, disabled, &total.disabled);
	if (!err)
		err = count(db, locked, &total.locked);
	if (!err)
		err = count_latest_sessions(db, now_ms, &total);
	if (err)
		return err;
	total.accounts -= gone;
	*ret_total = total;
	return 0;
}

const char *users_password_scheme(const char *stored)
{
	/* the prefixes of crypt(5) and of PHC strings; a longer one before its own beginning */
	static const struct {
		const char *prefix, *scheme;
	} schemes[] = {
		{"$argon2id$", "argon2id"},
		{"$argon2i$", "argon2i"},
		{"$argon2d$", "argon2d"},
		{"$2", "bcrypt"},
		{"$scrypt$", "scrypt"},
		{"$7$", "scrypt"},
		{"$pbkdf2", "pbkdf2"},
		{"pbkdf2_", "pbkdf2"},
		{"$wrap$", "wrapped"}, /* in Argon2id */
		{"$y$", "yescrypt"},
		{"$gy$", "gost-yescrypt"},
		{"$6$", "sha512-crypt"},
		{"$5$", "sha256-crypt"},
	};

	if (!stored[0])
		return "none";
	if (strncmp(stored, "$pepper$", 8) == 0) /* "$pepper$ID$argon2id$…" */
		stored = strchrnul(stored + 8, '$');
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strncmp(stored, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return schemes[i].scheme;
	}
	return "unknown";
}
