/*
 * Accounts on their way in: rows of `user_imports`, written a batch at a time, of which one transaction makes accounts,
 * all or none.
 *
 * Only the latest import counts: whoever begins one forgets what is left of others, and an import that has lost rows so
 * can't be finished. All run inside a commit job. An import's name is an id (id.h).
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_IMPORT_H
#define TOKENFIRST_SERVER_ACCOUNTS_IMPORT_H

#include "server/accounts/users.h"

/* One row. A line that the import has already stays as it is, so that a batch may be sent again. */
int import_add(struct db *writer, const char *import, int64_t line, const struct user *user, int64_t now_ms) MUST_CHECK;

/*
 * All its rows become accounts. They stay, to be forgotten in batches, and can't become accounts again. ERR_EXISTS: a
 * name or an address is taken; ERR_STALE: it does not have `count` rows.
 */
int import_finish(struct db *writer, const char *import, int64_t count, int64_t now_ms) MUST_CHECK;

/* Removes up to LIMIT_IMPORT_FORGET rows of an import, NULL: of any; *ret_count 0: there are none left. */
int import_forget(struct db *writer, const char *import, int64_t *ret_count) MUST_CHECK;

/* Whether it has become accounts, by its audit row. Any connection. */
int import_finished(struct db *db, const char *import, bool *ret_finished) MUST_CHECK;

#endif
