/*
 * A wrong secret, written down once the caller has its answer: an audit row, and the account's count towards its lock (lockout.h). Whoever
 * locks it so hears of it by mail (event user.locked).
 */
#ifndef TOKENFIRST_SERVER_AUTH_FAILURE_H
#define TOKENFIRST_SERVER_AUTH_FAILURE_H

#include "server/auth/throttle.h"
#include "server/auth/work.h"

/* At start, so that the counter of what is lost is there at 0. */
void failure_register(struct metrics *metrics);

/*
 * `user` NULL: nobody by that name, which is written down without the name. `type` is the audit row's. A ticket that is exempt counts
 * towards no lock. What can't be written is counted (tokenfirst_audit_lost_total) and logged.
 */
void failure_record(struct app *app, const struct origin *origin, const struct user *user,
	const struct throttle_ticket *ticket, const char *type);

/*
 * Who has shown by a link, or to an administrator, who he is need not wait for what others have guessed: the throttle forgets what
 * it remembers of the account's password, under each of its names. Of codes it does not: whoever reads an account's mail must
 * not win guesses at its second factor with each reset.
 */
void failure_forget(struct app *app, const struct user *user);

#endif
