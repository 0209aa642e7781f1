/*
 * Second factors: time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 s, which is what authenticator apps do;
 * by liboath), as rows. Recovery codes (recovery_codes.h) belong to them, and come and go with them.
 *
 * The secret is encrypted at rest: XChaCha20-Poly1305 under a key derived from SECRET_TOTP, with the user's number as
 * additional data, so that a row copied to another account opens nothing. `key` is always SECRET_TOTP.
 *
 * A code counts once (RFC 6238 5.2). Checking and using are two steps:
 *
 *   err = totp_check(db, key, user.id, TOTP_ACTIVE, code, clock_wall_ms(), &proof);    a reader's connection
 *   … within the transaction of what it allows:
 *   err = totp_use(writer, user.id, &proof, now_ms);                                   ERR_DENIED: used meanwhile
 *
 * A proof is of one secret: it is void once that is replaced or taken away.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_TOTP_H
#define TOKENFIRST_SERVER_ACCOUNTS_TOTP_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "server/accounts/recovery_codes.h"
#include "server/token/keys.h"

enum totp_state { TOTP_NONE, TOTP_PENDING, TOTP_ACTIVE };

enum {
	TOTP_SECRET = 20,		     /* bytes: RFC 4226 4, R6 recommends 160 bits */
	TOTP_SEALED = 24 + TOTP_SECRET + 16, /* nonce, secret, tag */
	TOTP_DIGITS = 6,
	TOTP_STEP_S = 30,
	TOTP_WINDOW = 1, /* steps by which clocks may differ, each way (RFC 6238 5.2) */
};

struct totp_proof {
	bool recovery; /* it was a recovery code */
	int64_t step;
	unsigned char sealed[TOTP_SEALED]; /* the secret's, as stored */
	unsigned char digest[RECOVERY_DIGEST];
	int64_t left; /* recovery codes without this one */
};

/*
 * Of which time step after `last_step` a code is, at `wall_ms` and within the window. ERR_DENIED: of none. Every step
 * is tried, and compared in constant time.
 */
int totp_match(const unsigned char secret[TOTP_SECRET], const char *code, int64_t wall_ms, int64_t last_step,
	int64_t *ret_step) MUST_CHECK;

/* Whether the user has a second factor in force: one look-up by primary key. */
int totp_state(struct db *db, int64_t user_id, enum totp_state *ret_state) MUST_CHECK;

/*
 * Whether it is a good code of the user's secret that is in this state: an authenticator's, or, of one in force, a
 * recovery code. Blanks and hyphens in it do not matter. ERR_DENIED: it is wrong or has been used, or there is no such
 * secret, which takes as long. ERR_CRYPTO: the row can't be decrypted.
 */
int totp_check(struct db *db, const unsigned char key[32], int64_t user_id, enum totp_state state, const char *code,
	int64_t wall_ms, struct totp_proof *ret_proof) MUST_CHECK;

/* Writers. A pending secret, in place of an older pending one. ERR_EXISTS: there is one in force. */
int totp_enrol(struct db *writer, const unsigned char key[32], int64_t user_id, const unsigned char secret[TOTP_SECRET],
	int64_t now_ms) MUST_CHECK;
/* The pending secret of this proof comes into force, with these recovery codes. ERR_DENIED: it is pending no more. */
int totp_confirm(struct db *writer, int64_t user_id, const struct totp_proof *proof,
	const unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST], int64_t now_ms) MUST_CHECK;
/* The code of this proof is used up. ERR_DENIED: it has been, or its secret is in force no more. */
int totp_use(struct db *writer, int64_t user_id, const struct totp_proof *proof, int64_t now_ms) MUST_CHECK;
/* Takes the second factor and the recovery codes of a user away, if there are any. */
int totp_remove(struct db *writer, int64_t user_id) MUST_CHECK;

#endif
