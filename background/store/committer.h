/*
 * The committer: one thread that writes, many callers that share one fsync.
 *
 * A job is a function that changes the database inside the transaction of its batch. Jobs
 * that wait while a batch is being synced form the next batch: under load batches grow by
 * themselves, and an idle store commits at once. Each job has its own savepoint, unless it needs none: one that
 * returns an error is undone alone, and its error is its caller's; if the store can't write, the
 * whole batch is undone and every job of it gets ERR_STORE. A job that returns ERR_STORE says just that of the store: one
 * that only failed to read a row returns something else, or it takes the others down with it.
 *
 * `done` runs on the committer's thread after the batch is durable (or has failed), in
 * commit order and before any job of a later batch runs. Delivery relies on that: a lane hears of
 * a row before it can hear of anything that happened to it later. Which rows have changed is published between the two
 * (changes.h): who is told of a commit finds nothing in memory any more that it has made stale.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_COMMITTER_H
#define TOKENFIRST_BACKGROUND_STORE_COMMITTER_H

#include <stdbool.h>

#include "background/store/store.h"

struct committer;
struct metrics;

struct commit_job {
	int (*run)(struct db *db, void *arg); /* 0 or an error; only database work, nothing slow */
	void (*done)(void *arg, int err);     /* may free the job; never blocks; NULL: nobody cares */
	void *arg;
	/*
	 * It changes the database by one statement at most, as the last thing that it does, and says what that said. It
	 * needs no savepoint then: a statement that fails undoes itself, or takes the transaction with it, which ends
	 * the batch with or without one.
	 */
	bool single;
	/* private to the committer */
	struct commit_job *next;
	int err;
};

/* Starts the thread. The store's writer is its own from now on. */
int committer_start(struct store *store, struct metrics *metrics, struct committer **ret_committer) MUST_CHECK;
/*
 * Runs what is queued, then ends the thread and frees. From its begin on, posts get ERR_CLOSED; once it has
 * returned nobody may touch the committer any more. NULL is fine.
 */
void committer_stop(struct committer *committer);

/*
 * Queues a job; the caller owns its memory and keeps it until `done`. ERR_LIMIT at
 * LIMIT_COMMIT_QUEUE, ERR_CLOSED after stop; `done` is then not called. Any thread.
 */
int committer_post(struct committer *committer, struct commit_job *job) MUST_CHECK;
/*
 * The same for a job that nobody waits for: it shares the transaction of whatever comes next, and has one of its own
 * after LIMIT_COMMIT_COMPANY_MS if nothing does. Order is kept: it runs after all that was posted before it.
 */
int committer_post_unhurried(struct committer *committer, struct commit_job *job) MUST_CHECK;

/* Posts and waits until the batch is durable. The job's error, or the store's. Any thread but the committer's. */
int committer_run(struct committer *committer, int (*run)(struct db *db, void *arg), void *arg) MUST_CHECK;
/* The same, with `done` called on the committer's thread before this returns. */
int committer_run_then(struct committer *committer, int (*run)(struct db *db, void *arg),
	void (*done)(void *arg, int err), void *arg) MUST_CHECK;

/*
 * Whether the last batch could be written. After a failure the committer probes with a small write
 * once a second until one succeeds, and logs the change each way once.
 */
bool committer_healthy(struct committer *committer);

#endif
