/*
 * A queue between request threads and hash threads.
 *
 * A job lives on the stack of its caller, who waits for it; so neither the job nor the password is copied
 * or allocated. The caller waits in two steps: until its deadline for the job to be begun, and then,
 * without a deadline, for its end, since a hash that has begun can't be taken back and ends soon. A job whose
 * deadline passes first is unlinked by its caller and costs no hash.
 *
 * One mutex guards the queue. The end of a job is told by a semaphore of its own and without the mutex: a caller goes
 * before a hash thread, and where it is woken on the same core it runs at once, so that it would find the
 * mutex held by the very thread that it has pushed aside. A semaphore may be destroyed as soon as its waiter is through
 * (POSIX, sem_destroy), and so the job's life may end there.
 *
 * Whether the client has left is asked when the hash would begin: then is the last moment at which
 * work can be saved, and under overload it is work for somebody who has given up.
 *
 * A password is put into its normal form by the caller's thread, before it is queued: here and in password_hash_here,
 * and nowhere else, so that what is hashed and what is checked is the same text.
 */
#include "server/password/password.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"
#include "config/slice.h"
#include "server/password/arena.h"
#include "server/password/check.h"
#include "server/password/normal.h"

/*
 * A hash thread's turn on a core: longer than what other threads have by default, so that a token, a commit or a scrape
 * that wakes goes first at once, and as long as a hash or two.
 *
 * Measured on 2 cores and Linux 6.18, beside a thread that hashes on the same core: a quarter of all wakings waited
 * 1.8 ms or less with turns as they come, whatever the hash thread's niceness from 0 to 19, and 0.08 ms with turns of
 * 10 ms and more. Beside threads that want the whole core, the share of the hash thread was 39 % at nice 0, 26 % at
 * nice 3 and 8 % at nice 10, with long turns as without. So niceness would only starve logins, and there is none.
 */
enum { HASH_TURN_US = 20000 };

struct job {
	TAILQ_ENTRY(job) link;
	bool queued; /* guarded by the mutex; who finds it so may unlink the job, and then has to end it */
	sem_t ended;
	int64_t queued_us;

	/* what is asked */
	const char *password; /* normal */
	const char *typed;    /* NULL: no other than that */
	const char *stored;   /* to compare with; NULL: nobody's */
	char *ret_hash;	      /* not NULL: make a hash, compare nothing */
	bool (*gone)(const void *arg);
	const void *arg;

	/* what came of it; err is stored last and loaded first, since ThreadSanitizer does not know sem_clockwait */
	struct password_check check;
	atomic_int err;
};

TAILQ_HEAD(job_list, job);

struct slot {
	struct passwords *passwords;
	struct arena *arena;
	pthread_t thread;
	bool started;
	size_t number;
};

struct passwords {
	/* constant once started */
	struct checker *checker;
	int64_t queue_max;
	int64_t queue_timeout_ms;
	enum password_wipe wipe;
	struct slot *slots;
	size_t slot_count;
	struct gauge *depth;
	struct counter *shed_queue, *shed_timeout, *shed_gone;

	pthread_mutex_t mutex; /* guards what follows, and which jobs are queued */
	pthread_cond_t work;   /* a job was queued, or stopping */
	pthread_cond_t left;   /* the last caller has left */
	struct job_list waiting;
	int64_t waiting_count;
	int64_t callers; /* within submit() */
	bool stopping;
};

/* With the mutex held. */
static void unlink_job(struct passwords *p, struct job *job)
{
	TAILQ_REMOVE(&p->waiting, job, link);
	job->queued = false;
	p->waiting_count--;
	gauge_set(p->depth, p->waiting_count);
}

/* The job is its caller's again. */
static void end_job(struct job *job, int err)
{
	atomic_store(&job->err, err);
	sem_post(&job->ended);
}

/* Without the mutex: the job is this thread's while it is begun. */
static int execute(const struct passwords *p, struct job *job)
{
	int64_t begun_us = clock_mono_us();
	int err;

	job->check.wait_us = begun_us - job->queued_us;
	if (job->gone && job->gone(job->arg)) {
		counter_add(p->shed_gone, 1);
		return ERR_CLOSED;
	}
	if (job->ret_hash)
		err = stored_make(checker_rules(p->checker), job->password, job->ret_hash);
	else
		err = checker_check(p->checker, job->stored, job->password, job->typed, &job->check.matches,
			&job->check.needs_rehash);
	job->check.hash_us = clock_mono_us() - begun_us;
	return err;
}

