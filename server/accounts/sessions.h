/*
 * Sessions: one row by integer id, updated in place (DESIGN 10). Ids are handed out by the one
 * process that owns the store, in order, from sessions_next_id: a token can so name its session before
 * the row is committed, and the row goes in by primary key.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_SESSIONS_H
#define TOKENFIRST_SERVER_ACCOUNTS_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"
#include "config/id.h"

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
/* All live ones of a user but `except` (0: all of them); how many, if ret_count is not NULL. */
int sessions_revoke_all(
	struct db *writer, int64_t user_id, int64_t except, int64_t now_ms, int64_t *ret_count) MUST_CHECK;

/* Whether the session is live, and whose it is (one lookup by two primary keys). ERR_NOT_FOUND. */
struct session_owner {
	bool live;  /* not revoked, not expired, its user not disabled */
	bool admin; /* the account is an administrator's */
	int64_t session_id, user_id;
	char public_id[ID_SIZE];
};
int sessions_owner(struct db *db, int64_t id, int64_t now_ms, struct session_owner *ret_owner) MUST_CHECK;

#endif
