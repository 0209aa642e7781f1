#include "background/delivery/retry.h"

#include <criterion/criterion.h>

#include "background/store/outbox.h"

enum { NOW = 1000000, DAY_MS = 86400000 };

static const struct retry_config config = {.max_attempts = 20, .first_ms = 1000, .cap_ms = 60000, .max_age_ms = DAY_MS};

/* A fresh effect whose first attempt just ended. */
static struct retry_input input(uint32_t random)
{
	return (struct retry_input){
		.attempt = 1, .counted = true, .since_ms = NOW, .now_ms = NOW, .retry_after_ms = -1, .random = random};
}

static int64_t delay_after(int attempt, int64_t retry_after_ms, uint32_t random)
{
	struct retry_input in = input(random);

	in.attempt = attempt;
	in.counted = false;
	in.retry_after_ms = retry_after_ms;
	struct retry_decision decision = retry_decide(&config, &in);
	cr_assert(decision.again);
	return decision.due_ms - NOW;
}

Test(retry, the_bound_doubles_up_to_the_cap)
{
	static const int64_t bounds[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};

	for (int i = 0; i < 8; i++)
		cr_assert_eq(retry_bound_ms(&config, i + 1), bounds[i], "attempt %d", i + 1);
	cr_assert_eq(retry_bound_ms(&config, 10000), 60000);
	cr_assert_eq(retry_bound_ms(&config, 0), 1000); /* an attempt that was not counted as the first */
}

Test(retry, a_cap_below_the_first_delay_holds)
{
	const struct retry_config small = {.max_attempts = 3, .first_ms = 1000, .cap_ms = 10, .max_age_ms = DAY_MS};

	cr_assert_eq(retry_bound_ms(&small, 1), 10);
	cr_assert_eq(retry_bound_ms(&small, 5), 10);
}

Test(retry, the_largest_values_of_the_options_do_not_overflow)
{
	const struct retry_config huge = {.max_attempts = 10000,
		.first_ms = DAY_MS,
		.cap_ms = INT64_C(30) * DAY_MS,
		.max_age_ms = INT64_C(365) * DAY_MS};
	struct retry_input in = input(UINT32_MAX);

	in.attempt = 9999;
	struct retry_decision decision = retry_decide(&huge, &in);
	cr_assert(decision.again);
	cr_assert_leq(decision.due_ms, NOW + INT64_C(30) * DAY_MS);
	cr_assert_gt(decision.due_ms, NOW + INT64_C(29) * DAY_MS);
}

/* Both ends belong to the range, and nothing outside it. */
Test(retry, full_jitter_reaches_both_ends)
{
	for (int attempt = 1; attempt < 10; attempt++) {
		cr_assert_eq(delay_after(attempt, -1, 0), 0);
		cr_assert_eq(delay_after(attempt, -1, UINT32_MAX), retry_bound_ms(&config, attempt));
	}
}

Test(retry, full_jitter_is_uniform)
{
	enum { BOUND = 9, DRAWS = 100000 };
	const struct retry_config tiny = {.max_attempts = 20, .first_ms = BOUND, .cap_ms = BOUND, .max_age_ms = DAY_MS};
	int hits[BOUND + 1] = {0};

	for (uint32_t i = 0; i < DRAWS; i++) {
		struct retry_input in = input(i * (UINT32_MAX / DRAWS));
		struct retry_decision decision = retry_decide(&tiny, &in);
		cr_assert(decision.due_ms >= NOW && decision.due_ms <= NOW + BOUND);
		hits[decision.due_ms - NOW]++;
	}
	for (int i = 0; i <= BOUND; i++)
		cr_assert(hits[i] > DRAWS / 10 - 5 && hits[i] < DRAWS / 10 + 5, "delay %d: %d times", i, hits[i]);
}

