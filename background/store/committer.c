/*
 * One thread, one queue, one transaction at a time. The thread takes whatever waits, up to
 * LIMIT_COMMIT_JOBS, and syncs once for all of it; what is posted meanwhile is the next
 * batch. No timer gathers jobs: the time of the sync itself does, so that a lone caller
 * never waits for company.
 *
 * The queue is a list through the jobs themselves, so that posting can't fail for want of
 * memory. The thread sleeps while the queue is empty, or while it has only jobs that nobody
 * waits for; these wait a little for company, as a sync of their own for each would cost
 * more than all else that delivery does. Only the post that ends such a sleep wakes it, and
 * for as long after a batch as such jobs may wait, the thread looks for them by itself: under
 * load none of them wakes it.
 *
 * After a failure the store counts as unhealthy until a transaction that surely wrote
 * something is durable: each batch then carries the probe (a row rewritten), and when no
 * batch comes, the probe goes alone, once a second.
 */
#include "background/store/committer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "background/store/changes.h"
#include "background/telemetry/metrics.h"
#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"

static const char *const error_kinds[] = {"full", "io", "corrupt", "busy", "other"};
enum { ERROR_KINDS = sizeof(error_kinds) / sizeof(error_kinds[0]) };

struct committer {
	struct db *db; /* the thread's own */
	struct changes *changes;
	pthread_t thread;
	struct histogram *seconds, *rows;
	struct gauge *wal_bytes;
	struct counter *errors[ERROR_KINDS];

	pthread_mutex_t lock; /* guards the seven below */
	struct commit_job *head, **tail;
	size_t queued;
	bool hurry;	    /* somebody waits for a job of the queue */
	bool attentive;	    /* the thread looks at the queue by itself before long */
	int64_t company_us; /* until then the others may wait for one that does */
	bool stopping;
	pthread_cond_t work; /* there is a job, one is awaited, or `stopping` is set */

	atomic_bool healthy; /* written by the thread alone */
};

struct waiter {
	struct commit_job job;
	int (*run)(struct db *db, void *arg);
	void (*done)(void *arg, int err);
	void *arg;
	int err;
	sem_t ready;
};

static bool is_healthy(const struct committer *c)
{
	return atomic_load_explicit(&c->healthy, memory_order_relaxed);
}

/* Detaches the next batch. NULL: none came in time and a probe is due, or (*ret_end) there will be no more. */
static struct commit_job *take_batch(struct committer *c, bool *ret_end)
{
	struct commit_job *batch = NULL;
	int waited = 0;

	struct timespec probe_at = clock_deadline(clock_mono_us() + (int64_t)LIMIT_COMMIT_PROBE_MS * 1000);
	struct timespec look_at = clock_deadline(clock_mono_us() + (int64_t)LIMIT_COMMIT_COMPANY_MS * 1000);
	pthread_mutex_lock(&c->lock);
	c->attentive = is_healthy(c);
	while (!c->hurry && !c->stopping && waited != ETIMEDOUT) {
		struct timespec company_at = clock_deadline(c->company_us);
		if (c->head != NULL)
			waited = pthread_cond_timedwait(&c->work, &c->lock, &company_at);
		else if (!is_healthy(c))
			waited = pthread_cond_timedwait(&c->work, &c->lock, &probe_at);
		else if (!c->attentive)
			pthread_cond_wait(&c->work, &c->lock);
		else if (pthread_cond_timedwait(&c->work, &c->lock, &look_at) == ETIMEDOUT)
			c->attentive = false;
	}
	if (c->head != NULL) {
		struct commit_job *last = c->head;
		size_t count = 1;
		for (; count < LIMIT_COMMIT_JOBS && last->next != NULL; count++)
			last = last->next;
		batch = c->head;
		c->head = last->next;
		last->next = NULL;
		c->queued -= count;
		if (c->head == NULL) {
			c->tail = &c->head;
			c->hurry = false;
		}
	}
	*ret_end = batch == NULL && c->stopping;
	pthread_mutex_unlock(&c->lock);
	return batch;
}

