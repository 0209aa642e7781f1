/*
 * Inline effects: a request thread waits while its effect has its turn. The item is held in its lane from the commit
 * on, so that no refill sends it early; a message gives it its turn, and the end of its first attempt, or the knowledge
 * that there will be none, ends the wait. Every wait is in the worker's list, so that a stop can end them all.
 *
 * What refuses a request is told only once its row says so: a request that was refused must not have its effect sent
 * after all by the next start, whatever ends this process.
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

static void wait_begin(struct worker *worker, struct inline_wait *wait, struct item *item)
{
	wait->item = item;
	wait->previous = NULL;
	wait->next = worker->waits;
	if (wait->next != NULL)
		wait->next->previous = wait;
	worker->waits = wait;
}

/* With what is known of it. */
static void wait_end(struct inline_wait *wait)
{
	struct worker *worker = wait->target->worker;
	wait->item->waiter = NULL;
	if (wait->next != NULL)
		wait->next->previous = wait->previous;
	*(wait->previous != NULL ? &wait->previous->next : &worker->waits) = wait->next;
	sem_post(&wait->ended); /* `wait` may be gone from here on */
}

void inline_finish(struct item *item, int result)
{
	if (item->waiter == NULL)
		return;
	item->waiter->result = result;
	if (result != ERR_DENIED || item->target->config->on_failure != ON_FAILURE_REJECT)
		wait_end(item->waiter);
}

void inline_settled(struct item *item)
{
	if (item->waiter != NULL)
		wait_end(item->waiter);
}

void inline_refused(struct worker *worker, struct item *item, const char *reason)
{
	const struct outcome_note note = {.action = LANE_DEAD, .cause = CAUSE_REJECTED, .reason = reason};
	settle(worker, item, &note);
}

/* An inline effect's turn, or that it will have none. */
void inline_turn(struct worker *worker, struct inline_wait *wait)
{
	struct lane *lane = lane_touch(worker, wait->target->lane);
	struct item *item = lane_release(lane, wait->row, wait->refused ? NULL : wait);
	if (item == NULL) {
		sem_post(&wait->ended);
		return;
	}
	wait_begin(worker, wait, item);
	if (!wait->refused)
		return;
	lane_unqueue(lane, item);
	item->waiter = wait; /* until that is settled */
	inline_refused(worker, item, "its request was refused");
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

void inline_end_all(struct worker *worker)
{
	while (worker->waits != NULL)
		wait_end(worker->waits);
}

/* Of a stop: what is under way goes on with nobody waiting for it. */
void inline_end_waits(struct worker *worker, int64_t now_us)
{
	if (now_us < atomic_load(&worker->waits_end_us))
		return;
	for (size_t i = 0; i < worker->lane_count; i++)
		inline_refuse_waiting(worker, lane_touch(worker, i), REASON_STOPPING);
	inline_end_all(worker);
}

void worker_end_waits(struct worker *worker, int64_t at_us)
{
	atomic_store(&worker->waits_end_us, at_us);
	worker_wake(worker);
}
