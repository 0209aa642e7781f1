/*
 * Many threads, few names, few addresses, all outcomes. At no moment are more guesses at one name under way than are
 * allowed, and of wrong ones no more run than that before all are refused; a crowd that is right is served. For
 * ThreadSanitizer, and with results that have to be right without it.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config/clock.h"
#include "server/auth/throttle.h"

enum { THREADS = 16, NAMES = 3, FREE = 4, ROUNDS = 5, EACH = 300 };

struct shared {
	struct throttle *throttle;
	bool wrong; /* every guess, else none */
	atomic_int in_flight[NAMES], failures[NAMES], most[NAMES];
	atomic_int admitted, refused, late, broken;
};

/* The throttle's clock goes on only by what the test waits, which is less than these delays. */
static const struct config config = {
	.password = {.queue_timeout_ms = 60000},
	.throttle = {.enabled = true,
		.account = {.free = FREE, .first_ms = 3600000, .cap_ms = 3600000, .forget_ms = 7200000},
		.address = {.burst = 1000000, .per_minute = 1},
		.mail = {.per_hour = 1}},
};

static void pause_us(long us)
{
	struct timespec pause = {.tv_nsec = us * 1000};

	nanosleep(&pause, NULL);
}

static void raise_to(atomic_int *most, int value)
{
	int seen = atomic_load(most);

	while (value > seen && !atomic_compare_exchange_weak(most, &seen, value))
		continue;
}

static void guess(struct shared *s, int which)
{
	static const char *const names[NAMES] = {"alice", "Bob", "carol"};
	static const char *const clients[] = {"192.0.2.1", "2001:db8::1"};
	struct throttle_ticket ticket = {.held = false};
	int64_t retry_ms = 0;
	int err = throttle_admit(s->throttle, clients[randombytes_uniform(2)], THROTTLE_PASSWORD, names[which], NULL,
		NULL, &ticket, &retry_ms);

	if (err) {
		atomic_fetch_add(err == ERR_LIMIT && retry_ms > 0 ? &s->refused : &s->late, 1);
		return;
	}
	atomic_fetch_add(&s->admitted, 1);
	raise_to(&s->most[which], atomic_fetch_add(&s->in_flight[which], 1) + 1);
	pause_us((long)randombytes_uniform(200));
	if (s->wrong)
		atomic_fetch_add(&s->failures[which], 1);
	atomic_fetch_sub(&s->in_flight[which], 1);
	throttle_end(
		s->throttle, &ticket, s->wrong ? THROTTLE_FAILED : (enum throttle_outcome)(1 + randombytes_uniform(2)));
}

static void *guesser(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < EACH; i++)
		guess(s, (int)randombytes_uniform(NAMES));
	return NULL;
}

static int run(struct metrics *metrics, bool wrong)
{
	struct shared s = {.wrong = wrong};
	pthread_t threads[THREADS];
	int failed = 0;

	if (throttle_new(&config, metrics, &s.throttle))
		return 1;
	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, guesser, &s))
			abort();
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	throttle_free(s.throttle);
	for (int i = 0; i < NAMES; i++)
		failed |= atomic_load(&s.most[i]) > FREE || (wrong && atomic_load(&s.failures[i]) != FREE);
	failed |= atomic_load(&s.admitted) != (wrong ? NAMES * FREE : THREADS * EACH);
	failed |= atomic_load(&s.refused) != (wrong ? THREADS * EACH - NAMES * FREE : 0) || atomic_load(&s.late) > 0;
	if (failed)
		(void)fprintf(stderr, "wrong %d: admitted %d, refused %d, late %d, at once %d %d %d\n", wrong,
			s.admitted, s.refused, s.late, s.most[0], s.most[1], s.most[2]);
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
	for (int i = 0; metrics && i < ROUNDS && !failed; i++)
		failed = run(metrics, false) || run(metrics, true);
	metrics_free(metrics);
	(void)fprintf(failed ? stderr : stdout, "%s\n", failed ? "a wrong result" : "ok");
	return failed || !metrics;
}
