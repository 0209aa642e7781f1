/* What a check is topped up to: it begins right, and no single measurement takes it away. */
#include "server/password/cost_mean.h"

#include <criterion/criterion.h>

enum { THREADS = 2, COST_US = 16000, MANY = 100 };

static struct cost_mean mean;

static void observe(int64_t took_us, int times)
{
	for (int i = 0; i < times; i++)
		cost_mean_observe(&mean, took_us);
}

static void setup(void)
{
	cost_mean_init(&mean, THREADS);
}

TestSuite(cost_mean, .init = setup);

Test(cost_mean, is_the_first_measurement_at_first)
{
	cr_expect_eq(cost_mean_us(&mean), 0);
	observe(COST_US, 1);
	cr_expect_eq(cost_mean_us(&mean), COST_US);
}

Test(cost_mean, a_slow_first_hash_of_each_thread_is_forgotten_at_once)
{
	observe(2 * COST_US, THREADS);
	observe(COST_US, 1);
	cr_expect_eq(cost_mean_us(&mean), COST_US);
}

Test(cost_mean, later_a_lone_low_measurement_is_one_of_many)
{
	observe(COST_US, MANY);
	observe(COST_US / 2, 1);
	cr_expect_eq(cost_mean_us(&mean), COST_US - COST_US / 32);
	observe(2 * COST_US, 1);
	cr_expect_lt(cost_mean_us(&mean), COST_US + COST_US / 16);
}

Test(cost_mean, follows_what_has_changed_for_good)
{
	observe(COST_US, MANY);
	observe(COST_US / 2, MANY);
	cr_expect_lt(cost_mean_us(&mean), COST_US / 2 + COST_US / 100);
	observe(COST_US, MANY);
	cr_expect_gt(cost_mean_us(&mean), COST_US - COST_US / 100);
}
