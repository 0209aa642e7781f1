/*
 * A worker: one pthread, one reactor, and the lanes of the targets that belong to it.
 *
 * It sleeps until a socket, a message or a due time wakes it (reactor.h); then takes its messages and what has ended,
 * and lets the lanes that this concerns send what they may. All that other threads do is
 * put messages into its inbox. It never waits for the committer: settlements are posted in
 * batches, and come back as messages when they are durable.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_WORKER_H
#define TOKENFIRST_BACKGROUND_DELIVERY_WORKER_H

#include <semaphore.h>

#include "background/delivery/item.h"
#include "background/delivery/quarantine.h"
#include "background/delivery/recent.h"
#include "background/delivery/target.h"
#include "background/store/committer.h"

struct worker;

struct worker_options {
	int number;  /* for the thread's name */
	int64_t run; /* outbox_begin_run */
	struct store *store;
	struct committer *committer;
	struct metrics *metrics;
	struct recent *recent;
	struct quarantine *quarantine;
	const struct target *targets; /* all of the pool: what they hold in memory has to be written in the end */
	size_t target_count;
};

int worker_new(const struct worker_options *options, struct worker **ret_worker) MUST_CHECK;
/* Before worker_start; makes the target's lane. The target must outlive the worker. */
int worker_add_target(struct worker *worker, struct target *target) MUST_CHECK;
int worker_start(struct worker *worker) MUST_CHECK;
/* From here on it sends; until then it only exists, and one that is drained before has sent nothing. */
void worker_begin(struct worker *worker);

/*
 * Any thread; takes the item over in any case. With `hold` it is sent only after worker_run. An item with a
 * row that finds no room is freed: its row is the truth, and the lane will read it.
 */
void worker_offer(struct target *target, struct item *item, bool hold);

/* A request thread that waits for the first attempt of an inline effect, or to be rid of it. */
struct inline_wait {
	struct target *target;
	int64_t row;
	bool refused; /* it is not to be sent at all */
	sem_t ended;
	int result; /* 0 delivered, ERR_DENIED refused or failed, ERR_CLOSED stopping */
	struct message message;

	/* of the worker: the waits of items that are on their way */
	struct inline_wait *next, *previous;
	struct item *item;
};
/*
 * Sends a held item now and waits until its first attempt has ended, or it is known that it can't begin. Its result.
 * Where that is to refuse the request (ERR_DENIED, on_failure reject), the row says so by then, if the store can write
 * at all.
 */
int worker_run(struct target *target, int64_t row);
/*
 * A held item will have no turn: its request was refused. Its row is dead when this returns, if the store can write at
 * all.
 */
void worker_refuse(struct target *target, int64_t row);

/*
 * From `at_us` (clock_mono_us) on nobody waits for an inline effect: worker_run returns ERR_CLOSED, while the effect
 * goes on. For a stop, whose time a stalled target must not stretch. Any thread.
 */
void worker_end_waits(struct worker *worker, int64_t at_us);

/*
 * Finishes what is held and due, reads nothing more from disk, and breaks off what is under way in time for the thread
 * to end at `deadline_us` (clock_mono_us): fire-and-forget effects that are left are written to the outbox, through the
 * one writer that all workers share, so the more the pool holds of them the earlier. Returns at once; worker_join
 * waits.
 */
void worker_drain(struct worker *worker, int64_t deadline_us);
void worker_join(struct worker *worker);
/* After worker_join, and after the committer has stopped. NULL is fine. */
void worker_free(struct worker *worker);

/* Ends its sleep: there are orders for a target of its (target.h). Any thread. */
void worker_nudge(struct worker *worker);

/* How long its oldest message has waited: a worker that makes progress keeps this near 0. */
int64_t worker_lag_us(struct worker *worker);

#endif
