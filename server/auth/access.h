/*
 * Whom an access token stands for: its signature and claims (token.h), and the session behind it, which must be live
 * and the token's own: from memory where that still holds (access_cache.h), else from the store.
 */
#ifndef TOKENFIRST_SERVER_AUTH_ACCESS_H
#define TOKENFIRST_SERVER_AUTH_ACCESS_H

#include "server/auth/access_cache.h"

struct app;

/*
 * `db`: the calling thread's reader. ERR_DENIED: the token is not valid, or its session is not live; ERR_MEMORY or
 * another error: nothing is known.
 */
int access_check(struct app *app, struct db *db, const char *token, struct access *ret_access) MUST_CHECK;
/* The same with the owner's account, which is read for it. */
int access_check_account(struct app *app, struct db *db, const char *token, struct access *ret_access,
	struct session_account *ret_account) MUST_CHECK;

/*
 * What access_check_account found out, and the answer that was made of it, is kept for the next time. Not for more than
 * `access` and `account` say.
 */
void access_keep(struct app *app, const struct access *access, enum access_answer which, const char *text);
/* Such an answer, if it is still true: its length, or 0. Never waits for anything: fit for a loop's thread. */
size_t access_answer(struct app *app, const char *token, enum access_answer which, char ret_text[LIMIT_ACCESS_ANSWER]);

#endif
