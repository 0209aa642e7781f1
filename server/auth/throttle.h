/*
 * Guessing, limited: by the client's address and by the account, in every flow that takes a secret.
 *
 *   err = throttle_begin(app->throttle, x, THROTTLE_PASSWORD, name, &ticket);     429 answered, or …
 *   … check the secret …
 *   throttle_end(app->throttle, &ticket, THROTTLE_FAILED | PASSED | UNKNOWN);
 *
 * A failure is counted before the secret is checked and given back if it was right, so parallel guesses can't beat the limit.
 * While an account's allowance is taken by guesses whose outcome isn't known yet, further ones wait for that instead of
 * being refused: a crowd that knows its password is served, a crowd that does not gets 429 without a hash.
 *
 * Accounts are told apart by the name as it was given (folded), whether there is such an account or not, so a 429 tells nothing.
 * The time for which failures delay the next attempt doubles up to a cap (throttle_rules.h). What is remembered is bounded
 * (LIMIT_THROTTLE_…): at the bound the least grave entry of a set goes, and is counted (throttle_table.h).
 *
 * NIST SP 800-63B-4 3.2.2's hard limit is kept with the account in the store: lockout.h.
 */
#ifndef TOKENFIRST_SERVER_AUTH_THROTTLE_H
#define TOKENFIRST_SERVER_AUTH_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "background/telemetry/metrics.h"
#include "config/options.h"
#include "server/http/exchange.h"

struct throttle;

/*
 * What is guessed at, and what is the name: each has allowances of its own. A username may look like somebody else's address: were
 * they one name, whoever has that username could clear with his own password what is remembered of guesses at the other's.
 */
enum throttle_kind {
	THROTTLE_PASSWORD,	 /* name: the username given */
	THROTTLE_PASSWORD_EMAIL, /* the address given */
	THROTTLE_PASSWORD_ID,	 /* where a session says who it is: throttle_begin_user */
	THROTTLE_CODE,		 /* one-time passwords and recovery codes: throttle_begin_user */
	THROTTLE_TOKEN, /* tokens of links, clients of /introspect, passwords refused at a signup: by address alone; name NULL */
	THROTTLE_MAIL,		/* mails to an address: each counts, none is given back; name: the address */
	THROTTLE_MAIL_USERNAME, /* the same to whoever has this username */
	THROTTLE_KINDS
};

enum { THROTTLE_ID_SIZE = 21 };
/* The name by which an account goes whose number is known. */
void throttle_id(int64_t user_id, char ret_name[THROTTLE_ID_SIZE]);

enum throttle_outcome {
	THROTTLE_FAILED,  /* a wrong guess: stays counted */
	THROTTLE_PASSED,  /* right: what the account has failed before is forgotten */
	THROTTLE_UNKNOWN, /* nothing was checked (shed, store down): as if it had not been */
};

struct throttle_ticket {
	bool held; /* a begin without its end */
	bool exempt;
	enum throttle_kind kind;
	uint64_t account, address; /* keyed hashes; 0: none */
};

int throttle_new(const struct config *config, struct metrics *metrics, struct throttle **ret_throttle) MUST_CHECK;
void throttle_free(struct throttle *throttle); /* NULL is fine */

/*
 * 0 and a ticket that must be ended; or ERR_LIMIT and the request has been answered: 429 with Retry-After and code
 * "throttled". May wait for password.queue_timeout. Request threads only.
 */
int throttle_begin(struct throttle *throttle, struct exchange *x, enum throttle_kind kind, const char *name,
	struct throttle_ticket *ret_ticket) MUST_CHECK;
/* The same where it is known already whose secret it is. Nobody else's guesses at any name count towards its allowances. */
int throttle_begin_user(struct throttle *throttle, struct exchange *x, enum throttle_kind kind, int64_t user_id,
	struct throttle_ticket *ret_ticket) MUST_CHECK;
/*
 * The same without an answer: 0; ERR_LIMIT and after how long to try again; ERR_TIMEOUT: it waited for others' outcomes, and for too long;
 * ERR_CLOSED: `gone(arg)` said meanwhile that nobody waits any more (NULL: never asked). `client` is a numeric address. Any thread.
 */
int throttle_admit(struct throttle *throttle, const char *client, enum throttle_kind kind, const char *name,
	bool (*gone)(const void *arg), const void *arg, struct throttle_ticket *ret_ticket,
	int64_t *ret_retry_ms) MUST_CHECK;
/*
 * The same without a wait, for a loop's thread: 0, or ERR_LIMIT where throttle_admit would wait or refuse, which is neither
 * counted nor answered.
 */
int throttle_try(struct throttle *throttle, const char *client, enum throttle_kind kind, const char *name,
	struct throttle_ticket *ret_ticket) MUST_CHECK;
/* Once for each ticket; further calls do nothing. Any thread. */
void throttle_end(struct throttle *throttle, struct throttle_ticket *ticket, enum throttle_outcome outcome);
/*
 * What a name has failed is forgotten, as if somebody had been right: for who has proven in another way who he is. What is under way
 * stays counted. Any thread.
 */
void throttle_forget(struct throttle *throttle, enum throttle_kind kind, const char *name);

#endif
