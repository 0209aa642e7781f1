/*
 * A thread that has once looked something up holds memory for as long as it lives: its reader's schema and pages, its
 * stack. So one that has not is called only when all that have are busy. Among those that have, it is the turn of the
 * one that has slept longest: the latest wakes sooner, takes up a burst one by one, and costs more context switches for
 * no less memory.
 */
#include "server/http/crew.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "config/clock.h"
#include "config/limits.h"
#include "server/http/exchange_internal.h"

struct crew_thread {
	pthread_t id;
	struct crew *crew;
	struct db *db;
	pthread_cond_t call;
	bool called;			 /* guarded by the crew's lock, as are the next two */
	bool worked;			 /* at least once */
	STAILQ_ENTRY(crew_thread) sleep; /* in `warm` or `fresh` */
};

struct crew {
	struct edge *edge;
	enum crew_kind kind;
	int64_t queue_max, deadline_us;

	pthread_mutex_t lock; /* guards queue to stopping */
	struct exchange_queue queue, resumed;
	int64_t waiting;				/* in `queue` */
	int64_t parked;					/* and not resumed yet */
	STAILQ_HEAD(sleepers, crew_thread) warm, fresh; /* threads that sleep; who is called is taken out */
	bool waking; /* one of them was called and is on its way: it calls the next if there is more to do */
	bool stopping;

	size_t thread_count; /* of those that were started */
	struct crew_thread threads[];
};

static bool has_work(const struct crew *crew)
{
	return !STAILQ_EMPTY(&crew->resumed) || !STAILQ_EMPTY(&crew->queue);
}

/* Under the lock. NULL: nobody sleeps. */
static struct crew_thread *take_sleeper(struct crew *crew)
{
	struct sleepers *sleepers = STAILQ_EMPTY(&crew->warm) ? &crew->fresh : &crew->warm;
	struct crew_thread *thread = STAILQ_FIRST(sleepers);

	if (!thread)
		return NULL;
	STAILQ_REMOVE_HEAD(sleepers, sleep);
	thread->called = true;
	return thread;
}

/* Under the lock; the caller signals the thread that is to wake, after it. NULL: none is. */
static struct crew_thread *call_one(struct crew *crew)
{
	struct crew_thread *thread = crew->waking || !has_work(crew) ? NULL : take_sleeper(crew);

	crew->waking |= thread != NULL;
	return thread;
}

/* Under the lock. */
static void call_all(struct crew *crew)
{
	struct crew_thread *thread;

	while ((thread = take_sleeper(crew)))
		pthread_cond_signal(&thread->call);
}

/* Under the lock. */
static void await_call(struct crew_thread *self)
{
	struct crew *crew = self->crew;
	struct sleepers *sleepers = self->worked ? &crew->warm : &crew->fresh;

	self->called = false;
	STAILQ_INSERT_TAIL(sleepers, self, sleep);
	while (!self->called)
		pthread_cond_wait(&self->call, &crew->lock);
	crew->waking = false;
}

/* Under the lock: what was begun goes first. NULL: there is none. */
static struct exchange *take_first(struct crew *crew)
{
	struct exchange *x = STAILQ_FIRST(&crew->resumed);

	if (x) {
		STAILQ_REMOVE_HEAD(&crew->resumed, link);
		return x;
	}
	x = STAILQ_FIRST(&crew->queue);
	if (x) {
		STAILQ_REMOVE_HEAD(&crew->queue, link);
		crew->waiting--;
	}
	return x;
}

/* The next exchange, NULL: the crew has ended. `ret_stopping` says whether it may still be begun. */
static struct exchange *take(struct crew_thread *self, bool *ret_stopping)
{
	struct crew *crew = self->crew;

	pthread_mutex_lock(&crew->lock);
	while (!has_work(crew) && !(crew->stopping && crew->parked == 0))
		await_call(self);
	struct exchange *x = take_first(crew);
	self->worked |= x != NULL;
	*ret_stopping = crew->stopping;
	struct crew_thread *next = call_one(crew);
	pthread_mutex_unlock(&crew->lock);
	if (next)
		pthread_cond_signal(&next->call);
	return x;
}

static void serve(struct crew *crew, struct exchange *x, struct request_thread *thread, bool stopping)
{
	if (x->then) {
		exchange_handle(x, thread);
		return;
	}
	int64_t waited_us = clock_mono_us() - x->queued_us;

	histogram_observe(crew->edge->crew_wait[crew->kind], waited_us);
	if (exchange_gone(x)) {
		edge_shed(crew->edge, SHED_CLIENT_GONE);
		exchange_abandon(x);
	} else if (stopping) {
		exchange_problem_retry(x, 503, "stopping", "The server is shutting down.", LIMIT_HTTP_RETRY_MS);
	} else if (waited_us > crew->deadline_us) {
		edge_shed(crew->edge, SHED_CREW_DEADLINE);
		exchange_problem_retry(
			x, 503, "overloaded", "The request has waited for too long.", LIMIT_HTTP_RETRY_MS);
	} else {
		exchange_handle(x, thread);
	}
}

