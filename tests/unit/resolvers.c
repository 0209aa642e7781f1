/* The bound on look-ups that were given up. */
#include "background/delivery/resolvers.h"

#include <criterion/criterion.h>

static struct resolvers resolvers;

static void fill(size_t lane, int64_t from_ms)
{
	for (int i = 0; i < LIMIT_RESOLVERS; i++) {
		cr_assert(resolvers_admit(&resolvers, lane, from_ms + i));
		resolvers_leave(&resolvers, lane, from_ms + i);
	}
}

Test(resolvers, a_lane_that_took_all_places_waits_for_one)
{
	fill(3, 1000);
	cr_assert_not(resolvers_admit(&resolvers, 3, 1000 + LIMIT_RESOLVERS));
	cr_assert_not(resolvers_admit(&resolvers, 3, 999 + LIMIT_RESOLVER_MS));
	cr_assert(resolvers_admit(&resolvers, 3, 1000 + LIMIT_RESOLVER_MS));
	resolvers_leave(&resolvers, 3, 1000 + LIMIT_RESOLVER_MS);
	cr_assert_not(resolvers_admit(&resolvers, 3, 1000 + LIMIT_RESOLVER_MS), "only one had ended");
}

Test(resolvers, others_go_on)
{
	fill(3, 1000);
	cr_assert(resolvers_admit(&resolvers, 4, 1500));
	resolvers_leave(&resolvers, 4, 1500); /* was on its way: it takes the place of an older one */
	cr_assert_eq(resolvers.count, LIMIT_RESOLVERS);
	cr_assert_not(resolvers_admit(&resolvers, 4, 1500));
	cr_assert_not(resolvers_admit(&resolvers, 3, 1500));
}
