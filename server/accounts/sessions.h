/*
 * Sessions: one row by integer id, updated in place (DESIGN 10). Ids are handed out by the one
 * process that owns the store, in order, above sessions_last_id: a token can so name its session before
 * the row is committed, and the row goes in by primary key.
 *
 * A session ends when it is revoked, when its sliding end (expires_ms) or its absolute end has come, whichever is
 * first, or with its user. What has ended stays so. Ends are kept as times, though, so a wall clock that was set back
 * while no server ran would open again what had run out after the time that it says now. Therefore sweep.h marks what
 * runs out as revoked, each LIMIT_SWEEP_MS at the latest: what ended longer ago than that before a stop stays ended,
 * whatever the clock says at the next start.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_SESSIONS_H
#define TOKENFIRST_SERVER_ACCOUNTS_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "config/id.h"
#include "config/limits.h"

struct session {
	int64_t id;
	int64_t user_id;
	int64_t generation;					  /* of its refresh token, from 1 */
	int64_t created_ms, refreshed_ms, expires_ms, revoked_ms; /* revoked_ms 0: not */
	int64_t absolute_ms;	/* its end however often it is refreshed; 0: a session from before there was one */
	const char *client;	/* address at login */
	const char *user_agent; /* cut to 256 bytes by the caller; "" if none */
};

/* The highest id in use, to be called once at start; ids are given out above it. */
int sessions_last_id(struct db *db, int64_t *ret_id) MUST_CHECK;

/* Writers. */
int sessions_add(struct db *writer, const struct session *session) MUST_CHECK;
int sessions_revoke(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
/* The same for a live session of this user alone. ERR_NOT_FOUND: there is none such. */
int sessions_revoke_of(struct db *writer, int64_t user_id, int64_t id, int64_t now_ms) MUST_CHECK;
/* All live ones of a user but `except` (0: all of them); how many, if ret_count is not NULL. */
int sessions_revoke_all(
	struct db *writer, int64_t user_id, int64_t except, int64_t now_ms, int64_t *ret_count) MUST_CHECK;
/*
 * Of everybody: the live ones among the next `limit` rows above *after_id and not above `last_id`, which *after_id moves on to; *ret_count is how many. 1: there may
 * be more; 0: that was the last. Untouched on failure.
 */
int sessions_revoke_next(struct db *writer, int64_t last_id, int64_t limit, int64_t now_ms, int64_t *after_id,
	int64_t *ret_count) MUST_CHECK;

/*
 * Refreshing by generation (DESIGN 10, RFC 9700 4.14.2). A row has one generation, the current one; its token may be
 * used once and raises it. Whoever brings the one before, shortly after, did not hear the answer, or came at the same
 * time as another of its own: the same successor is given again and nothing is written. Anything older has been used
 * twice, by the user and by a thief, and nobody knows who is who: the session must end.
 */
struct refresh_claim {
	int64_t id, generation; /* as the token says */
	int64_t now_ms;		/* one time for all that is asked about this claim */
	int64_t grace_ms;	/* token.refresh_grace */
	int64_t ttl_ms;		/* token.refresh_ttl */
};

enum refresh_state {
	REFRESH_DEAD, /* revoked, run out, unknown, of a generation that isn't yet; its user is disabled, locked or deleted */
	REFRESH_ROTATED,  /* the current generation: it is the next one's turn now */
	REFRESH_REPEATED, /* the one before, and the rotation is less than the grace ago */
	REFRESH_REUSED,	  /* the one before and later than that, or an older one */
};

struct refresh_result {
	enum refresh_state state;
	/* but for REFRESH_DEAD: */
	int64_t user_id;
	char public_id[ID_SIZE];
	int64_t generation; /* of the token to be handed out; REFRESH_REUSED: the current one */
	int64_t expires_ms; /* of the session from now on */
};

/* What would become of a claim; writes nothing. It goes from rotated to repeated to reused, from each to dead, not back. */
int sessions_refresh_look(
	struct db *db, const struct refresh_claim *claim, struct refresh_result *ret_result) MUST_CHECK;
/*
 * Writers: one step, within one commit job. REFRESH_ROTATED has been written: generation + 1, refreshed_ms, and the
 * sliding end, which goes no further than the absolute one. All else has changed nothing: of a reuse the caller makes
 * a unit of work, with sessions_refresh_end as what it writes. ERR_INVALID: the session can't be read, and nothing was
 * written; ERR_STORE is said of writing alone.
 */
int sessions_refresh(
	struct db *writer, const struct refresh_claim *claim, struct refresh_result *ret_result) MUST_CHECK;
/* Revokes the session of a claim that is a reuse. ERR_STALE: it is none any more, since the session has ended; ERR_INVALID as above. */
int sessions_refresh_end(struct db *writer, const struct refresh_claim *claim) MUST_CHECK;

/*
 * The live sessions of a user, the newest first, at most `limit`; their texts are borrowed until `row` returns. What
 * `row` returns other than 0 ends it and is returned.
 */
int sessions_list(struct db *db, int64_t user_id, int64_t now_ms, int64_t limit,
	int (*row)(void *arg, const struct session *session), void *arg) MUST_CHECK;

/* Whether the session is live, and whose it is (one lookup by two primary keys). ERR_NOT_FOUND. */
struct session_owner {
	bool live;  /* not revoked, not expired, its user not disabled */
	bool admin; /* the account is an administrator's */
	int64_t session_id, user_id;
	int64_t generation;		  /* of its refresh token */
	int64_t refreshed_ms, expires_ms; /* when that was made, and its end */
	char public_id[ID_SIZE];
};
int sessions_owner(struct db *db, int64_t id, int64_t now_ms, struct session_owner *ret_owner) MUST_CHECK;

/* The same with what the owner's account says of itself, in one look-up: one state of the store. ERR_NOT_FOUND. */
struct session_account {
	struct session_owner owner;
	bool second_factor; /* one is in force */
	char username[LIMIT_USERNAME + 1];
	char email[LIMIT_EMAIL + 1]; /* "" if none */
};
int sessions_account(struct db *db, int64_t id, int64_t now_ms, struct session_account *ret_account) MUST_CHECK;

#endif
