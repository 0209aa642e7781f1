#include "background/delivery/bucket.h"

#include <criterion/criterion.h>

enum { NOW = 1000000 };

static struct bucket fresh(int64_t per_second, int64_t burst)
{
	const struct rate_config config = {.per_second = per_second, .burst = burst};
	struct bucket bucket;

	bucket_init(&bucket, &config);
	return bucket;
}

static int64_t take_all(struct bucket *bucket, int64_t now_ms)
{
	int64_t taken = 0;

	while (taken < 100000000 && bucket_take(bucket, now_ms))
		taken++;
	return taken;
}

Test(bucket, without_a_rate_there_is_no_limit)
{
	struct bucket bucket = fresh(0, 0);

	for (int i = 0; i < 100000; i++)
		cr_assert(bucket_take(&bucket, NOW));
	cr_assert_eq(bucket_due_ms(&bucket), 0);
	bucket_put_back(&bucket);
}

Test(bucket, it_starts_full_and_holds_no_more_than_the_burst)
{
	struct bucket bucket = fresh(10, 7);

	cr_assert_eq(bucket_due_ms(&bucket), 0);
	cr_assert_eq(take_all(&bucket, NOW), 7);
	cr_assert_eq(take_all(&bucket, NOW + 700), 7);
	cr_assert_eq(take_all(&bucket, NOW + 700 + 1000000), 7);
	cr_assert_eq(take_all(&bucket, INT64_MAX / 2), 7, "an endless rest overflows nothing");
	cr_assert_eq(take_all(&bucket, INT64_MAX), 7);
}

Test(bucket, the_largest_options_do_not_overflow)
{
	struct bucket bucket = fresh(1000000, 1000000);

	cr_assert_eq(take_all(&bucket, NOW), 1000000);
	cr_assert_eq(take_all(&bucket, NOW + 1), 1000);
	cr_assert_eq(take_all(&bucket, INT64_MAX), 1000000);
}

/* Over any time, whatever the rhythm in which it is asked: burst + rate * time, to the very attempt. */
Test(bucket, nothing_drifts)
{
	static const int64_t rates[] = {1, 3, 7, 99, 333, 999, 1000, 1001, 7777};

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct bucket bucket = fresh(rates[r], 100);
		int64_t taken = take_all(&bucket, NOW), now = NOW;
		for (int i = 0; i < 100000; i++) {
			now += 1 + i % 11;
			taken += take_all(&bucket, now);
		}
		cr_assert_eq(taken, 100 + (now - NOW) * rates[r] / 1000, "%ld a second", rates[r]);
	}
}

/* A burst of one does not bound the rate to an attempt a millisecond. */
Test(bucket, a_high_rate_is_reached_with_a_small_burst)
{
	struct bucket bucket = fresh(5000, 1);
	int64_t taken = 0;

	cr_assert_eq(take_all(&bucket, NOW), 5);
	for (int i = 1; i <= 1000; i++)
		taken += take_all(&bucket, NOW + i);
	cr_assert_eq(taken, 5000);
}

/* A worker that sleeps until then finds an attempt, and one that wakes a millisecond before does not. */
Test(bucket, due_is_exact)
{
	static const int64_t rates[] = {1, 3, 7, 99, 333, 999, 1000, 1001, 7777};

	for (size_t r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct bucket bucket = fresh(rates[r], 1);
		int64_t now = NOW;
		take_all(&bucket, now);
		for (int i = 0; i < 1000; i++) {
			int64_t due = bucket_due_ms(&bucket);
			cr_assert_gt(due, now);
			cr_assert_not(bucket_take(&bucket, due - 1));
			cr_assert_eq(bucket_due_ms(&bucket), due, "asking changes nothing");
			now = due;
			cr_assert_gt(take_all(&bucket, now), 0);
		}
	}
}

Test(bucket, what_did_not_begin_is_put_back)
{
	struct bucket bucket = fresh(10, 2);

	cr_assert(bucket_take(&bucket, NOW));
	bucket_put_back(&bucket);
	bucket_put_back(&bucket); /* never more than full */
	cr_assert_eq(take_all(&bucket, NOW), 2);
	bucket_put_back(&bucket);
	cr_assert_eq(bucket_due_ms(&bucket), 0);
	cr_assert_eq(take_all(&bucket, NOW), 1);
}

Test(bucket, a_time_before_the_last_changes_nothing)
{
	struct bucket bucket = fresh(10, 1);

	take_all(&bucket, NOW);
	cr_assert_not(bucket_take(&bucket, NOW - 5000));
	cr_assert_eq(bucket_due_ms(&bucket), NOW + 100);
}
