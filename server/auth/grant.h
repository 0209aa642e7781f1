/*
 * A grant: the session that a login begins, with its access token and its refresh token, and the answer that hands them over. What every
 * flow that ends in tokens has in common.
 */
#ifndef TOKENFIRST_SERVER_AUTH_GRANT_H
#define TOKENFIRST_SERVER_AUTH_GRANT_H

#include "server/accounts/sessions.h"
#include "server/accounts/users.h"
#include "server/auth/work.h"
#include "server/token/token.h"

struct grant {
	struct app *app;
	const struct user *user; /* borrowed */
	struct session session;
	struct token_claims claims;
	struct buf access_token;
	char refresh_token[REFRESH_TOKEN_SIZE];
	char *answer; /* by grant_render */
	bool cookie;  /* the refresh token goes into one */
};

void grant_init(struct grant *grant, struct app *app);
void grant_release(struct grant *grant);

/* Makes ids and tokens; nothing is written. Borrows user and origin. */
int grant_prepare(struct grant *grant, const struct user *user, const struct origin *origin) MUST_CHECK;
/*
 * On the committer's thread: the session's row. ERR_STALE: since the password was checked, it was changed, or the account locked or
 * disabled: that revoked all sessions, and this one must not come after it.
 */
int grant_write(struct db *writer, const struct grant *grant) MUST_CHECK;
/* An inline effect that may refuse a login did: what was committed is taken back, and 502 answered. `event_id` is the login's. */
void grant_reject(const struct grant *grant, struct exchange *x, const struct origin *origin, const char *event_id);
/*
 * Makes the answer, before the session is written: a login that is on disk must not be lost to its caller for want of memory. `event_id`
 * is the login's. `body` is the request's: with {"cookie": true}, and cookie.enabled, the refresh token goes into a cookie and not
 * into the answer. ERR_MEMORY.
 */
int grant_render(struct grant *grant, const json_t *body, const char *event_id) MUST_CHECK;
/* 200 with the answer that was made, once. */
void grant_answer(struct grant *grant, struct exchange *x, const char *event_id);

#endif
