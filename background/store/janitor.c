/*
 * A round walks through the events in the order of their ids, which is that of their creation, up to the first one that
 * is too young to go. Most that it passes may go at once and do; what stays behind (dead letters are kept longer, a
 * pending row for as long as it takes) would be passed again in each round. So a round begins where the last one ended,
 * and only now and then at the first event: once in LIMIT_JANITOR_FULL_MS, or in a tenth of the shorter retention if
 * that is less, so that nothing is kept for much longer than was said.
 *
 * Each batch is found by the janitor's reader, outside of any transaction that others wait for, and checked again by
 * the job that removes it.
 */
#include "background/store/janitor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "background/store/idempotency.h"
#include "background/telemetry/metrics.h"
#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"

struct janitor {
	struct janitor_options options;
	struct counter *removed;
	pthread_t thread;
	pthread_mutex_t lock; /* guards `stopping` */
	pthread_cond_t stop;
	bool stopping;

	/* the thread's own */
	struct db *reader;
	int64_t cursor;	      /* the last event that was looked at */
	int64_t next_full_us; /* when to begin at the first one again */
};

struct batch {
	int64_t delivered_before_ms, dead_before_ms;
	size_t count;
	const int64_t *rest; /* not yet removed */
	size_t part;	     /* of those, what one job takes */
	struct outbox_tally tally;
	int64_t events[LIMIT_OUTBOX_BATCH];
};

struct forgetting {
	int64_t before_ms, count;
};

/* Waits; true: it is to end. */
static bool stopped_within(struct janitor *j, int64_t wait_ms)
{
	int waited = 0;

	struct timespec until = clock_deadline(clock_mono_us() + wait_ms * 1000);
	pthread_mutex_lock(&j->lock);
	while (!j->stopping && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&j->stop, &j->lock, &until);
	bool stopping = j->stopping;
	pthread_mutex_unlock(&j->lock);
	return stopping;
}

static int collect(void *arg, int64_t event_row)
{
	struct batch *batch = arg;

	batch->events[batch->count++] = event_row;
	return 0;
}

static int remove_run(struct db *db, void *arg)
{
	struct batch *batch = arg;

	return outbox_remove(
		db, batch->rest, batch->part, batch->delivered_before_ms, batch->dead_before_ms, &batch->tally);
}

/* Steps over the events that the job is done with. */
static void advance(struct batch *batch)
{
	size_t done = batch->part;

	if (batch->tally.more)
		for (done = 0; done < batch->part && batch->rest[done] <= batch->tally.last_row; done++) {
		}
	batch->rest += done;
	batch->count -= done;
}

/* 1: it is to end. */
static int remove_batch(struct janitor *j, struct batch *batch)
{
	batch->rest = batch->events;
	while (batch->count > 0) {
		batch->part = batch->count < LIMIT_JANITOR_EVENTS ? batch->count : LIMIT_JANITOR_EVENTS;
		int err = committer_run(j->options.committer, remove_run, batch);
		if (err != 0)
			return err;
		counter_add(j->removed, (uint64_t)batch->tally.rows);
		if (batch->tally.count > 0 && j->options.removed != NULL)
			j->options.removed(j->options.arg, &batch->tally);
		advance(batch);
		if (stopped_within(j, LIMIT_JANITOR_PAUSE_MS))
			return 1;
	}
	return 0;
}

static int64_t full_round_ms(const struct janitor_options *options)
{
	int64_t shorter_ms = options->delivered_ms < options->dead_ms ? options->delivered_ms : options->dead_ms;
	return shorter_ms / 10 < LIMIT_JANITOR_FULL_MS ? shorter_ms / 10 : LIMIT_JANITOR_FULL_MS;
}

