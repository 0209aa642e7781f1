/*
 * Outcomes, on their way to be durable. They gather in a batch that the committer takes as one job
 * (settle_batch.h), and the worker hears of it as a message; until then the items stay in their lanes, though their
 * places in flight are free. A batch that the store could not write is posted again a second later: nothing is
 * lost but time. Effects without a row have nothing to write, and are done at once.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "background/delivery/worker_internal.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "config/log.h"

enum { STORE_RETRY_US = 1000 * 1000 };

static const enum effect_end ends[] = {
	[LANE_DELIVERED] = END_DELIVERED, [LANE_DEAD] = END_DEAD, [LANE_SKIPPED] = END_SKIPPED};
static const enum effect_state states[] = {[LANE_DELIVERED] = EFFECT_DELIVERED,
	[LANE_AGAIN] = EFFECT_PENDING,
	[LANE_DEAD] = EFFECT_DEAD,
	[LANE_SKIPPED] = EFFECT_SKIPPED};

/* Its items stay with their lanes, as unsettled: their rows say so, too. */
static void batch_abandon(struct settle_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		lane_forget(lane_of(batch->items[i]), batch->items[i]);
		item_free(batch->items[i]);
	}
	settle_batch_free(batch);
}

/* Who waits for it waits no longer: it is tried again, maybe for long. */
static void keep_failed(struct worker *worker, struct settle_batch *batch, int64_t now_us)
{
	for (size_t i = 0; i < batch->count; i++)
		inline_settled(batch->items[i]);
	batch->next = worker->failed;
	worker->failed = batch;
	worker->retry_us = now_us + STORE_RETRY_US;
}

static void batch_post(struct worker *worker, struct settle_batch *batch, bool again)
{
	if (settle_batch_post(batch, again) == 0)
		return;
	if (batch->count > 0)
		keep_failed(worker, batch, clock_mono_us());
	else
		settle_batch_free(batch);
}

/* An item's end, once it is certain. */
static void finish(struct item *item, enum lane_action action, const char *cause)
{
	struct target *target = item->target;
	if (action == LANE_DELIVERED)
		histogram_observe(target->end_to_end_seconds, (clock_now_ms() - item->event->created_ms) * 1000);
	target_count_end(target, ends[action], item->row != 0 ? cause : NULL);
	if (item->row != 0)
		target_release_row(target);
	else
		target_release_memory(target);
	lane_forget(lane_of(item), item);
	item_free(item);
}

void settle_dropped(struct worker *worker, struct item *item, const char *reason)
{
	const struct recent_state state = {
		.state = "dropped", .attempts = item->attempts, .reason = reason, .log = item->log};
	recent_update(worker->options.recent, item->recent, &state);
	target_count_end(item->target, END_DROPPED, NULL);
	target_release_memory(item->target);
}

/* Somebody else changed the row meanwhile, an operator say, and has counted that; what it waits for now is on disk. */
static void finish_stale(struct item *item)
{
	struct lane *lane = lane_of(item);
	lane_forget(lane, item);
	lane_note_disk(lane);
	item_free(item);
}

static void wait_again(struct worker *worker, struct item *item, int64_t due_ms)
{
	item->due_ms = due_ms;
	if (lane_wait(lane_of(item), item))
		return;
	if (item->row == 0) /* the heap found no memory */
		settle_dropped(worker, item, "out of memory");
	item_free(item);
}

static void settle_in_memory(struct worker *worker, struct item *item, const struct outcome_note *note)
{
	const struct recent_state state = {
		.state = effect_state_text(states[note->action]),
		.attempts = item->attempts,
		.due_ms = note->due_ms,
		.reason = note->reason,
		.log = item->log,
	};
	recent_update(worker->options.recent, item->recent, &state);
	if (note->action == LANE_AGAIN)
		wait_again(worker, item, note->due_ms);
	else
		finish(item, note->action, note->cause);
}

void settle(struct worker *worker, struct item *item, const struct outcome_note *note)
{
	int64_t now_ms = clock_now_ms();
	int attempt = item->attempts;
	bool uncounted = note->action == LANE_AGAIN && note->uncounted;
	item->attempts -= uncounted;
	if (item->row == 0) {
		settle_in_memory(worker, item, note);
		return;
	}
	const struct settlement settlement = {
		.row = item->row,
		.attempt = attempt,
		.uncounted = uncounted,
		.unsent_run = note->unsent ? worker->options.run : 0,
		.state = states[note->action],
		.due_ms = note->due_ms,
		.now_ms = now_ms,
		.effect = item->target->config->name,
		.cause = note->cause != NULL ? note->cause : "",
		.reason = note->reason,
		.reply = note->reply,
		.log = item->log != NULL ? item->log : "[]",
	};
	struct settle_batch *unposted = NULL;
	int err = settle_line_add(&worker->settle_line, item, &settlement, &unposted);
	if (err != 0) { /* tried again from its row: at least once */
		lane_note_disk(lane_of(item));
		inline_settled(item);
		wait_again(worker, item, now_ms + STORE_RETRY_US / 1000);
	}
	if (unposted != NULL)
		batch_post(worker, unposted, false);
}

static enum lane_action action_of(enum effect_state state)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (states[i] == state)
			return (enum lane_action)i;
	return LANE_DEAD;
}