static void note_failure(struct committer *c)
{
	const char *kind = db_error_kind(c->db);

	for (size_t i = 0; i < ERROR_KINDS; i++)
		if (strcmp(kind, error_kinds[i]) == 0)
			counter_add(c->errors[i], 1);
	if (!is_healthy(c))
		return;
	atomic_store_explicit(&c->healthy, false, memory_order_relaxed);
	log_write(LOG_ERROR, "the store can't write: what needs it is refused until it can", LOG_STR("kind", kind),
		LOG_STR("error", db_message(c->db)));
}

static void note_success(struct committer *c, int64_t started_us, size_t jobs)
{
	if (jobs > 0) {
		histogram_observe(c->seconds, clock_mono_us() - started_us);
		histogram_observe(c->rows, (int64_t)jobs);
	}
	gauge_set(c->wal_bytes, db_wal_bytes(c->db));
	if (is_healthy(c))
		return;
	atomic_store_explicit(&c->healthy, true, memory_order_relaxed);
	log_write(LOG_INFO, "the store can write again");
}

static int probe(struct db *db)
{
	static const char sql[] = "UPDATE store_probe SET count = count + 1 WHERE id = 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	return err != 0 ? err : db_run(s);
}

/* Leaves the job's own outcome in it, its changes undone if that is an error. Not 0: the batch is lost. */
static int run_job(struct db *db, struct commit_job *job, bool alone)
{
	const bool savepoint = !alone && !job->single;
	int err = savepoint ? db_savepoint(db) : 0;
	if (err != 0)
		return err;
	job->err = job->run(db, job->arg);
	/* asked whatever the job says: it may have missed that its statement took the transaction with it */
	if (job->err == ERR_STORE || !db_in_transaction(db))
		return ERR_STORE;
	if (job->err == 0)
		return savepoint ? db_release(db) : 0;
	if (savepoint)
		return db_rollback_to_savepoint(db);
	if (job->single)
		return 0; /* nothing of it is there, and others may be */
	db_rollback(db);
	return db_in_transaction(db) ? ERR_STORE : 0;
}

/* 0: durable, each job has its own outcome. Else nothing of it is written. */
static int write_batch(struct committer *c, struct commit_job *batch, size_t *ret_jobs)
{
	size_t jobs = 0;

	/* a job alone needs no savepoint: the transaction is its own, unless the probe is in it */
	bool alone = batch != NULL && batch->next == NULL && is_healthy(c);
	int err = db_begin(c->db);
	if (err == 0 && !is_healthy(c))
		err = probe(c->db);
	for (struct commit_job *job = batch; job != NULL && err == 0; job = job->next) {
		err = run_job(c->db, job, alone);
		jobs += job->err == 0;
	}
	if (err == 0 && db_in_transaction(c->db))
		err = db_commit(c->db);
	if (err != 0) {
		db_rollback(c->db);
		return ERR_STORE;
	}
	*ret_jobs = jobs;
	return 0;
}

static void run_batch(struct committer *c, struct commit_job *batch)
{
	int64_t started_us = clock_mono_us();
	size_t jobs = 0;

	int err = write_batch(c, batch, &jobs);
	changes_publish(c->changes); /* before anybody is told: changes.h */
	if (err != 0)
		note_failure(c);
	else
		note_success(c, started_us, jobs);
	while (batch != NULL) {
		/* `done` may free the job */
		struct commit_job *job = batch;
		batch = job->next;
		if (job->done != NULL)
			job->done(job->arg, err != 0 ? err : job->err);
	}
}

static void *committer_main(void *arg)
{
	struct committer *c = arg;
	bool end = false;

	(void)pthread_setname_np(pthread_self(), "committer");
	for (;;) {
		struct commit_job *batch = take_batch(c, &end);
		if (end)
			return NULL;
		run_batch(c, batch);
	}
}