static int remove_events(struct janitor *j)
{
	struct batch batch;
	int64_t last = 0;
	int looked = LIMIT_OUTBOX_BATCH;

	int64_t now_ms = clock_now_ms();
	if (clock_mono_us() >= j->next_full_us) {
		j->cursor = 0;
		j->next_full_us = clock_mono_us() + full_round_ms(&j->options) * 1000;
	}
	batch.delivered_before_ms = now_ms - j->options.delivered_ms;
	batch.dead_before_ms = now_ms - j->options.dead_ms;
	while (looked == LIMIT_OUTBOX_BATCH) {
		batch.count = 0;
		last = j->cursor;
		looked = outbox_expired(j->reader, j->cursor, batch.delivered_before_ms, batch.dead_before_ms, now_ms,
			LIMIT_OUTBOX_BATCH, collect, &batch, &last);
		if (looked < 0)
			return looked;
		int err = remove_batch(j, &batch);
		if (err != 0)
			return err;
		j->cursor = last;
		/* many that stay are no reason to keep a core busy either */
		if (looked == LIMIT_OUTBOX_BATCH && stopped_within(j, 1))
			return 1;
	}
	return 0;
}

static int forget_run(struct db *db, void *arg)
{
	struct forgetting *forgetting = arg;

	return idempotency_forget(db, forgetting->before_ms, LIMIT_OUTBOX_BATCH, &forgetting->count);
}

static int forget_keys(struct janitor *j)
{
	struct forgetting forgetting = {.before_ms = clock_now_ms() - LIMIT_IDEMPOTENCY_MS};

	do {
		int err = committer_run(j->options.committer, forget_run, &forgetting);
		if (err != 0)
			return err;
		if (forgetting.count == LIMIT_OUTBOX_BATCH && stopped_within(j, LIMIT_JANITOR_PAUSE_MS))
			return 1;
	} while (forgetting.count == LIMIT_OUTBOX_BATCH);
	return 0;
}

/* 1: it is to end. */
static int run_sweep(struct janitor *j)
{
	const struct janitor_sweep *sweep = &j->options.sweep;
	int found = JANITOR_DONE;

	while (sweep->look != NULL && (found = sweep->look(sweep->arg, j->reader)) > JANITOR_DONE) {
		int err = found == JANITOR_WRITE ? committer_run(j->options.committer, sweep->write, sweep->arg) : 0;
		if (err != 0)
			return err;
		if (stopped_within(j, found == JANITOR_WRITE ? LIMIT_JANITOR_PAUSE_MS : 1))
			return 1;
	}
	return found;
}

static void *janitor_main(void *arg)
{
	struct janitor *j = arg;

	(void)pthread_setname_np(pthread_self(), "janitor");
	while (!stopped_within(j, j->options.interval_ms)) {
		int err = remove_events(j);
		if (err == 0)
			err = forget_keys(j);
		if (err == 0)
			err = run_sweep(j);
		if (err == 1 || err == ERR_CLOSED)
			break;
		if (err != 0)
			log_write(LOG_WARN, "what is past its retention can't be removed: trying again later",
				LOG_STR("reason", err_text(err)));
	}
	return NULL;
}

static void janitor_free(struct janitor *j)
{
	db_close(j->reader);
	pthread_cond_destroy(&j->stop);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int janitor_start(const struct janitor_options *options, struct janitor **ret_janitor)
{
	struct janitor *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ERR_MEMORY;
	if (pthread_mutex_init(&j->lock, NULL) != 0) {
		free(j);
		return ERR_SYSTEM;
	}
	int err = clock_condition_init(&j->stop);
	if (err != 0) {
		pthread_mutex_destroy(&j->lock);
		free(j);
		return err;
	}
	j->options = *options;
	j->removed = metrics_counter(options->metrics, "tokenfirst_retention_removed_total",
		"Rows of events and effects that were removed because they had been settled for long enough.", NULL);
	err = store_reader(options->store, &j->reader);
	int failed = err == 0 ? pthread_create(&j->thread, NULL, janitor_main, j) : 0;
	if (err != 0 || failed != 0) {
		janitor_free(j);
		errno = failed;
		return err != 0 ? err : ERR_SYSTEM;
	}
	*ret_janitor = j;
	return 0;
}

void janitor_stop(struct janitor *j)
{
	if (j == NULL)
		return;
	pthread_mutex_lock(&j->lock);
	j->stopping = true;
	pthread_cond_signal(&j->stop);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	janitor_free(j);
}
