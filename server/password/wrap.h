/*
 * Wraps foreign hashes in Argon2id, for accounts whose owners have not logged in yet: who steals the store then has the
 * price of both to pay for each guess, and a check takes, as far as that can be had, the time of a check of today.
 *
 * Argon2id gets what the foreign function leaves of that time, by memory, but never less than an eighth. How much that
 * is, is measured once for each cost that occurs, on this machine. One thread.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_WRAP_H
#define TOKENFIRST_SERVER_PASSWORD_WRAP_H

#include "server/password/stored.h"

enum { WRAP_COSTS = 16, WRAP_COST_TEXT = 64 };

struct wrapper {
	const struct stored_rules *rules;
	int64_t argon_us; /* 0: not measured yet */
	struct {
		char text[WRAP_COST_TEXT];
		struct argon_cost rest;
	} costs[WRAP_COSTS]; /* of those met; at its bound the oldest goes */
	size_t count, next;
};

/* `rules` must outlive it; nothing to release. */
void wrapper_init(struct wrapper *wrapper, const struct stored_rules *rules);

/*
 * 0; or the stored form stays as it is and ERR_NOT_FOUND: it is Argon2 already. Errors of stored_wrap. `ret_hash` has
 * PASSWORD_HASH_SIZE bytes.
 */
int wrapper_wrap(struct wrapper *wrapper, const char *stored, char *ret_hash) MUST_CHECK;

#endif
