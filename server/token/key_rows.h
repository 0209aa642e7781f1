/*
 * Signing keys as rows of the store, and what their times make of them.
 *
 * A key signs from active_ms until a newer one of its algorithm does, and verifies until retired_ms (0: without end, as
 * yet). Both may lie ahead: so a change of keys happens by time alone, for the server that runs and for one that starts
 * later.
 */
#ifndef TOKENFIRST_SERVER_TOKEN_KEY_ROWS_H
#define TOKENFIRST_SERVER_TOKEN_KEY_ROWS_H

#include <stdbool.h>

#include "background/store/db.h"
#include "config/limits.h"
#include "server/token/signing_key.h"

struct key_row {
	char kid[KEY_ID_SIZE];
	enum token_alg alg;
	int64_t created_ms, active_ms, retired_ms; /* wall */
};

enum key_state {
	KEY_SIGNS,
	KEY_NEXT,     /* published, and signs later */
	KEY_VERIFIES, /* of another algorithm than the configured one */
	KEY_RETIRING, /* published until its last token has expired */
	KEY_RETIRED
};
const char *key_state_text(enum key_state state); /* "signs", "next", "verifies", "retiring", "retired" */

/* Whether it is published, and verifies. */
bool key_row_live(const struct key_row *row, int64_t now_ms);
/*
 * Whether `row` rather than `best` (NULL: none so far) signs for `alg`: among live keys the one that has come into
 * force last; if none has, as after a clock was set back, the first that will.
 */
bool key_row_precedes(const struct key_row *row, const struct key_row *best, enum token_alg alg, int64_t now_ms);
/* `signs`: it is the one that was found so. */
enum key_state key_row_state(const struct key_row *row, bool signs, int64_t now_ms);

/* Each row, retired ones included, the newest first; an error of `row` ends it and is returned. */
int key_rows_list(struct db *db, int (*row)(void *arg, const struct key_row *row), void *arg) MUST_CHECK;
/*
 * The live ones with their keys. A key that is among `known` already is taken from there; all others are made, and are
 * the caller's. A key that can't be used is logged and is an error: ERR_CRYPTO, ERR_INVALID. ERR_LIMIT: there are as
 * many as LIMIT_SIGNING_KEYS, which leaves no place for another one.
 */
struct key_entry {
	struct key_row row;
	struct signing_key *key;
	bool made; /* owned by the set that this entry is of */
};
struct key_set {
	struct key_entry entries[LIMIT_SIGNING_KEYS];
	size_t count;
};
/* On failure the set is empty. `known` may be NULL. */
int key_rows_load(struct db *db, int64_t now_ms, const struct key_set *known, struct key_set *ret_set) MUST_CHECK;
void key_set_release(struct key_set *set); /* frees the keys that were made */

int key_rows_add(struct db *writer, const struct signing_key *key, const struct key_row *row) MUST_CHECK;

#endif
