/*
 * Stored forms of passwords: what stands in a row, how it is made and how it is checked, on the calling thread.
 *
 *   $argon2id$v=19$m=…,t=…,p=1$salt$hash     Argon2id (RFC 9106) of the password
 *   $pepper$ID$argon2id$…                    Argon2id of the peppered password (pepper.h); ID says by which pepper
 *   $wrap$LEN:SETTINGS:$argon2id$…           Argon2id of the LEN characters that a foreign hash with these SETTINGS computes
 *   $pepper$ID$wrap$LEN:SETTINGS:$argon2id$… the same, of the peppered ones
 *   any of foreign.h, and $argon2i$          as another program made it, until its owner logs in
 *
 * All fit PASSWORD_HASH_SIZE. New ones are of the first form or, where a pepper is configured, of the second.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_STORED_H
#define TOKENFIRST_SERVER_PASSWORD_STORED_H

#include <stdbool.h>

#include "server/password/argon.h"
#include "server/password/pepper.h"

/* How new ones are made, and by which peppers others can be checked. */
struct stored_rules {
	struct argon_cost cost;
	struct peppers peppers;
};

void stored_rules_make(const struct config *config, struct stored_rules *ret_rules);
void stored_rules_release(struct stored_rules *rules); /* wipes the peppers */

/*
 * Whether a text is a stored form that can be checked, and at a bearable cost. ERR_INVALID, ERR_LIMIT (too dear),
 * ERR_NOT_FOUND (no kind that is known, or a pepper that is not configured), and what is wrong (static text). `rules`
 * NULL: any pepper will do.
 */
int stored_acceptable(const struct stored_rules *rules, const char *stored, const char **ret_why) MUST_CHECK;

/* `text` is normal (normal.h). `ret_hash` has PASSWORD_HASH_SIZE bytes. ERR_CRYPTO: no memory. */
int stored_make(const struct stored_rules *rules, const char *text, char *ret_hash) MUST_CHECK;

/*
 * The wrapped form of a foreign hash, with Argon2id at `cost`. ERR_NOT_FOUND: not of those that can be wrapped, such as
 * Argon2, which needs none. ERR_INVALID, ERR_LIMIT as above.
 */
int stored_wrap(
	const struct stored_rules *rules, const struct argon_cost *cost, const char *stored, char *ret_hash) MUST_CHECK;

struct stored_result {
	bool matches;
	bool needs_rehash; /* stored_make would make it otherwise */
	bool foreign;	   /* a foreign function had its part in it: what it cost can't be told from the form */
};

/*
 * ERR_INVALID: not a form that is taken, or its bounds, or not for this text. ERR_NOT_FOUND: its pepper is not
 * configured, and `ret_missing` is its id. In both cases hardly any time has passed. ERR_CRYPTO: no memory.
 */
int stored_check(const struct stored_rules *rules, const char *stored, const char *text,
	struct stored_result *ret_result, char ret_missing[PEPPER_ID_SIZE]) MUST_CHECK;

#endif
