/*
 * What a worker has to write of its effects: attempts that have begun, and outcomes.
 *
 * Both gather in a batch that lies with the committer already and takes more until the committer begins to write it. So
 * each transaction carries one job of a worker, with all that has happened until then, and nothing waits for the sake of
 * gathering. An attempt that ends while its mark is still in the batch needs none: the outcome says more.
 *
 * The worker adds; the committer takes the batch away, writes it, and hands what has outcomes back by `done`.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_SETTLE_BATCH_H
#define TOKENFIRST_BACKGROUND_DELIVERY_SETTLE_BATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "background/delivery/inbox.h"
#include "background/store/committer.h"
#include "background/store/outbox.h"
#include "config/limits.h"

struct item;

struct settle_batch {
	struct commit_job job;
	struct message message; /* for who hears of `done`; its subject is the batch */
	struct settle_line *line;
	struct settle_batch *next; /* the worker's */
	int err;		   /* whether it is durable, once it is done */
	size_t begun_count, count, stale;
	struct started begun[LIMIT_SETTLE_BATCH];
	struct settlement settlements[LIMIT_SETTLE_BATCH];
	struct item *items[LIMIT_SETTLE_BATCH];
	char reasons[LIMIT_SETTLE_BATCH][LIMIT_REASON];
	char *replies[LIMIT_SETTLE_BATCH];
};

/* A worker's: the batch that takes more, and what lies with the committer. */
struct settle_line {
	struct committer *committer;
	int64_t run; /* outbox_begin_run */
	/* On the committer's thread: a batch with outcomes is durable, or not (its `err`). One of marks alone is freed. */
	void (*done)(void *arg, struct settle_batch *batch);
	void *arg;
	size_t awaited; /* batches with outcomes that were posted and not heard of; the worker's own */

	pthread_mutex_t lock; /* guards `open`, and what is in it */
	struct settle_batch *open;
};

void settle_line_init(struct settle_line *line);
void settle_line_release(struct settle_line *line);

/*
 * An item's outcome; its texts are copied, but for the log and the effect's name, which live as long as the item.
 * ERR_MEMORY: not taken, and a mark of that attempt stands as it is: the effect is tried again, at least once as ever.
 * A reply that finds no memory is left out. `ret_unposted`: a batch with this in it that is to be posted now; else
 * untouched.
 */
int settle_line_add(struct settle_line *line, struct item *item, const struct settlement *settlement,
	struct settle_batch **ret_unposted) MUST_CHECK;
/* An attempt has begun. A mark that is lost costs a count after a crash, no more. */
void settle_line_mark(struct settle_line *line, const struct started *started, struct settle_batch **ret_unposted);
/* The worker has heard of a batch with outcomes, by `done`. */
void settle_line_heard(struct settle_line *line);

/*
 * Hands a batch to the committer, for the first time or `again`; it may be done before this returns. An error of
 * committer_post: it is the caller's, and nothing is added to it any more.
 */
int settle_batch_post(struct settle_batch *batch, bool again) MUST_CHECK;
void settle_batch_free(struct settle_batch *batch); /* not its items. NULL is fine */

#endif
