/* The gate for suspects: what it lets through, and that nothing is ever beside a suspect. */
#include "background/delivery/quarantine.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 20000, THREADS = 4 };

static struct quarantine gate;
static const char one, other;

static void setup(void)
{
	quarantine_init(&gate);
}

TestSuite(quarantine, .init = setup, .timeout = 30);

Test(quarantine, politely_only_when_nothing_is_under_way)
{
	cr_assert(quarantine_enter(&gate));
	cr_assert_not(quarantine_ask(&gate, &one, false, 0));
	cr_assert_not(quarantine_shut(&gate));
	cr_assert(quarantine_enter(&gate), "a polite question holds nobody up");
	quarantine_leave(&gate);
	quarantine_leave(&gate);
	cr_assert(quarantine_ask(&gate, &one, false, 0));
	cr_assert(quarantine_shut(&gate));
	cr_assert_not(quarantine_enter(&gate));
	quarantine_open(&gate, &one, 0);
	cr_assert(quarantine_enter(&gate));
}

Test(quarantine, urgently_it_waits_for_what_is_under_way_only)
{
	cr_assert(quarantine_enter(&gate));
	cr_assert(quarantine_enter(&gate));
	cr_assert_not(quarantine_ask(&gate, &one, true, 0));
	cr_assert_not(quarantine_enter(&gate));
	quarantine_leave(&gate);
	cr_assert_not(quarantine_ask(&gate, &one, true, 0));
	quarantine_leave(&gate);
	cr_assert(quarantine_ask(&gate, &one, true, 0));
	cr_assert_not(quarantine_enter(&gate));
}

Test(quarantine, one_at_a_time)
{
	cr_assert(quarantine_ask(&gate, &one, true, 0));
	cr_assert_not(quarantine_ask(&gate, &other, true, 0));
	quarantine_open(&gate, &other, 0); /* not its own */
	cr_assert(quarantine_shut(&gate));
	quarantine_open(&gate, &one, 0);
	cr_assert_not(quarantine_shut(&gate));
}

/* Given up before it was granted: the gate opens all the same. */
Test(quarantine, a_question_may_be_given_up)
{
	cr_assert(quarantine_enter(&gate));
	cr_assert_not(quarantine_ask(&gate, &one, true, 0));
	quarantine_open(&gate, &one, 0);
	cr_assert(quarantine_enter(&gate));
}

Test(quarantine, others_get_half_of_the_time)
{
	cr_assert(quarantine_ask(&gate, &one, false, 0));
	quarantine_open(&gate, &one, 1000);
	cr_assert_not(quarantine_ask(&gate, &other, true, 1000 + QUARANTINE_REST_US - 1));
	cr_assert(quarantine_ask(&gate, &other, true, 1000 + QUARANTINE_REST_US));
	quarantine_open(&gate, &other, 1000 + 3 * QUARANTINE_REST_US); /* it took two rests */
	cr_assert_not(quarantine_ask(&gate, &one, false, 1000 + 5 * QUARANTINE_REST_US - 1));
	cr_assert(quarantine_ask(&gate, &one, false, 1000 + 5 * QUARANTINE_REST_US));
}

static atomic_int under_way, together, alone_count;

static void *attempt(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (!quarantine_enter(&gate))
			continue;
		atomic_fetch_add(&under_way, 1);
		atomic_fetch_sub(&under_way, 1);
		quarantine_leave(&gate);
	}
	return NULL;
}

static void *suspect(void *arg)
{
	int64_t now_us = 0;
	bool granted = false;

	/* on a busy machine all rounds may pass while an attempt is not let run on */
	for (int i = 0; i < ROUNDS || !granted; i++) {
		now_us += QUARANTINE_REST_US;
		if (!quarantine_ask(&gate, arg, i % 2 == 0, now_us)) {
			if (i >= ROUNDS)
				sched_yield();
			continue;
		}
		granted = true;
		atomic_fetch_add(&together, atomic_fetch_add(&under_way, 1));
		atomic_fetch_add(&alone_count, 1);
		atomic_fetch_sub(&under_way, 1);
		quarantine_open(&gate, arg, now_us);
	}
	quarantine_open(&gate, arg, now_us);
	return NULL;
}

Test(quarantine, nothing_is_ever_beside_a_suspect)
{
	pthread_t threads[THREADS], suspects[2];
	char names[2];

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, attempt, NULL), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&suspects[i], NULL, suspect, &names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(suspects[i], NULL);
	cr_assert_eq(atomic_load(&together), 0);
	cr_assert_gt(atomic_load(&alone_count), 0);
	cr_assert_eq(atomic_load(&gate.state), 0);
}
