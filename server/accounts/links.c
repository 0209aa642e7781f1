#include "server/accounts/links.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/users.h"

enum { ID_BITS = 53 };

/* From 1. */
static int64_t random_id(void)
{
	uint64_t id;

	do {
		randombytes_buf(&id, sizeof(id));
		id >>= 64 - ID_BITS;
	} while (id == 0);
	return (int64_t)id;
}

void links_init(struct link *link, const char *purpose, int64_t ttl_ms, int64_t now_ms)
{
	*link = (struct link){.id = random_id(), .created_ms = now_ms, .expires_ms = now_ms + ttl_ms};
	(void)snprintf(link->purpose, sizeof(link->purpose), "%s", purpose);
}

json_t *links_event(const struct link *link)
{
	char expires[RFC3339_SIZE];

	clock_rfc3339(expires, link->expires_ms);
	return json_pack("{s:{s:I, s:s, s:s}}", "link", "id", (json_int_t)link->id, "purpose", link->purpose, "expires",
		expires);
}

int links_add(struct db *writer, const struct link *link)
{
	static const char sql[] = "INSERT INTO links (id, purpose, user_id, email, email_key, username, password, "
				  "created_ms, expires_ms, used_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
	struct db_statement *s = NULL;
	char key[USERS_KEY_SIZE];
	int err;

	if (!users_key(link->email, key))
		return ERR_INVALID;
	err = db_prepare(writer, sql, &s);
	if (err)
		return err;
	db_bind_int(s, 1, link->id);
	db_bind_text(s, 2, link->purpose);
	db_bind_int(s, 3, link->user_id);
	db_bind_text(s, 4, link->email);
	db_bind_text(s, 5, key);
	db_bind_text(s, 6, link->username);
	db_bind_text(s, 7, link->password);
	db_bind_int(s, 8, link->created_ms);
	db_bind_int(s, 9, link->expires_ms);
	db_bind_int(s, 10, link->used_ms);
	return db_run(s);
}

int links_use(struct db *writer, int64_t id, int64_t now_ms)
{
	static const char sql[] =
		"UPDATE links SET used_ms = $1, password = '' WHERE id = $2 AND used_ms = 0 AND expires_ms > $1";
	const int64_t values[] = {now_ms, id};
	int err = db_run_ints(writer, sql, values, 2);

	return !err && db_changes(writer) == 0 ? ERR_STALE : err;
}

int links_void(struct db *writer, int64_t user_id, const char *purpose, int64_t now_ms)
{
	static const char sql[] =
		"UPDATE links SET used_ms = $1 WHERE user_id = $2 AND user_id <> 0 AND purpose = $3 AND used_ms = 0";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, user_id);
	db_bind_text(s, 3, purpose);
	return db_run(s);
}

int links_void_address(struct db *writer, const char *email, int64_t now_ms)
{
	static const char sql[] =
		"UPDATE links SET used_ms = $1, password = '' WHERE email_key = $2 AND "
		"email_key <> '' AND purpose IN ('" LINK_VERIFY "', '" LINK_INVITE "') AND used_ms = 0";
	struct db_statement *s = NULL;
	char key[USERS_KEY_SIZE];
	int err;

	if (!users_key(email, key))
		return ERR_INVALID;
	err = db_prepare(writer, sql, &s);
	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_text(s, 2, key);
	return db_run(s);
}

static int read_link(struct db_statement *s, struct link *ret_link)
{
	struct link link = {
		.id = db_int(s, 0),
		.user_id = db_int(s, 2),
		.created_ms = db_int(s, 6),
		.expires_ms = db_int(s, 7),
		.used_ms = db_int(s, 8),
	};
	int err = db_copy_text(s, 1, link.purpose, sizeof(link.purpose));

	if (!err)
		err = db_copy_text(s, 3, link.email, sizeof(link.email));
	if (!err)
		err = db_copy_text(s, 4, link.username, sizeof(link.username));
	if (!err)
		err = db_copy_text(s, 5, link.password, sizeof(link.password));
	if (!err)
		*ret_link = link;
	return err;
}

int links_find(struct db *db, int64_t id, struct link *ret_link)
{
	static const char sql[] = "SELECT id, purpose, user_id, email, username, password, created_ms, expires_ms, "
				  "used_ms FROM links WHERE id = $1";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, id);
	err = db_step(s);
	if (err == 1)
		err = read_link(s, ret_link);
	else if (err == 0)
		err = ERR_NOT_FOUND;
	db_finish(s);
	return err;
}

bool links_open(const struct link *link, const char *purpose, int64_t now_ms)
{
	return strcmp(link->purpose, purpose) == 0 && link->used_ms == 0 && link->expires_ms > now_ms;
}