/*
 * The job that has waited longest, begun; NULL: stopping. A thread that has nothing to do wipes before it sleeps, and
 * looks again.
 */
static struct job *next_job(struct slot *slot)
{
	struct passwords *p = slot->passwords;
	struct job *job = NULL;
	bool wiped = false;

	pthread_mutex_lock(&p->mutex);
	while (!p->stopping && TAILQ_EMPTY(&p->waiting)) {
		if (wiped) {
			pthread_cond_wait(&p->work, &p->mutex);
			continue;
		}
		pthread_mutex_unlock(&p->mutex);
		arena_wipe(slot->arena);
		wiped = true;
		pthread_mutex_lock(&p->mutex);
	}
	if (!p->stopping) {
		job = TAILQ_FIRST(&p->waiting);
		unlink_job(p, job);
	}
	pthread_mutex_unlock(&p->mutex);
	return job;
}

static void *hash_thread(void *arg)
{
	struct slot *slot = arg;
	struct passwords *p = slot->passwords;
	struct job *job;
	char name[16];

	(void)snprintf(name, sizeof(name), "hash-%zu", slot->number % 1000);
	pthread_setname_np(pthread_self(), name);
	/* where it is refused (some sandboxes), others wait for a core a little longer */
	(void)!slice_ask(HASH_TURN_US, 0);
	arena_activate(slot->arena);
	while ((job = next_job(slot))) {
		end_job(job, execute(p, job));
		if (p->wipe == WIPE_AFTER_EACH)
			arena_wipe(slot->arena); /* its caller has its answer */
	}
	arena_activate(NULL);
	return NULL;
}

/* Whether the job had not been begun, and is its caller's again. */
static bool take_back(struct passwords *p, struct job *job)
{
	bool queued;

	pthread_mutex_lock(&p->mutex);
	queued = job->queued;
	if (queued)
		unlink_job(p, job);
	pthread_mutex_unlock(&p->mutex);
	return queued;
}

static int await(struct passwords *p, struct job *job)
{
	struct timespec deadline = clock_deadline(job->queued_us + p->queue_timeout_ms * 1000);
	int failed;

	do
		failed = sem_clockwait(&job->ended, CLOCK_MONOTONIC, &deadline);
	while (failed && errno == EINTR);
	if (failed && take_back(p, job)) {
		counter_add(p->shed_timeout, 1);
		return ERR_TIMEOUT;
	}
	while (failed)
		failed = sem_wait(&job->ended);
	return atomic_load(&job->err);
}

/* Queues a job, waits for it, and returns its result. */
static int submit(struct passwords *p, struct job *job)
{
	int err = 0;

	sem_init(&job->ended, 0, 0);
	job->queued_us = clock_mono_us();
	pthread_mutex_lock(&p->mutex);
	p->callers++;
	if (p->stopping) {
		err = ERR_CLOSED;
	} else if (p->waiting_count >= p->queue_max) {
		counter_add(p->shed_queue, 1);
		err = ERR_LIMIT;
	} else {
		TAILQ_INSERT_TAIL(&p->waiting, job, link);
		job->queued = true;
		p->waiting_count++;
		gauge_set(p->depth, p->waiting_count);
	}
	pthread_mutex_unlock(&p->mutex);
	if (!err) {
		pthread_cond_signal(&p->work);
		err = await(p, job);
	}
	pthread_mutex_lock(&p->mutex);
	if (--p->callers == 0)
		pthread_cond_signal(&p->left);
	pthread_mutex_unlock(&p->mutex);
	sem_destroy(&job->ended);
	return err;
}

int password_verify(struct passwords *passwords, const char *stored, const char *password,
	bool (*gone)(const void *arg), const void *arg, struct password_check *ret_check)
{
	struct job job = {.stored = stored, .gone = gone, .arg = arg};
	struct normal normal;
	int err = normal_make(password, NORMAL_CASE_KEPT, &normal);

	if (err)
		return err;
	job.password = normal.text;
	job.typed = strcmp(normal.text, password) != 0 ? password : NULL;
	err = submit(passwords, &job);
	if (!err)
		*ret_check = job.check;
	normal_release(&normal);
	return err;
}

void password_stand_in(const struct passwords *passwords, const unsigned char key[32], const char *name,
	char ret_hash[PASSWORD_HASH_SIZE])
{
	unsigned char seed[ARGON_SEED];

	(void)crypto_generichash(seed, sizeof(seed), (const unsigned char *)name, strlen(name), key, 32);
	argon_nobody(&checker_rules(passwords->checker)->cost, seed, ret_hash);
	sodium_memzero(seed, sizeof(seed));
}

