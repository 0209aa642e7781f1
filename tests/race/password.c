/*
 * Many callers, few hash threads, short deadlines and clients that leave; then a stop while hashes are under way
 * and callers wait. For ThreadSanitizer, and with results that have to be right without it.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config/clock.h"
#include "server/password/password.h"

enum { CALLERS = 12, SLOTS = 2, ROUNDS = 3 };
enum outcome { RIGHT, FULL, LATE, GONE, WRONG, OUTCOMES };

struct shared {
	struct passwords *passwords;
	char hash[PASSWORD_HASH_SIZE];
	atomic_bool enough; /* callers of the first part end */
	atomic_int held;    /* hash threads within hold() */
	atomic_bool open;   /* and let them go */
	atomic_int outcomes[OUTCOMES];
};

static void pause_1ms(void)
{
	struct timespec pause = {.tv_nsec = 1000000};

	nanosleep(&pause, NULL);
}

static bool sometimes(const void *arg)
{
	(void)arg;
	return randombytes_uniform(8) == 0;
}

static enum outcome outcome_of(int err, bool as_expected)
{
	if (err == 0)
		return as_expected ? RIGHT : WRONG;
	if (err == ERR_LIMIT)
		return FULL;
	if (err == ERR_TIMEOUT)
		return LATE;
	return err == ERR_CLOSED ? GONE : WRONG;
}

static void *caller(void *arg)
{
	struct shared *shared = arg;

	while (!atomic_load(&shared->enough)) {
		struct password_check check = {.matches = false};
		bool right = randombytes_uniform(2) != 0;
		int err = password_verify(
			shared->passwords, shared->hash, right ? "right" : "wrong", sometimes, NULL, &check);

		atomic_fetch_add(&shared->outcomes[outcome_of(err, check.matches == right)], 1);
	}
	return NULL;
}

/* Until every way to come out has been seen. */
static int crowd(struct shared *shared, struct metrics *metrics)
{
	static const int wanted[OUTCOMES] = {[RIGHT] = 50, [FULL] = 50, [LATE] = 5, [GONE] = 5};
	struct config config = {
		.password = {.memory_kib = 256, .passes = 1, .slots = SLOTS, .queue = 6, .queue_timeout_ms = 1}};
	pthread_t threads[CALLERS];

	if (password_hash_here(&config, "right", shared->hash) || passwords_start(&config, metrics, &shared->passwords))
		return 1;
	for (int i = 0; i < CALLERS; i++) {
		if (pthread_create(&threads[i], NULL, caller, shared))
			return 1;
	}
	for (int i = 0; i < OUTCOMES; i++) {
		while (atomic_load(&shared->outcomes[i]) < wanted[i])
			pause_1ms();
	}
	atomic_store(&shared->enough, true);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(threads[i], NULL);
	passwords_stop(shared->passwords);
	return atomic_load(&shared->outcomes[WRONG]) != 0;
}

static bool hold(const void *arg)
{
	struct shared *shared = (struct shared *)(uintptr_t)arg;

	atomic_fetch_add(&shared->held, 1);
	while (!atomic_load(&shared->open))
		pause_1ms();
	return false;
}

static void *held_caller(void *arg)
{
	struct shared *shared = arg;
	struct password_check check;

	return password_verify(shared->passwords, NULL, "x", hold, shared, &check) ? shared : NULL;
}

static void *waiting_caller(void *arg)
{
	struct shared *shared = arg;
	struct password_check check;

	return password_verify(shared->passwords, NULL, "x", NULL, NULL, &check) == ERR_CLOSED ? NULL : shared;
}

static void *stop(void *arg)
{
	passwords_stop(arg);
	return NULL;
}

static int stop_in_the_midst(struct shared *shared, struct metrics *metrics)
{
	struct config config = {
		.password = {
			.memory_kib = 256, .passes = 1, .slots = SLOTS, .queue = CALLERS, .queue_timeout_ms = 60000}};
	struct gauge *depth = metrics_gauge(
		metrics, "tokenfirst_password_queue_depth", "Password checks that wait for a hash thread.", 1, NULL);
	pthread_t threads[CALLERS], stopper;
	void *wrong = NULL;
	int failed = 0;

	if (passwords_start(&config, metrics, &shared->passwords))
		return 1;
	for (int i = 0; i < CALLERS; i++) {
		while (i == SLOTS && atomic_load(&shared->held) < SLOTS)
			pause_1ms();
		if (pthread_create(&threads[i], NULL, i < SLOTS ? held_caller : waiting_caller, shared))
			return 1;
	}
	while (gauge_get(depth) < CALLERS - SLOTS)
		pause_1ms();
	if (pthread_create(&stopper, NULL, stop, shared->passwords))
		return 1;
	for (int i = CALLERS - 1; i >= 0; i--) {
		if (i == SLOTS - 1)
			atomic_store(&shared->open, true);
		pthread_join(threads[i], &wrong);
		failed |= wrong != NULL;
	}
	pthread_join(stopper, NULL);
	return failed;
}

int main(void)
{
	struct metrics *metrics;
	int failed = 0;

	if (sodium_init() < 0)
		return 1;
	clock_start();
	metrics = metrics_new();
	for (int i = 0; metrics && i < ROUNDS && !failed; i++) {
		struct shared shared = {.passwords = NULL};

		failed = crowd(&shared, metrics) || stop_in_the_midst(&shared, metrics);
	}
	metrics_free(metrics);
	(void)fprintf(failed ? stderr : stdout, "%s\n", failed ? "a wrong result" : "ok");
	return failed || !metrics;
}