static void register_metrics(struct committer *c, struct metrics *metrics)
{
	static const char *const labels[ERROR_KINDS] = {
		"kind=\"full\"", "kind=\"io\"", "kind=\"corrupt\"", "kind=\"busy\"", "kind=\"other\""};

	c->seconds = metrics_histogram(metrics, "tokenfirst_outbox_commit_seconds",
		"Transactions of the store's writer, from begin to durable.", &histogram_seconds, NULL);
	c->rows = metrics_histogram(metrics, "tokenfirst_outbox_commit_rows",
		"Jobs that shared one transaction and its sync.", &histogram_counts, NULL);
	c->wal_bytes =
		metrics_gauge(metrics, "tokenfirst_store_wal_bytes", "Size of the store's write-ahead log.", 1, NULL);
	for (size_t i = 0; i < ERROR_KINDS; i++)
		c->errors[i] = metrics_counter(metrics, "tokenfirst_store_errors_total",
			"Transactions that the store could not write.", labels[i]);
}

static int init_locks(struct committer *c)
{
	if (pthread_mutex_init(&c->lock, NULL) != 0)
		return ERR_SYSTEM;
	int err = clock_condition_init(&c->work);
	if (err != 0)
		pthread_mutex_destroy(&c->lock);
	return err;
}

static void committer_free(struct committer *c)
{
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int committer_start(struct store *store, struct metrics *metrics, struct committer **ret_committer)
{
	struct committer *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_MEMORY;
	int err = init_locks(c);
	if (err != 0) {
		free(c);
		return err;
	}
	c->db = store_writer(store);
	c->changes = store_changes(store);
	c->tail = &c->head;
	atomic_init(&c->healthy, true);
	register_metrics(c, metrics);
	int failed = pthread_create(&c->thread, NULL, committer_main, c);
	if (failed != 0) {
		committer_free(c);
		errno = failed;
		return ERR_SYSTEM;
	}
	*ret_committer = c;
	return 0;
}

void committer_stop(struct committer *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	committer_free(c);
}

static int post(struct committer *c, struct commit_job *job, bool hurry)
{
	int err = 0;

	job->next = NULL;
	job->err = 0;
	pthread_mutex_lock(&c->lock);
	if (c->stopping) {
		err = ERR_CLOSED;
	} else if (c->queued == LIMIT_COMMIT_QUEUE) {
		err = ERR_LIMIT;
	} else {
		if (c->head == NULL)
			c->company_us = clock_mono_us() + (int64_t)LIMIT_COMMIT_COMPANY_MS * 1000;
		if (!c->hurry && (hurry || (c->head == NULL && !c->attentive)))
			pthread_cond_signal(&c->work);
		c->hurry |= hurry;
		*c->tail = job;
		c->tail = &job->next;
		c->queued++;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

int committer_post(struct committer *c, struct commit_job *job)
{
	return post(c, job, true);
}

int committer_post_unhurried(struct committer *c, struct commit_job *job)
{
	return post(c, job, false);
}

static int waiter_run(struct db *db, void *arg)
{
	struct waiter *w = arg;
	return w->run(db, w->arg);
}

static void waiter_done(void *arg, int err)
{
	struct waiter *w = arg;

	if (w->done != NULL)
		w->done(w->arg, err);
	w->err = err;
	sem_post(&w->ready); /* last: the waiter lies on a stack that is left now */
}

int committer_run_then(
	struct committer *c, int (*run)(struct db *db, void *arg), void (*done)(void *arg, int err), void *arg)
{
	struct waiter w = {.run = run, .done = done, .arg = arg};

	assert(!pthread_equal(pthread_self(), c->thread)); /* it would wait for itself */
	w.job = (struct commit_job){.run = waiter_run, .done = waiter_done, .arg = &w};
	if (sem_init(&w.ready, 0, 0) != 0)
		return ERR_SYSTEM;
	int err = committer_post(c, &w.job);
	if (err == 0) {
		while (sem_wait(&w.ready) != 0) {
		}
		err = w.err;
	}
	sem_destroy(&w.ready);
	return err;
}

int committer_run(struct committer *c, int (*run)(struct db *db, void *arg), void *arg)
{
	return committer_run_then(c, run, NULL, arg);
}

bool committer_healthy(struct committer *c)
{
	return is_healthy(c);
}