int password_hash(struct passwords *passwords, const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
	struct job job = {.ret_hash = ret_hash};
	struct normal normal;
	int err = normal_make(password, NORMAL_CASE_KEPT, &normal);

	if (err)
		return err;
	job.password = normal.text;
	err = submit(passwords, &job);
	normal_release(&normal);
	return err;
}

int password_hash_here(const struct config *config, const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
	struct stored_rules rules;
	struct normal normal;
	int err = normal_make(password, NORMAL_CASE_KEPT, &normal);

	if (err)
		return err;
	stored_rules_make(config, &rules);
	err = stored_make(&rules, normal.text, ret_hash);
	stored_rules_release(&rules);
	normal_release(&normal);
	return err;
}

static size_t cores(void)
{
	cpu_set_t set;

	/* those that this process may use, which in a container are fewer than the machine has */
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (size_t)CPU_COUNT(&set);
	return 1;
}

static void register_metrics(struct passwords *p, struct metrics *metrics)
{
	static const char name[] = "tokenfirst_shed_total";
	static const char help[] = "Requests refused or abandoned because a limit was reached.";

	p->depth = metrics_gauge(
		metrics, "tokenfirst_password_queue_depth", "Password checks that wait for a hash thread.", 1, NULL);
	p->shed_queue = metrics_counter(metrics, name, help, "reason=\"password_queue\"");
	p->shed_timeout = metrics_counter(metrics, name, help, "reason=\"password_timeout\"");
	p->shed_gone = metrics_counter(metrics, name, help, "reason=\"client_gone\"");
}

/* What hashes leave is for nobody, a swap device included. To run all the same is better than not to. */
static void lock_arenas(struct passwords *p, size_t memory_bytes)
{
	for (size_t i = 0; i < p->slot_count; i++) {
		char text[ERR_SYSTEM_TEXT_SIZE];

		if (!arena_lock(p->slots[i].arena))
			continue;
		log_write(LOG_INFO,
			"the memory of hash threads can't be locked, and may be swapped out; "
			"RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK of systemd) has to allow it",
			LOG_STR("reason", err_system_text(errno, text)),
			LOG_INT("bytes", p->slot_count * memory_bytes));
		return;
	}
}

static int start_slot(struct passwords *p, size_t index, size_t memory_bytes)
{
	struct slot *slot = &p->slots[index];
	int err;

	slot->passwords = p;
	slot->number = index;
	err = arena_new(memory_bytes, &slot->arena);
	if (err)
		return err;
	err = pthread_create(&slot->thread, NULL, hash_thread, slot);
	if (err) {
		errno = err;
		return ERR_SYSTEM;
	}
	slot->started = true;
	return 0;
}

int passwords_start(const struct config *config, struct metrics *metrics, struct passwords **ret_passwords)
{
	struct passwords *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return ERR_MEMORY;
	TAILQ_INIT(&p->waiting);
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->left, NULL);
	p->queue_max = config->password.queue;
	p->queue_timeout_ms = config->password.queue_timeout_ms;
	p->wipe = config->password.wipe;
	register_metrics(p, metrics);
	p->slot_count = config->password.slots > 0 ? (size_t)config->password.slots : cores();
	p->slots = calloc(p->slot_count, sizeof(*p->slots));
	err = p->slots ? checker_new(config, p->slot_count, metrics, &p->checker) : ERR_MEMORY;
	for (size_t i = 0; !err && i < p->slot_count; i++)
		err = start_slot(p, i, argon_cost_of(config).memory_bytes);
	if (!err)
		lock_arenas(p, argon_cost_of(config).memory_bytes);
	if (err)
		passwords_stop(p);
	else
		*ret_passwords = p;
	return err;
}

void passwords_stop(struct passwords *passwords)
{
	struct passwords *p = passwords;
	struct job *job;

	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	p->stopping = true;
	while ((job = TAILQ_FIRST(&p->waiting))) {
		unlink_job(p, job);
		end_job(job, ERR_CLOSED);
	}
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->mutex);
	for (size_t i = 0; p->slots && i < p->slot_count; i++) {
		if (p->slots[i].started)
			pthread_join(p->slots[i].thread, NULL);
		arena_free(p->slots[i].arena);
	}
	pthread_mutex_lock(&p->mutex);
	while (p->callers > 0)
		pthread_cond_wait(&p->left, &p->mutex);
	pthread_mutex_unlock(&p->mutex);
	pthread_cond_destroy(&p->left);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mutex);
	checker_free(p->checker);
	free(p->slots);
	free(p);
}
