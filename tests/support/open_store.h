/*
 * A store in a folder of its own, with a committer and a table `t (id, pad)`, and jobs to
 * try the committer with. In Criterion tests and in plain programs: what can't be set up ends
 * the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_OPEN_STORE_H
#define TOKENFIRST_TESTS_SUPPORT_OPEN_STORE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

#include "background/store/committer.h"
#include "background/telemetry/metrics.h"
#include "tests/support/scratch.h"

struct open_store {
	struct scratch scratch;
	struct store *store;
	struct metrics *metrics;
	struct committer *committer;
};

void open_store_make(struct open_store *opened);
/* Stops the committer and closes the store, so far as that has not been done (and the pointer set to NULL). */
void open_store_remove(struct open_store *opened);
/* Rows of `t` as a connection of its own sees them: only what is committed. */
int64_t open_store_rows(struct open_store *opened);
/* tokenfirst_store_errors_total of a kind, as in the label: kind="io". */
uint64_t open_store_errors(struct open_store *opened, const char *label);
/* Waits up to ten seconds. Whether it came to be. */
bool open_store_await_health(struct open_store *opened, bool healthy);

/* Jobs for committer_run: nothing; a row with the id that `arg` points to (int64_t). */
int job_nothing(struct db *db, void *arg);
int job_insert(struct db *db, void *arg);

struct task {
	struct commit_job job;
	int64_t id;
	const char *sql;   /* run in place of inserting `id` */
	int result;	   /* returned after that */
	bool single;	   /* without a savepoint */
	int err;	   /* what `done` was told */
	atomic_int *order; /* counts what is done; NULL: nobody counts */
	int done_as;	   /* its place in that order, from 1 */
};
int task_run(struct db *db, void *arg);
void task_done(void *arg, int err);
/* Posts it with these two. */
void task_post(struct task *task, struct committer *committer);

/* Holds the committer in a job until it is opened: what is posted meanwhile is one batch. */
struct gate {
	struct commit_job job;
	sem_t entered, open;
};
void gate_shut(struct gate *gate, struct committer *committer);
void gate_open(struct gate *gate);

#endif
