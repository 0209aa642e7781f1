/*
 * Second factors: time-based one-time passwords (RFC 6238, by liboath) and recovery codes, as rows.
 *
 * The secret is encrypted at rest (crypto_secretbox under SECRET_TOTP); recovery codes are kept as keyed digests.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_TOTP_H
#define TOKENFIRST_SERVER_ACCOUNTS_TOTP_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "server/token/keys.h"

enum totp_state { TOTP_NONE, TOTP_PENDING, TOTP_ACTIVE };

/* Whether the user has a second factor in force: one look-up by primary key. */
int totp_state(struct db *db, int64_t user_id, enum totp_state *ret_state) MUST_CHECK;

/* Writer: takes the second factor and the recovery codes of a user away, if there are any. */
int totp_remove(struct db *writer, int64_t user_id) MUST_CHECK;

#endif
