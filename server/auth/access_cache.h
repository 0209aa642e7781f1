/*
 * A bounded memory of access tokens that were verified, of whom they stand for, and of the answers that were made of
 * that: so that the same token, sent again, costs no signature and no read of the store.
 *
 * Nothing in here is believed for its age. At each use
 *
 *  - the token's times, the session's end and the signing key are judged again, by the clock and by the keys that are
 *    there now, of which a leaked one is gone at once;
 *  - what the store said counts only as long as none of the rows that it came from has changed: the session's, the
 *    user's, the second factor's (changes.h, which says why no answer comes from before a change that anybody was told of).
 *
 * A token is known by a keyed hash, under a key that this process makes at its start: the token itself is not kept, and
 * nobody can choose tokens that fall on one another. Only tokens that verified and whose session was live come in, so
 * nonsense pushes nobody out. Of each set of LIMIT_ACCESS_WAYS places the one goes that has expired, or was not used for
 * the longest (counted). Any thread; each lock is held for a look at one set and a copy.
 */
#ifndef TOKENFIRST_SERVER_AUTH_ACCESS_CACHE_H
#define TOKENFIRST_SERVER_AUTH_ACCESS_CACHE_H

#include "background/store/changes.h"
#include "background/telemetry/metrics.h"
#include "server/accounts/sessions.h"
#include "server/token/token.h"

struct access_cache;

enum { ACCESS_NAME = 32 };

/* What an access token stands for, and when that was read. */
struct access {
	unsigned char name[ACCESS_NAME]; /* the token's, in this cache */
	struct token_claims claims;
	const struct signing_key *key; /* that it was verified by */
	struct session_owner owner;    /* live at `mark` */
	uint64_t mark;
};

/* What uses are judged by. */
struct access_moment {
	const struct keys *keys;
	int64_t wall_s; /* of tokens and keys */
	int64_t now_ms; /* of sessions */
};

enum access_find {
	ACCESS_HIT,
	ACCESS_STALE, /* claims and key are good; whom they stand for has to be read */
	ACCESS_MISS,
	ACCESS_FINDS
};

/* Texts that are kept with a token: made of `access` and of what was read together with it. */
enum access_answer { ACCESS_ME, ACCESS_INTROSPECT, ACCESS_ANSWERS };

/*
 * Never more than `entries`, rounded down to a multiple of LIMIT_ACCESS_WAYS. 0 of them: keeps nothing, finds nothing and
 * counts nothing.
 */
int access_cache_new(int64_t entries, const struct changes *changes, struct metrics *metrics,
	struct access_cache **ret_cache) MUST_CHECK;
void access_cache_free(struct access_cache *cache); /* NULL is fine */

/* Before the store is read for something that is to be kept. */
uint64_t access_cache_mark(const struct access_cache *cache);

/*
 * Counted (tokenfirst_token_cache_total). `ret_access` has the token's name, unless nothing is ever kept, and the rest but
 * for ACCESS_MISS.
 */
enum access_find access_cache_find(
	struct access_cache *cache, const struct access_moment *moment, const char *token, struct access *ret_access);
/*
 * The same for one who reads the store in any case, for what is not kept: of use are claims and key at most, so that it is
 * ACCESS_STALE where the other says ACCESS_HIT, and counted as that.
 */
enum access_find access_cache_find_claims(
	struct access_cache *cache, const struct access_moment *moment, const char *token, struct access *ret_access);
/*
 * The answer to a token that is sent just now, NUL-terminated, and its length; 0: none is kept that still holds. Counted
 * if there is one.
 */
size_t access_cache_answer(struct access_cache *cache, const struct access_moment *moment, const char *token,
	enum access_answer which, char ret_text[LIMIT_ACCESS_ANSWER]);

/*
 * Keeps what was found out, and a text made of it (copied; NULL: none). Of two readings the later one is kept. For want
 * of memory, or of room for a long text, less is kept.
 */
void access_cache_keep(struct access_cache *cache, const struct access *access, int64_t wall_s,
	enum access_answer which, const char *text);

#endif
