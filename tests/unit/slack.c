/* Memory is given back when there is much of it, and not again and again. */
#include "server/cli/slack.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "config/clock.h"
#include "config/limits.h"

static const int64_t base = 40 << 20, much = LIMIT_SLACK;

static bool due(struct slack *slack, int64_t resident, int64_t unused)
{
	const struct slack now = {.resident = resident, .unused = unused};

	return slack_is_due(slack, &now);
}

Test(slack, is_due_when_much_has_come_and_gone)
{
	struct slack slack = {.resident = base, .unused = much};

	cr_assert_not(due(&slack, base, much), "what was there at the start");
	cr_assert_not(due(&slack, base + much - 1, much));
	cr_assert(due(&slack, base + much, much));
}

Test(slack, is_due_again_when_the_rest_of_a_crowd_leaves)
{
	struct slack slack = {.resident = base + 2 * much, .unused = much};

	cr_assert_not(due(&slack, base + 2 * much, 2 * much - 1));
	cr_assert(due(&slack, base + 2 * much, 2 * much));
}

Test(slack, a_server_that_needs_its_memory_keeps_it)
{
	struct slack slack = {.resident = base};

	cr_assert_not(due(&slack, base + 10 * much, much - 1));
}

Test(slack, growth_counts_from_the_least)
{
	struct slack slack = {.resident = base, .unused = 2 * much};

	cr_assert_not(due(&slack, base - much, 2 * much));
	cr_assert(due(&slack, base, 2 * much));
}

/* No file can be opened while it begins, /proc/self/statm neither. */
Test(slack, a_size_that_is_not_known_is_none)
{
	struct rlimit before, none;
	struct slack slack;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	slack_init(&slack);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_not(due(&slack, base + 10 * much, much), "nothing is known to have grown");
	cr_assert_not(due(&slack, base + 11 * much - 1, much));
	cr_assert(due(&slack, base + 11 * much, much), "now it has");
}

static int64_t resident(void)
{
	struct slack slack;

	slack_init(&slack);
	return slack.resident;
}

/* Blocks of the sizes that a connection takes, with one in use above them, as glibc keeps them. */
Test(slack, what_a_crowd_leaves_is_given_back)
{
	enum { BLOCKS = 4000, SIZE = 16 << 10 };
	static char *blocks[BLOCKS];
	struct slack slack;

	clock_start();
	slack_init(&slack);
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(SIZE);
		cr_assert_not_null(blocks[i]);
		memset(blocks[i], 1, SIZE);
	}
	const int64_t most = resident();
	for (int i = 0; i < BLOCKS - 1; i++)
		free(blocks[i]);
	if ((int64_t)mallinfo2().fordblks < much)
		cr_skip_test("the allocator is not glibc's: a sanitizer's, or valgrind's");
	slack_give_back(&slack);
	const int64_t left = resident();
	free(blocks[BLOCKS - 1]);
	cr_assert_lt(
		left, most - (int64_t)(BLOCKS / 2) * SIZE, "%lld of %lld bytes left", (long long)left, (long long)most);
}
