/*
 * Outcomes, on their way to be durable. A worker gathers the outcomes of one turn of its loop
 * into a batch, posts it as one job, and hears of it as a message; until then the items stay in
 * their lanes. A batch that the store could not write is posted again a second later: nothing is
 * lost but time. Effects without a row have nothing to write, and are done at once.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "config/log.h"

enum { BATCH_ITEMS = 64, STORE_RETRY_US = 1000 * 1000 };

struct settle_batch {
	struct commit_job job;
	struct message message;
	struct worker *worker;
	struct settle_batch *next;
	int err;
	size_t count, stale;
	struct settlement settlements[BATCH_ITEMS];
	struct item *items[BATCH_ITEMS];
	char reasons[BATCH_ITEMS][LIMIT_REASON];
	char *replies[BATCH_ITEMS];
};

struct mark_batch {
	struct commit_job job;
	int64_t run;
	size_t count;
	struct started started[BATCH_ITEMS];
};

static const enum effect_end ends[] = {
	[LANE_DELIVERED] = END_DELIVERED, [LANE_DEAD] = END_DEAD, [LANE_SKIPPED] = END_SKIPPED};
static const enum effect_state states[] = {[LANE_DELIVERED] = EFFECT_DELIVERED,
	[LANE_AGAIN] = EFFECT_PENDING,
	[LANE_DEAD] = EFFECT_DEAD,
	[LANE_SKIPPED] = EFFECT_SKIPPED};

/* On the committer's thread. */
static int batch_run(struct db *db, void *arg)
{
	struct settle_batch *batch = arg;
	return outbox_settle(db, batch->settlements, batch->count, &batch->stale);
}

static void batch_done(void *arg, int err)
{
	struct settle_batch *batch = arg;
	struct worker *worker = batch->worker;
	batch->err = err;
	if (inbox_put(&worker->inbox, &batch->message) == 1)
		worker_wake(worker);
}

static struct settle_batch *batch_new(struct worker *worker)
{
	struct settle_batch *batch = calloc(1, sizeof(*batch));
	if (batch == NULL)
		return NULL;
	batch->worker = worker;
	batch->job = (struct commit_job){.run = batch_run, .done = batch_done, .arg = batch};
	batch->message = (struct message){.kind = MESSAGE_SETTLED, .subject = batch};
	return batch;
}

static void batch_free(struct settle_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		free(batch->replies[i]);
	free(batch);
}

/* Its items stay with their lanes, as unsettled: their rows say so, too. */
static void batch_abandon(struct settle_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		lane_forget(lane_of(batch->items[i]), batch->items[i]);
		item_free(batch->items[i]);
	}
	batch_free(batch);
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

static void batch_post(struct worker *worker, struct settle_batch *batch, int64_t now_us)
{
	if (committer_post_unhurried(worker->options.committer, &batch->job) == 0)
		worker->batches_posted++;
	else
		keep_failed(worker, batch, now_us);
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

static int marks_run(struct db *db, void *arg)
{
	struct mark_batch *marks = arg;
	return outbox_mark_started(db, marks->run, marks->started, marks->count);
}

static void marks_done(void *arg, int err)
{
	(void)err; /* a mark that is lost costs a count after a crash, no more */
	free(arg);
}

/* Before the outcomes of the same attempts, or it would undo what they say of the count. */
static void marks_post(struct worker *worker)
{
	struct mark_batch *marks = worker->marks;
	worker->marks = NULL;
	if (marks != NULL && committer_post_unhurried(worker->options.committer, &marks->job) != 0)
		free(marks);
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
	if (worker->open == NULL)
		worker->open = batch_new(worker);
	struct settle_batch *batch = worker->open;
	if (batch == NULL) { /* tried again from its row: at least once */
		lane_note_disk(lane_of(item));
		inline_settled(item);
		wait_again(worker, item, now_ms + STORE_RETRY_US / 1000);
		return;
	}
	size_t i = batch->count++;
	batch->items[i] = item;
	(void)snprintf(batch->reasons[i], LIMIT_REASON, "%s", note->reason);
	batch->replies[i] = note->reply != NULL ? strdup(note->reply) : NULL;
	batch->settlements[i] = (struct settlement){
		.row = item->row,
		.attempt = attempt,
		.uncounted = uncounted,
		.unsent_run = note->unsent ? worker->options.run : 0,
		.state = states[note->action],
		.due_ms = note->due_ms,
		.now_ms = now_ms,
		.effect = item->target->config->name,
		.cause = note->cause != NULL ? note->cause : "",
		.reason = batch->reasons[i],
		.reply = batch->replies[i],
		.log = item->log != NULL ? item->log : "[]",
	};
	if (batch->count == BATCH_ITEMS) {
		worker->open = NULL;
		marks_post(worker);
		batch_post(worker, batch, clock_mono_us());
	}
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
	worker->batches_posted--;
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
	batch_free(batch);
}

void settle_mark_started(struct worker *worker, const struct item *item)
{
	if (worker->marks == NULL) {
		worker->marks = calloc(1, sizeof(*worker->marks));
		if (worker->marks == NULL)
			return;
		worker->marks->job = (struct commit_job){.run = marks_run, .done = marks_done, .arg = worker->marks};
	}
	struct mark_batch *marks = worker->marks;
	marks->run = worker->options.run;
	marks->started[marks->count++] = (struct started){.row = item->row, .attempt = item->attempts};
	if (marks->count == BATCH_ITEMS)
		marks_post(worker);
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
	marks_post(worker);
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

void settle_post(struct worker *worker, int64_t now_us)
{
	marks_post(worker);
	struct settle_batch *open = worker->open;
	worker->open = NULL;
	if (open != NULL)
		batch_post(worker, open, now_us);
	if (worker->failed == NULL || now_us < worker->retry_us)
		return;
	struct settle_batch *failed = worker->failed;
	worker->failed = NULL;
	while (failed != NULL) {
		struct settle_batch *next = failed->next;
		batch_post(worker, failed, now_us);
		failed = next;
	}
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
	if (worker->open != NULL)
		batch_abandon(worker->open);
	free(worker->marks);
	worker->open = NULL;
	worker->marks = NULL;
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