/* Also above the cap, and whatever the random number. */
Test(retry, retry_after_is_a_floor)
{
	static const int64_t floors[] = {1, 500, 1000, 60000, 3600000};

	for (size_t f = 0; f < sizeof(floors) / sizeof(floors[0]); f++) {
		for (uint32_t i = 0; i < 1000; i++) {
			int64_t delay = delay_after((int)(1 + i % 12), floors[f], i * (UINT32_MAX / 1000));
			cr_assert_geq(delay, floors[f]);
			/* spread behind it, but by no more than the first delay */
			cr_assert_leq(delay, floors[f] + config.first_ms);
		}
		cr_assert_eq(delay_after(3, floors[f], 0), floors[f]);
	}
}

Test(retry, no_retry_after_and_one_of_zero_are_the_same)
{
	cr_assert_eq(delay_after(4, 0, UINT32_MAX), 8000);
	cr_assert_eq(delay_after(4, -1, UINT32_MAX), 8000);
}

Test(retry, the_last_attempt_is_the_last)
{
	struct retry_input in = input(0);

	in.attempt = 19;
	cr_assert(retry_decide(&config, &in).again);
	for (in.attempt = 20; in.attempt < 23; in.attempt++) {
		struct retry_decision decision = retry_decide(&config, &in);
		cr_assert_not(decision.again);
		cr_assert_str_eq(decision.cause, CAUSE_ATTEMPTS);
	}
}

Test(retry, what_is_not_counted_ends_by_age_alone)
{
	struct retry_input in = input(0);

	in.attempt = 1000;
	in.counted = false;
	cr_assert(retry_decide(&config, &in).again);
	in.now_ms = NOW + DAY_MS; /* due exactly at the age limit */
	cr_assert(retry_decide(&config, &in).again);
	in.now_ms++;
	struct retry_decision decision = retry_decide(&config, &in);
	cr_assert_not(decision.again);
	cr_assert_str_eq(decision.cause, CAUSE_AGE);
}

/* What would come due only beyond its age is dead now, and need not be kept until then. */
Test(retry, age_is_measured_when_it_would_be_due)
{
	struct retry_input in = input(0);

	in.now_ms = NOW + DAY_MS - 5000;
	in.retry_after_ms = 5000;
	cr_assert(retry_decide(&config, &in).again);
	in.retry_after_ms = 5001;
	cr_assert_str_eq(retry_decide(&config, &in).cause, CAUSE_AGE);
}

/* Dead now, and told that it was the target's wish that put the next attempt so far off. */
Test(retry, a_retry_after_beyond_the_age_is_named)
{
	struct retry_input in = input(0);

	in.retry_after_ms = DAY_MS + 1;
	struct retry_decision decision = retry_decide(&config, &in);
	cr_assert_not(decision.again);
	cr_assert_str_eq(decision.cause, CAUSE_AGE);
	cr_assert_str_eq(decision.why, "Retry-After points beyond max_age");
	in.retry_after_ms = 5000;
	in.now_ms = NOW + DAY_MS + 1;
	cr_assert_str_eq(retry_decide(&config, &in).why, "the next attempt would be beyond max_age");
	in.retry_after_ms = -1;
	cr_assert_str_eq(retry_decide(&config, &in).why, "the next attempt would be beyond max_age");
	in.attempt = 20;
	cr_assert_str_eq(retry_decide(&config, &in).why, "that was the last of max_attempts");
}

Test(retry, the_longest_retry_after_does_not_overflow)
{
	struct retry_input in = input(UINT32_MAX);
	const struct retry_config old = {
		.max_attempts = 20, .first_ms = 1000, .cap_ms = 60000, .max_age_ms = INT64_C(365) * DAY_MS};

	in.retry_after_ms = INT64_C(7) * DAY_MS;
	cr_assert_eq(retry_decide(&old, &in).due_ms, NOW + INT64_C(7) * DAY_MS + 1000);
}

Test(retry, of_two_reasons_attempts_are_named)
{
	struct retry_input in = input(0);

	in.attempt = 20;
	in.now_ms = NOW + 2 * (int64_t)DAY_MS;
	cr_assert_str_eq(retry_decide(&config, &in).cause, CAUSE_ATTEMPTS);
}
