/*
 * The hard limit of NIST SP 800-63B-4 3.2.2: so many wrong passwords in a row lock an account until its password is
 * reset. Kept with the account, so that neither time nor a restart forgets it. What slows guessing down long before is
 * server/auth/throttle.h.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_LOCKOUT_H
#define TOKENFIRST_SERVER_ACCOUNTS_LOCKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"

/*
 * Writers. One more failure; *ret_locked: it was the one that locks the account. ERR_NOT_FOUND: there is none such (any
 * more).
 */
int lockout_fail(struct db *writer, int64_t user_id, int64_t hard, int64_t now_ms, bool *ret_locked) MUST_CHECK;
/* The same statements, with a row written, for a name that nobody has: its failure takes the time of any other. */
int lockout_fail_nobody(struct db *writer, int64_t hard, int64_t now_ms) MUST_CHECK;
/* The row is forgotten: failures and lock. */
int lockout_clear(struct db *writer, int64_t user_id) MUST_CHECK;

#endif
