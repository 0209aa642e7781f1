#include "background/delivery/settle_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settle_line_init(struct settle_line *line)
{
	*line = (struct settle_line){0};
	pthread_mutex_init(&line->lock, NULL);
}

void settle_line_release(struct settle_line *line)
{
	pthread_mutex_destroy(&line->lock);
}

/* From here on nothing is added to it. */
static void take_away(struct settle_batch *batch)
{
	struct settle_line *line = batch->line;
	pthread_mutex_lock(&line->lock);
	if (line->open == batch)
		line->open = NULL;
	pthread_mutex_unlock(&line->lock);
}

/* On the committer's thread. Marks first: what one says of an attempt is overruled by the outcome of the same. */
static int batch_run(struct db *db, void *arg)
{
	struct settle_batch *batch = arg;
	take_away(batch);
	int err = outbox_mark_started(db, batch->line->run, batch->begun, batch->begun_count);
	if (err == 0 && batch->count > 0)
		err = outbox_settle(db, batch->settlements, batch->count, &batch->stale);
	return err;
}

static void batch_done(void *arg, int err)
{
	struct settle_batch *batch = arg;
	struct settle_line *line = batch->line;
	take_away(batch);	/* it has not been run if the transaction could not begin */
	batch->begun_count = 0; /* never written late: they would undo what a newer outcome says of the count */
	batch->err = err;
	if (batch->count > 0)
		line->done(line->arg, batch);
	else
		settle_batch_free(batch);
}

/* Not zeroed as a whole: it is large, and most of it is written before it is read, or never used. */
static struct settle_batch *batch_new(struct settle_line *line)
{
	struct settle_batch *batch = malloc(sizeof(*batch));
	if (batch == NULL)
		return NULL;
	batch->job = (struct commit_job){.run = batch_run, .done = batch_done, .arg = batch};
	batch->message = (struct message){.kind = MESSAGE_SETTLED, .subject = batch};
	batch->line = line;
	batch->next = NULL;
	batch->err = 0;
	batch->begun_count = batch->count = batch->stale = 0;
	return batch;
}

/*
 * Locks, in any case. Memory is asked for outside the lock, which the committer needs within a transaction: the worker
 * alone opens a batch, so that none is open afterwards either. A new one is to be posted by the caller, behind the lock.
 */
static struct settle_batch *lock_open(struct settle_line *line, struct settle_batch **ret_unposted)
{
	pthread_mutex_lock(&line->lock);
	if (line->open != NULL)
		return line->open;
	pthread_mutex_unlock(&line->lock);
	struct settle_batch *batch = batch_new(line);
	if (batch != NULL)
		*ret_unposted = batch;
	pthread_mutex_lock(&line->lock);
	line->open = batch;
	return batch;
}

/* Under the lock. */
static void close_if_full(struct settle_line *line)
{
	const struct settle_batch *batch = line->open;
	if (batch->count == LIMIT_SETTLE_BATCH || batch->begun_count == LIMIT_SETTLE_BATCH)
		line->open = NULL;
}

static void drop_mark(struct settle_batch *batch, const struct settlement *settlement)
{
	for (size_t i = 0; i < batch->begun_count; i++)
		if (batch->begun[i].row == settlement->row) {
			batch->begun[i] = batch->begun[--batch->begun_count];
			return;
		}
}

/* Under the lock. Takes over `reply`. */
static void append(struct settle_batch *batch, struct item *item, const struct settlement *settlement,
	const char reason[LIMIT_REASON], char *reply)
{
	size_t i = batch->count++;
	memcpy(batch->reasons[i], reason, strlen(reason) + 1);
	batch->replies[i] = reply;
	batch->items[i] = item;
	batch->settlements[i] = *settlement;
	batch->settlements[i].reason = batch->reasons[i];
	batch->settlements[i].reply = batch->replies[i];
	if (settlement->unsent_run == 0) /* else it leaves to the mark what crashes say */
		drop_mark(batch, settlement);
}

int settle_line_add(struct settle_line *line, struct item *item, const struct settlement *settlement,
	struct settle_batch **ret_unposted)
{
	char reason[LIMIT_REASON], *reply = settlement->reply != NULL ? strdup(settlement->reply) : NULL;
	(void)snprintf(reason, sizeof(reason), "%s", settlement->reason);
	struct settle_batch *batch = lock_open(line, ret_unposted);
	if (batch != NULL) {
		line->awaited += batch->count == 0;
		append(batch, item, settlement, reason, reply);
		close_if_full(line);
	}
	pthread_mutex_unlock(&line->lock);
	if (batch != NULL)
		return 0;
	free(reply);
	return ERR_MEMORY;
}

void settle_line_mark(struct settle_line *line, const struct started *started, struct settle_batch **ret_unposted)
{
	struct settle_batch *batch = lock_open(line, ret_unposted);
	if (batch != NULL) {
		batch->begun[batch->begun_count++] = *started;
		close_if_full(line);
	}
	pthread_mutex_unlock(&line->lock);
}

void settle_line_heard(struct settle_line *line)
{
	line->awaited--;
}

int settle_batch_post(struct settle_batch *batch, bool again)
{
	struct settle_line *line = batch->line;
	line->awaited += again;
	int err = committer_post_unhurried(line->committer, &batch->job);
	if (err == 0)
		return 0;
	take_away(batch);
	batch->begun_count = 0;
	line->awaited -= batch->count > 0;
	return err;
}

void settle_batch_free(struct settle_batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->count; i++)
		free(batch->replies[i]);
	free(batch);
}
