/*
 * Password hashing as a bounded resource.
 *
 * `slots` hash threads, which let others go first (slice.h), each with its own memory that is reused
 * from hash to hash (arena.h). Callers hand over and wait, at most `queue` of them and at most
 * `queue_timeout_ms` until their hash is begun: overload sheds, it never stacks up.
 *
 * Passwords are hashed and checked in NFKC (normal.h). Stored forms are those of stored.h: new ones Argon2id, of the
 * peppered password where a pepper is configured (parameters after OWASP's password storage cheat sheet: 19 MiB, t=2);
 * imported ones as they came.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_PASSWORD_H
#define TOKENFIRST_SERVER_PASSWORD_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "background/telemetry/metrics.h"
#include "config/options.h"

struct passwords;

enum { PASSWORD_HASH_SIZE = 512 }; /* of a stored form, and its NUL */

int passwords_start(const struct config *config, struct metrics *metrics, struct passwords **ret_passwords) MUST_CHECK;
void passwords_stop(struct passwords *passwords); /* NULL is fine; waiting callers get ERR_CLOSED */

struct password_check {
	bool matches;
	bool needs_rehash; /* password_hash would make another form: parameters, pepper, or kind */
	int64_t wait_us;   /* until a hash thread began */
	int64_t hash_us;
};

/*
 * Compares a password with a stored hash; `stored` NULL stands for an unknown user and costs the same: a hash made at
 * start with today's parameters is checked, and never matches (check.h). ERR_LIMIT: queue full. ERR_TIMEOUT: not begun
 * in time. ERR_CLOSED: `gone(arg)` said, when the hash was about to begin, that nobody waits any more (NULL: never
 * asked), or stopping. ERR_CRYPTO, ERR_MEMORY: out of memory. ERR_INVALID: a text that password_acceptable refuses;
 * nothing was looked at.
 */
int password_verify(struct passwords *passwords, const char *stored, const char *password,
	bool (*gone)(const void *arg), const void *arg, struct password_check *ret_check) MUST_CHECK;

/*
 * What stands in for the hash of a name that nobody has: no password matches it, and it costs what any other does. Its
 * salt follows from the name, under a key that nobody else knows: the second half of Argon2id reads memory where
 * password and salt send it, so each account has a time of its own (a little, and always the same); had all unknown
 * names one salt, they would be told by having one time.
 */
void password_stand_in(const struct passwords *passwords, const unsigned char key[32], const char *name,
	char ret_hash[PASSWORD_HASH_SIZE]);

/* A new hash with today's parameters. Errors as above. */
int password_hash(struct passwords *passwords, const char *password, char ret_hash[PASSWORD_HASH_SIZE]) MUST_CHECK;

/* The same without threads, for commands: hashes on the caller's thread. */
int password_hash_here(const struct config *config, const char *password, char ret_hash[PASSWORD_HASH_SIZE]) MUST_CHECK;

/* 0, or ERR_INVALID: empty, longer than LIMIT_PASSWORD, or not UTF-8. */
int password_acceptable(const char *password, const char **ret_why) MUST_CHECK;

#endif
