#include <criterion/criterion.h>

#include "background/telemetry/histogram.h"

Test(histogram, a_value_equal_to_a_bound_belongs_to_its_bucket)
{
	struct histogram h;
	struct histogram_snapshot snapshot;

	histogram_init(&h, &histogram_seconds);
	histogram_observe(&h, 100);
	histogram_observe(&h, 101);
	histogram_snapshot(&h, &snapshot);
	cr_assert_eq(snapshot.cumulative[0], 1);
	cr_assert_eq(snapshot.cumulative[1], 2);
	cr_assert_float_eq(snapshot.sum, 201e-6, 1e-12);
}

Test(histogram, negative_counts_as_zero)
{
	struct histogram h;
	struct histogram_snapshot snapshot;

	histogram_init(&h, &histogram_seconds);
	histogram_observe(&h, -5000000);
	histogram_snapshot(&h, &snapshot);
	cr_assert_eq(snapshot.cumulative[0], 1);
	cr_assert_float_eq(snapshot.sum, 0, 1e-12);
}

Test(histogram, beyond_the_last_bound_only_infinity_counts)
{
	struct histogram h;
	struct histogram_snapshot snapshot;

	histogram_init(&h, &histogram_counts);
	histogram_observe(&h, 257);
	histogram_observe(&h, 256);
	histogram_snapshot(&h, &snapshot);
	cr_assert_eq(snapshot.cumulative[histogram_counts.count - 1], 1);
	cr_assert_eq(snapshot.cumulative[histogram_counts.count], 2);
}

static void check_layout(const struct histogram_layout *layout)
{
	cr_assert_lt(layout->count, HISTOGRAM_BUCKETS_MAX);
	for (size_t i = 1; i < layout->count; i++)
		cr_assert_lt(layout->bounds[i - 1], layout->bounds[i], "bound %zu", i);
}

Test(histogram, bounds_ascend_and_the_count_is_right)
{
	check_layout(&histogram_seconds);
	check_layout(&histogram_counts);
	cr_assert_eq(histogram_seconds.bounds[0], 100);
	cr_assert_eq(histogram_seconds.bounds[histogram_seconds.count - 1], 60000000);
	cr_assert_eq(histogram_counts.bounds[histogram_counts.count - 1], 256);
}
