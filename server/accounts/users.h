/*
 * Accounts: rows of the table `users`. Names and addresses are compared case-insensitively
 * by a folded key column (ASCII fold; usernames are ASCII letters, digits and . _ - + @; RFC 5321 addresses).
 *
 * Functions with `writer` in their name's place of `db` run inside a commit job; the rest take any connection.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_USERS_H
#define TOKENFIRST_SERVER_ACCOUNTS_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "config/id.h"
#include "config/limits.h"
#include "server/password/password.h"

struct user {
	int64_t id;
	char public_id[ID_SIZE];
	char username[LIMIT_USERNAME + 1];
	char email[LIMIT_EMAIL + 1]; /* "": none */
	char password[PASSWORD_HASH_SIZE];
	bool admin, disabled;
	bool must_reset;     /* its password may not be used any more */
	bool locked;	     /* by too many failures (lockout.h), until its password is set anew */
	int64_t failures;    /* wrong passwords in a row */
	int64_t credentials; /* raised by each change after which older proofs of who one is must not count */
	int64_t created_ms;
};

/* 0, or ERR_INVALID with what is wrong (static text). Refuses control bytes, CR and LF above all. */
int username_acceptable(const char *username, const char **ret_why) MUST_CHECK;
int email_acceptable(const char *email, const char **ret_why) MUST_CHECK;

/* The key by which a name or an address is unique; false: longer than any there can be. */
enum { USERS_KEY_SIZE = LIMIT_EMAIL + 1 };
bool users_key(const char *text, char ret_key[USERS_KEY_SIZE]);

/* ERR_NOT_FOUND leaves *ret_user untouched. */
int users_find_by_username(struct db *db, const char *username, struct user *ret_user) MUST_CHECK;
int users_find_by_email(struct db *db, const char *email, struct user *ret_user) MUST_CHECK;
int users_find_by_public_id(struct db *db, const char *public_id, struct user *ret_user) MUST_CHECK;
int users_find_by_id(struct db *db, int64_t id, struct user *ret_user) MUST_CHECK;
/* The work of finding somebody, for when nobody was found: *ret_nobody is then no one's, and for no use. */
int users_find_nobody(struct db *db, struct user *ret_nobody) MUST_CHECK;

/* Writers. Adding fills in id, and public_id where it is ""; ERR_EXISTS for a taken name or address. */
int users_add(struct db *writer, struct user *user, int64_t now_ms) MUST_CHECK;
/* ERR_NOT_FOUND: no such account (any more). What ends sessions is said by the caller: sessions_revoke_all. */
int users_set_disabled(struct db *writer, int64_t id, bool disabled, int64_t now_ms) MUST_CHECK;
/*
 * Leaves a stone without name, address or hash, so that the number is never given again; the name and the address are
 * free. What else is the account's is ended by the caller: sessions, second factor, links.
 */
int users_delete(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
int users_set_must_reset(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
/* `hash` is a stored form. It also takes back must_reset and the lock. */
int users_set_password(struct db *writer, int64_t id, const char *hash, int64_t now_ms) MUST_CHECK;
/* What a request has found of an account before this holds no more: its second factor is another. ERR_NOT_FOUND. */
int users_raise_credentials(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
/*
 * Whether what a request has found of an account still holds as it commits: the account may log in, and its credentials
 * are those of `user`. ERR_STALE: not.
 */
int users_confirm(struct db *writer, const struct user *user) MUST_CHECK;
/* A rehash at login: only if the stored hash is still `old_hash`; ERR_STALE otherwise. Revokes nothing. */
int users_upgrade_password(
	struct db *writer, int64_t id, const char *old_hash, const char *hash, int64_t now_ms) MUST_CHECK;

#endif
