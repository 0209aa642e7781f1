/*
 * The janitor: one thread that removes what has been settled for longer than `retention` says, LIMIT_JANITOR_EVENTS at a
 * time with a pause behind them, so that no login notices: about a thousand events a second, and no more. It finds them by a reader of its own and has
 * the committer remove them, and Idempotency-Keys after LIMIT_IDEMPOTENCY_MS. Sessions and the audit trail are not its
 * business. Freed pages are used again by the store; its file does not shrink.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_JANITOR_H
#define TOKENFIRST_BACKGROUND_STORE_JANITOR_H

#include "background/store/committer.h"
#include "background/store/outbox_admin.h"

struct janitor;

struct janitor_options {
	struct store *store;
	struct committer *committer;
	struct metrics *metrics;
	int64_t delivered_ms, dead_ms; /* how long settled rows are kept */
	int64_t interval_ms;	       /* before the first round, and between two */
	/* Dead letters that are gone, for whoever shows their number. On the janitor's thread. NULL: nobody. */
	void (*removed)(void *arg, const struct outbox_tally *tally);
	void *arg;
};

int janitor_start(const struct janitor_options *options, struct janitor **ret_janitor) MUST_CHECK;
/* Before committer_stop. NULL is fine. */
void janitor_stop(struct janitor *janitor);

#endif
