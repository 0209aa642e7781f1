/*
 * Inline effects: a request thread waits while its effect has its turn. The item is held in its lane from the commit on, so
 * that no refill sends it early; a message gives it its turn, and the end of its first attempt, or the knowledge that
 * there will be none, ends the wait. Every wait is in the worker's list, so that a stop can end them all.
 */
#include <errno.h>

#include "background/delivery/worker_internal.h"
#include "background/store/outbox.h"

static int run(struct target *target, int64_t row, bool refused)
{
	struct inline_wait wait = {.target = target, .row = row, .refused = refused, .result = ERR_CLOSED};
	sem_init(&wait.ended, 0, 0);
	wait.message = (struct message){.kind = MESSAGE_RUN, .subject = &wait};
	int put = inbox_put(&target->worker->inbox, &wait.message);
	if (put == 1)
		worker_wake(target->worker);
	while (put >= 0 && sem_wait(&wait.ended) != 0 && errno == EINTR)
		continue;
	sem_destroy(&wait.ended);
	return wait.result;
}

int worker_run(struct target *target, int64_t row)
{
	return run(target, row, false);
}

void worker_refuse(struct target *target, int64_t row)
{
	(void)run(target, row, true);
}

static void wait_finish(struct inline_wait *wait, int result)
{
	wait->result = result;
	sem_post(&wait->ended); /* `wait` may be gone from here on */
}

static void wait_begin(struct worker *worker, struct inline_wait *wait, struct item *item)
{
	wait->item = item;
	wait->previous = NULL;
	wait->next = worker->waits;
	if (wait->next != NULL)
		wait->next->previous = wait;
	worker->waits = wait;
}

void inline_finish(struct item *item, int result)
{
	struct inline_wait *wait = item->waiter;
	if (wait == NULL)
		return;
	item->waiter = NULL;
	if (wait->next != NULL)
		wait->next->previous = wait->previous;
	*(wait->previous != NULL ? &wait->previous->next : &item->target->worker->waits) = wait->next;
	wait_finish(wait, result);
}

void inline_refused(struct worker *worker, struct item *item, const char *reason)
{
	const struct outcome_note note = {.action = LANE_DEAD, .cause = CAUSE_REJECTED, .reason = reason};
	settle(worker, item, &note);
}

/* An inline effect's turn, or that it will have none. */
void inline_turn(struct worker *worker, struct inline_wait *wait)
{
	struct lane *lane = worker->lanes[wait->target->lane];
	struct item *item = lane_release(lane, wait->row, wait->refused ? NULL : wait);
	if (item == NULL) {
		wait_finish(wait, ERR_CLOSED);
	} else if (wait->refused) {
		lane_unqueue(lane, item);
		inline_refused(worker, item, "its request was refused");
		wait_finish(wait, 0);
	} else {
		wait_begin(worker, wait, item);
	}
}

/*
 * Where nothing may be sent now, nobody is kept waiting for it: the effect is not delivered, and
 * whether that refuses the request is the configuration's choice.
 */
void inline_refuse_waiting(struct worker *worker, struct lane *lane, const char *reason)
{
	for (struct item *item = lane_demote(lane); item != NULL; item = lane_demote(lane)) {
		inline_finish(item, ERR_DENIED);
		if (item->target->config->on_failure != ON_FAILURE_REJECT)
			continue;
		lane_unqueue(lane, item);
		inline_refused(worker, item, reason);
	}
}

/* Of a stop: what is under way goes on with nobody waiting for it. */
void inline_end_waits(struct worker *worker, int64_t now_us)
{
	if (now_us < atomic_load(&worker->waits_end_us))
		return;
	for (size_t i = 0; i < worker->lane_count; i++)
		inline_refuse_waiting(worker, worker->lanes[i], REASON_STOPPING);
	while (worker->waits != NULL)
		inline_finish(worker->waits->item, ERR_CLOSED);
}

void worker_end_waits(struct worker *worker, int64_t at_us)
{
	atomic_store(&worker->waits_end_us, at_us);
	worker_wake(worker);
}