void settle_done(struct worker *worker, struct settle_batch *batch, int64_t now_us)
{
	settle_line_heard(&worker->settle_line);
	if (batch->err != 0) {
		keep_failed(worker, batch, now_us);
		return;
	}
	counter_add(worker->stale_settlements, batch->stale);
	for (size_t i = 0; i < batch->count; i++) {
		const struct settlement *settlement = &batch->settlements[i];
		inline_settled(batch->items[i]);
		if (settlement->stale)
			finish_stale(batch->items[i]);
		else if (settlement->state == EFFECT_PENDING)
			wait_again(worker, batch->items[i], settlement->due_ms);
		else
			finish(batch->items[i], action_of(settlement->state), settlement->cause);
	}
	settle_batch_free(batch);
}

void settle_mark_started(struct worker *worker, const struct item *item)
{
	const struct started started = {.row = item->row, .attempt = item->attempts};
	struct settle_batch *unposted = NULL;
	settle_line_mark(&worker->settle_line, &started, &unposted);
	if (unposted != NULL)
		batch_post(worker, unposted, false);
}

struct alone_mark {
	int64_t run;
	struct started started;
};

static int alone_run(struct db *db, void *arg)
{
	const struct alone_mark *mark = arg;
	return outbox_mark_started(db, mark->run, &mark->started, 1);
}

int settle_mark_alone(struct worker *worker, const struct item *item)
{
	struct alone_mark mark = {
		.run = worker->options.run,
		.started = {.row = item->row, .attempt = item->attempts + 1, .alone = true},
	};
	return committer_run(worker->options.committer, alone_run, &mark);
}

void settle_poison(struct worker *worker, struct item *item)
{
	const struct outcome_note note = {
		.action = LANE_DEAD,
		.cause = CAUSE_POISON,
		.reason = "the process ended while this effect alone was sent",
	};
	log_write(LOG_ERROR, "an effect ends the process whenever it is sent: it is set aside",
		LOG_STR("effect", item->target->config->name), LOG_STR("event_id", item->event->id),
		LOG_STR("cause", CAUSE_POISON), LOG_INT("attempts", item->attempts));
	settle(worker, item, &note);
}

struct gone_job {
	struct commit_job job;
	const struct target *target;
	int64_t now_ms;
	char reason[LIMIT_REASON];
};

static int gone_run(struct db *db, void *arg)
{
	const struct gone_job *gone = arg;
	return pause_add(db, gone->target->config->name, gone->reason, gone->now_ms);
}

/* If it could not be written, the next start asks the target once more. */
static void gone_done(void *arg, int err)
{
	(void)err;
	free(arg);
}

void settle_gone(struct worker *worker, struct target *target, const char *reason)
{
	struct gone_job *gone = calloc(1, sizeof(*gone));
	target_say(target, SAYING_PAUSE, reason);
	if (gone == NULL)
		return;
	gone->job = (struct commit_job){.run = gone_run, .done = gone_done, .arg = gone};
	gone->target = target;
	gone->now_ms = clock_now_ms();
	(void)snprintf(gone->reason, sizeof(gone->reason), "%s", reason);
	if (committer_post_unhurried(worker->options.committer, &gone->job) != 0)
		free(gone);
}

void settle_retry(struct worker *worker, int64_t now_us)
{
	if (worker->failed == NULL || now_us < worker->retry_us)
		return;
	struct settle_batch *failed = worker->failed;
	worker->failed = NULL;
	while (failed != NULL) {
		struct settle_batch *next = failed->next;
		batch_post(worker, failed, true);
		failed = next;
	}
}

bool settle_busy(const struct worker *worker)
{
	return worker->failed != NULL || worker->settle_line.awaited > 0;
}

void settle_release(struct worker *worker)
{
	for (struct message *message = inbox_take(&worker->inbox); message != NULL;) {
		struct message *next = message->next;
		struct settle_batch *batch = message->subject;
		if (message->kind == MESSAGE_SETTLED && batch->err == 0)
			settle_done(worker, batch, clock_mono_us());
		else if (message->kind == MESSAGE_SETTLED)
			batch_abandon(batch);
		else if (message->kind == MESSAGE_OFFER)
			item_free(message->subject); /* of a worker that never ran */
		message = next;
	}
	while (worker->failed != NULL) {
		struct settle_batch *batch = worker->failed;
		worker->failed = batch->next;
		batch_abandon(batch);
	}
}

static int spill_one(struct db *db, const struct item *item)
{
	int64_t row;
	const struct new_effect effect = {
		.effect = item->target->config->name,
		.part = item->part,
		.recipient = item->recipient,
		.delivery = delivery_text(DELIVERY_FIRE_AND_FORGET),
		.attempts = item->attempts,
		.log = item->log,
		.due_ms = item->due_ms,
	};
	return outbox_add_uncounted(db, item->event, &effect, &row);
}

/* They come lane by lane: the counter of each is written once, which is a good part of the work. */
static int spill_run(struct db *db, void *arg)
{
	const struct item *item = arg;
	int err = 0;
	while (item != NULL && err == 0) {
		const struct target *target = item->target;
		int64_t count = 0;
		for (; item != NULL && item->target == target && err == 0; item = item->next, count++)
			err = spill_one(db, item);
		if (err == 0)
			err = outbox_count_pending(db, target->config->name, count);
	}
	return err;
}

void settle_spill(struct worker *worker, struct item *items)
{
	int err = items != NULL ? committer_run(worker->options.committer, spill_run, items) : 0;
	while (items != NULL) {
		struct item *next = items->next;
		struct target *target = items->target;
		if (err == 0) {
			target_release_memory(target);
			atomic_fetch_add(&target->pending, 1);
			counter_add(target->spilled, 1);
		} else {
			settle_dropped(worker, items, err_text(err));
		}
		item_free(items);
		items = next;
	}
}
