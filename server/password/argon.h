/*
 * One Argon2id hash on the calling thread: libsodium's, with limits on what a stored hash may ask for.
 *
 * How many run at once, and who waits, is password.c's business.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_ARGON_H
#define TOKENFIRST_SERVER_PASSWORD_ARGON_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"
#include "config/options.h"

struct argon_cost {
	size_t memory_bytes;
	unsigned long long passes;
};

struct argon_cost argon_cost_of(const struct config *config);

/* `ret_hash` has PASSWORD_HASH_SIZE bytes. ERR_CRYPTO: no memory. */
int argon_hash(const struct argon_cost *cost, const char *password, char *ret_hash) MUST_CHECK;

/*
 * What a hash with these parameters looks like, with the given bytes for salt and hash, which nobody must know, so that
 * no password is known to match it. Costs nothing to make, and as much as any other to check.
 */
enum { ARGON_SEED = 48 };
void argon_nobody(const struct argon_cost *cost, const unsigned char seed[ARGON_SEED], char *ret_hash);

/*
 * 0 and whether the password matches. ERR_INVALID, with no work done: not a hash that this program takes
 * ($argon2id$ or libsodium's $argon2i$), or one that asks for more than LIMIT_HASH_MEMORY_KIB or LIMIT_HASH_PASSES and
 * for more than `cost`, since a row of a database must not be able to take the machine. ERR_CRYPTO: no memory.
 */
int argon_verify(const struct argon_cost *cost, const char *stored, const char *password, bool *ret_matches) MUST_CHECK;

/*
 * Whether a text is a hash that argon_verify takes whatever the cost of today. ERR_INVALID, or ERR_LIMIT: it asks for
 * more than LIMIT_HASH_MEMORY_KIB or LIMIT_HASH_PASSES; and what is wrong (static text).
 */
int argon_acceptable(const char *stored, const char **ret_why) MUST_CHECK;

/*
 * What a check against `stored` costs less than one with today's parameters: memory times passes is what takes time.
 * False: nothing that could be made up for.
 */
bool argon_owed(const struct argon_cost *cost, const char *stored, struct argon_cost *ret_owed);
/* Takes the time that a hash of that cost takes. */
int argon_spend(const struct argon_cost *cost, const char *password) MUST_CHECK;

/* Whether the stored hash was made otherwise than argon_hash would make it now. */
bool argon_needs_rehash(const struct argon_cost *cost, const char *stored);

#endif