static void *run(void *arg)
{
	struct crew_thread *self = arg;
	struct request_thread thread = {.app = self->crew->edge->app, .db = self->db};
	struct exchange *x;
	char name[16];
	bool stopping;

	(void)snprintf(
		name, sizeof(name), "%s-%d", crew_text(self->crew->kind), (int)(self - self->crew->threads) % 10000);
	(void)pthread_setname_np(pthread_self(), name);
	while ((x = take(self, &stopping)))
		serve(self->crew, x, &thread, stopping);
	return NULL;
}

static int start_thread(struct crew *crew, const struct crew_options *options)
{
	struct crew_thread *thread = &crew->threads[crew->thread_count];
	int err = 0;

	thread->crew = crew;
	if (options->open_reader)
		err = options->open_reader(crew->edge->app, &thread->db);
	if (err)
		return err;
	pthread_cond_init(&thread->call, NULL);
	if (pthread_create(&thread->id, NULL, run, thread) != 0) {
		pthread_cond_destroy(&thread->call);
		if (thread->db)
			db_close(thread->db);
		return ERR_SYSTEM;
	}
	crew->thread_count++;
	return 0;
}

int crew_start(const struct crew_options *options, struct crew **ret_crew)
{
	size_t threads = (size_t)options->config->threads;
	struct crew *crew = calloc(1, sizeof(*crew) + threads * sizeof(crew->threads[0]));

	if (!crew)
		return ERR_MEMORY;
	crew->edge = options->edge;
	crew->kind = options->kind;
	crew->queue_max = options->config->queue;
	crew->deadline_us = options->config->deadline_ms * 1000;
	STAILQ_INIT(&crew->queue);
	STAILQ_INIT(&crew->resumed);
	STAILQ_INIT(&crew->warm);
	STAILQ_INIT(&crew->fresh);
	pthread_mutex_init(&crew->lock, NULL);
	for (size_t i = 0; i < threads; i++) {
		int err = start_thread(crew, options);
		if (err) {
			crew_stop(crew);
			crew_free(crew);
			return err;
		}
	}
	*ret_crew = crew;
	return 0;
}

/*
 * Under the lock. What is parked holds no thread, so as many as there are threads take nobody's place: else a few
 * refreshes would fill a short queue while all threads sleep.
 */
static bool is_full(const struct crew *crew)
{
	const int64_t beyond = crew->parked - (int64_t)crew->thread_count;

	return crew->waiting + (beyond > 0 ? beyond : 0) >= crew->queue_max;
}

int crew_offer(struct crew *crew, struct exchange *x)
{
	int err = 0;

	pthread_mutex_lock(&crew->lock);
	if (crew->stopping) {
		err = ERR_CLOSED;
	} else if (is_full(crew)) {
		err = ERR_LIMIT;
	} else {
		STAILQ_INSERT_TAIL(&crew->queue, x, link);
		crew->waiting++;
	}
	struct crew_thread *woken = call_one(crew);
	pthread_mutex_unlock(&crew->lock);
	if (woken)
		pthread_cond_signal(&woken->call);
	return err;
}

void crew_park(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->parked++;
	pthread_mutex_unlock(&crew->lock);
}

void crew_resume(struct crew *crew, struct exchange *x)
{
	pthread_mutex_lock(&crew->lock);
	STAILQ_INSERT_TAIL(&crew->resumed, x, link);
	crew->parked--;
	struct crew_thread *woken = call_one(crew);
	/* the crew may be freed as soon as the last one can be taken, so within the lock */
	if (woken)
		pthread_cond_signal(&woken->call);
	if (crew->stopping && crew->parked == 0)
		call_all(crew);
	pthread_mutex_unlock(&crew->lock);
}

void crew_stop(struct crew *crew)
{
	if (!crew)
		return;
	pthread_mutex_lock(&crew->lock);
	crew->stopping = true;
	call_all(crew);
	pthread_mutex_unlock(&crew->lock);
	for (size_t i = 0; i < crew->thread_count; i++) {
		pthread_join(crew->threads[i].id, NULL);
		if (crew->threads[i].db)
			db_close(crew->threads[i].db);
	}
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	for (size_t i = 0; i < crew->thread_count; i++)
		pthread_cond_destroy(&crew->threads[i].call);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}
