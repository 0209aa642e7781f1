/*
 * Recovery codes: what stands in for a lost authenticator. Each holds 120 random bits (OWASP ASVS 5.0 6.5.2 asks for
 * 112 where the digest is a fast one), is shown once and works once; what is kept is its BLAKE2b digest under a key, with the user's number in it, so
 * that neither a copy of the store nor a row moved to another account is of use. As many bits leave nothing to be
 * guessed from a digest, so it need not be slow.
 *
 * `key` is the server's SECRET_TOTP (32 bytes), from which a key for this use alone is derived.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_RECOVERY_CODES_H
#define TOKENFIRST_SERVER_ACCOUNTS_RECOVERY_CODES_H

#include <stdint.h>

#include "background/store/db.h"
#include "config/limits.h"

enum {
	RECOVERY_CODE_BYTES = 15,
	RECOVERY_CODE_SIZE = 28, /* "k3fq7w-2mpd5x-ua6rho-4bnzey" and its NUL */
	RECOVERY_DIGEST = 32,
};

/* A new one, in base32 (RFC 4648 6) in lower case, by sixes. ERR_MEMORY. */
int recovery_code_make(char ret_code[RECOVERY_CODE_SIZE]) MUST_CHECK;
/* Of a code as a person types it: case, hyphens and blanks do not matter. ERR_INVALID: it has not the form of one. */
int recovery_code_digest(const unsigned char key[32], int64_t user_id, const char *code,
	unsigned char ret_digest[RECOVERY_DIGEST]) MUST_CHECK;

/* How many of a user's are unused. */
int recovery_codes_left(struct db *db, int64_t user_id, int64_t *ret_left) MUST_CHECK;
/* 0: there is such a one, unused. ERR_DENIED. */
int recovery_codes_find(struct db *db, int64_t user_id, const unsigned char digest[RECOVERY_DIGEST]) MUST_CHECK;

/* Writers. Uses one up; ERR_DENIED: it has been, or there is none such (any more). */
int recovery_codes_use(
	struct db *writer, int64_t user_id, const unsigned char digest[RECOVERY_DIGEST], int64_t now_ms) MUST_CHECK;
/* These in place of all that there were. */
int recovery_codes_replace(struct db *writer, int64_t user_id,
	const unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST]) MUST_CHECK;
int recovery_codes_remove(struct db *writer, int64_t user_id) MUST_CHECK;

#endif
