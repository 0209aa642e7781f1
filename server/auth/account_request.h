/*
 * A request that makes an account, or changes what guards one: what signing up, links and passwords have in common.
 *
 * Each step that fails has answered the request, and its caller only ends it:
 *
 *   struct account_request r;
 *   err = account_request_begin(&r, x, thread);
 *   …
 *   account_request_end(&r);
 */
#ifndef TOKENFIRST_SERVER_AUTH_ACCOUNT_REQUEST_H
#define TOKENFIRST_SERVER_AUTH_ACCOUNT_REQUEST_H

#include "server/accounts/links.h"
#include "server/accounts/users.h"
#include "server/auth/throttle.h"
#include "server/auth/work.h"
#include "server/http/route.h"

struct account_request {
	struct app *app;
	struct db *db; /* a reader */
	struct exchange *x;
	struct origin origin;
	json_t *body;
	struct throttle_ticket ticket;
	struct work work;
};

/* Reads the body. ERR_INVALID. account_request_end is due in any case. */
int account_request_begin(struct account_request *r, struct exchange *x, struct request_thread *thread) MUST_CHECK;
/* A ticket that is still held is given back as if nothing had been checked. */
void account_request_end(struct account_request *r);

/* Members of the body, borrowed from it; NULL: absent, or null. ERR_INVALID: no text, or one that can't be. */
int account_request_text(struct account_request *r, const char *name, const char **ret_text) MUST_CHECK;
int account_request_username(struct account_request *r, const char **ret_username) MUST_CHECK;
/* One that must be there. */
int account_request_password(struct account_request *r, const char *name, const char **ret_password) MUST_CHECK;
/* 400 malformed; ERR_INVALID. */
int account_request_malformed(struct account_request *r, const char *why) MUST_CHECK;

/* Begins r->ticket. ERR_LIMIT: 429. */
int account_request_throttle(struct account_request *r, enum throttle_kind kind, const char *name) MUST_CHECK;
/*
 * The password of an account whose session is there already, throttled by THROTTLE_PASSWORD_ID: whoever has borrowed a
 * session must not get to keep the account, nor guess its password at ease. ERR_DENIED: 403 wrong_password, written
 * down as `failure` (failure.h).
 */
int account_request_confirm(
	struct account_request *r, const struct user *user, const char *password, const char *failure) MUST_CHECK;
/* The same answer where the password was another's by the time of the commit. */
void account_request_wrong_password(struct account_request *r);
/*
 * The open link that a token of the body names, guesses at it throttled by THROTTLE_TOKEN; the ticket is held until the
 * caller knows whether it can be used. ERR_DENIED: 400 link_invalid.
 */
int account_request_link(
	struct account_request *r, const char *token, const char *purpose, struct link *ret_link) MUST_CHECK;
/* The same answer for a link that is no use any more; counts as a guess. */
void account_request_link_invalid(struct account_request *r);

/* Whether a password may be chosen: 400 password_refused. */
int account_request_policy(
	struct account_request *r, const char *password, const char *username, const char *email) MUST_CHECK;
int account_request_hash(struct account_request *r, const char *password, char ret_hash[PASSWORD_HASH_SIZE]) MUST_CHECK;

/* 503, for what the store or the hash threads can't do right now. */
void account_request_unavailable(struct account_request *r, int err);
/*
 * The answer, with "event_id" added (taken over) and X-Event-Id; then the inline effects, for which nobody waits any
 * more.
 */
void account_request_answer(struct account_request *r, int status, json_t *body);

#endif
