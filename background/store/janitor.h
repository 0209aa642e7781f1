/*
 * The janitor: one thread that removes what has been settled for longer than `retention` says, LIMIT_JANITOR_EVENTS
 * at a time with a pause behind them, so that no login notices: about a thousand events a second, and no more. It
 * finds them by a reader of its own and has the committer remove them, and Idempotency-Keys after
 * LIMIT_IDEMPOTENCY_MS. What an upper floor keeps in the store is removed by a sweep of that floor's own, at the same
 * pace; nobody removes anything of the audit trail. Freed pages are used again by the store; its file does not
 * shrink.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_JANITOR_H
#define TOKENFIRST_BACKGROUND_STORE_JANITOR_H

#include "background/store/committer.h"
#include "background/store/outbox_admin.h"

struct janitor;

enum janitor_look {
	JANITOR_DONE,  /* until the next round */
	JANITOR_WRITE, /* there are rows for `write` */
	JANITOR_AGAIN, /* there is none among those that were looked at; there are more to look at */
};

/* The rows of somebody else. `arg` is used by the janitor's thread and by the committer's, never by both at once. */
struct janitor_sweep {
	/*
	 * On the janitor's thread with its reader, outside of any transaction that others wait for: one of janitor_look
	 * or an error. Called until it says JANITOR_DONE; it looks at LIMIT_OUTBOX_LOOK rows at most.
	 */
	int (*look)(void *arg, struct db *reader);
	/*
	 * As a commit job, whose transaction logins share: removes what was found, after it has checked again that it
	 * may go.
	 */
	int (*write)(struct db *writer, void *arg);
	void *arg;
};

struct janitor_options {
	struct store *store;
	struct committer *committer;
	struct metrics *metrics;
	int64_t delivered_ms, dead_ms; /* how long settled rows are kept */
	int64_t interval_ms;	       /* before the first round, and between two */
	/* Dead letters that are gone, for whoever shows their number. On the janitor's thread. NULL: nobody. */
	void (*removed)(void *arg, const struct outbox_tally *tally);
	void *arg;
	struct janitor_sweep sweep; /* look NULL: there is nothing else */
};

int janitor_start(const struct janitor_options *options, struct janitor **ret_janitor) MUST_CHECK;
/* Before committer_stop. NULL is fine. */
void janitor_stop(struct janitor *janitor);

#endif
