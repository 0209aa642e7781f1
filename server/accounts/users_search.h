/*
 * Accounts as administrators look for them: by the beginning of a name or an address, in pages of bounded work, and
 * counted.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_USERS_SEARCH_H
#define TOKENFIRST_SERVER_ACCOUNTS_USERS_SEARCH_H

#include "server/accounts/users.h"

/*
 * Where a page ends, as text for the client: "name:alice", behind the account of that key in the order of names, or
 * "email:bob@example.com", behind that one in the order of addresses; "": at the beginning, or that was all.
 */
enum { USERS_CURSOR_SIZE = 6 + LIMIT_EMAIL + 1 };

/*
 * At most `limit` accounts, behind `after`: all in the order of their names, or those whose name begins with `prefix`
 * (not NULL or "") in that order, and then, in the order of their addresses, those whose address does and whose name
 * does not. None comes twice or is left out however many pages it takes, whatever is added meanwhile. At most
 * LIMIT_SEARCH_LOOK rows are looked at: a page may have few, or none, and yet not be the last. ERR_INVALID: no such
 * cursor.
 */
int users_search(struct db *db, const char *prefix, const char *after, int limit,
	int (*row)(void *arg, const struct user *user), void *arg, char ret_next[USERS_CURSOR_SIZE]) MUST_CHECK;

/* The number of an account, also of a deleted one: rows of the audit trail are by that. ERR_NOT_FOUND. */
int users_number(struct db *db, const char *public_id, int64_t *ret_id) MUST_CHECK;

/* Sessions of an account that are live, of its latest LIMIT_SHOWN_SESSIONS. */
int users_count_sessions(struct db *db, int64_t user_id, int64_t now_ms, int64_t *ret_count) MUST_CHECK;

struct users_total {
	int64_t accounts, disabled, locked; /* without those that are deleted */
	int64_t sessions;		    /* live, of the latest LIMIT_OVERVIEW_COUNT of all */
	bool sessions_all;		    /* there are no more than that */
};
/* By indexes and within bounds: some tens of milliseconds at a million accounts and sessions. */
int users_total(struct db *db, int64_t now_ms, struct users_total *ret_total) MUST_CHECK;

/*
 * "argon2id", "bcrypt", … of a stored form, "wrapped" of an imported one within Argon2id; "none" of an empty one,
 * "unknown" of what this program does not know.
 */
const char *users_password_scheme(const char *stored);

#endif
