/*
 * A new signing key takes the place of the old one, without a token refused on the way.
 *
 * It is published at once and signs after token.key_lead, by when every verifier's cached copy of the JWKS has it
 * (caches keep that for half of it). The old one stays until the last token that it can have signed has expired. At
 * once is without the lead: verifiers refuse new tokens until they have loaded the JWKS again. A key that has leaked goes
 * at once too, and with it every token that it has signed: their owners refresh, or log in again.
 *
 *   rotation_init(&rotation, alg, lead_ms, ttl_ms, at_once, now_ms)       makes the key, which takes its time
 *   rotation_write(writer, &rotation)                                      in a transaction
 *   rotation_release(&rotation)
 */
#ifndef TOKENFIRST_SERVER_TOKEN_ROTATION_H
#define TOKENFIRST_SERVER_TOKEN_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "server/token/keys.h"

struct rotation {
	struct signing_key *key;
	bool at_once;
	int64_t now_ms;
	int64_t signs_ms;   /* the new key, from then on */
	int64_t retires_ms; /* all others, if they have not by then */
};

/* `ttl_ms`: how long a token lives at most. */
int rotation_init(struct rotation *rotation, enum token_alg alg, int64_t lead_ms, int64_t ttl_ms, bool at_once,
	int64_t now_ms) MUST_CHECK;
/*
 * Writes key, retirements and audit row. ERR_EXISTS: a new key waits for its lead already, and this one is not
 * `at_once`, which would take its place. Retired keys lose their private halves. At most LIMIT_KEYS_RETIRING keys wait
 * for their end: the oldest ones beyond that retire now, so that frequent rotation ends no start of a server. May be
 * run again after a failure.
 */
int rotation_write(struct db *writer, const struct rotation *rotation) MUST_CHECK;
/* Of one that is made at once, before it is written: all others are gone with it, and have leaked for all that is known. */
void rotation_leaked(struct rotation *rotation);
void rotation_release(struct rotation *rotation);

#endif
