/*
 * One check of a password against what is stored, on the calling thread, in the time that every check takes.
 *
 * Unknown users, forms that are refused and hashes whose pepper is gone are compared with a hash that nobody has the
 * password of. Argon2 hashes of cheaper days are topped up by what they cost less (argon.h). What a foreign function
 * costs is not known before: its processor time is measured and topped up to a running mean of today's Argon2id. One
 * that is dearer than that shows by its time until its owner has logged in.
 *
 * A text that NFKC changes is checked as it was typed as well, by whatever the stored form may be: programs that made
 * foreign hashes, and older versions of this one, did not normalise. So it costs twice as much, known user or not.
 *
 * Any number of threads may share a checker.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_CHECK_H
#define TOKENFIRST_SERVER_PASSWORD_CHECK_H

#include <stdbool.h>

#include "background/telemetry/metrics.h"
#include "config/options.h"
#include "server/password/stored.h"

struct checker;

/* `threads`: how many will check. */
int checker_new(
	const struct config *config, size_t threads, struct metrics *metrics, struct checker **ret_checker) MUST_CHECK;
void checker_free(struct checker *checker); /* NULL is fine; wipes the peppers */

const struct stored_rules *checker_rules(const struct checker *checker);

/*
 * `stored` NULL: an unknown user. `typed` NULL: NFKC changes nothing. ERR_CRYPTO: no memory, and nothing is said of the
 * password.
 */
int checker_check(struct checker *checker, const char *stored, const char *normal, const char *typed, bool *ret_matches,
	bool *ret_needs_rehash) MUST_CHECK;

#endif
