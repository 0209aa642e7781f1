#include <criterion/criterion.h>
#include <string.h>

#include "background/delivery/token_cache.h"
#include "config/limits.h"

#define NOW 1767323045678

static struct token_cache cache;

static void setup(void)
{
	cache = (struct token_cache){.text = NULL};
}

static void teardown(void)
{
	token_cache_release(&cache);
}

TestSuite(token_cache, .init = setup, .fini = teardown);

static void put(const char *text, int64_t ttl_ms)
{
	char *copy = strdup(text);

	cr_assert_not_null(copy);
	token_cache_put(&cache, copy, ttl_ms, NOW);
}

Test(token_cache, begins_empty)
{
	cr_assert_null(token_cache_get(&cache, NOW));
	cr_assert_null(token_cache_get(&cache, 0));
}

Test(token_cache, is_left_a_minute_before_the_end)
{
	put("t", 3600 * 1000);
	cr_assert_str_eq(token_cache_get(&cache, NOW), "t");
	cr_assert_str_eq(token_cache_get(&cache, NOW + 3600 * 1000 - LIMIT_TOKEN_MARGIN_MS - 1), "t");
	cr_assert_null(token_cache_get(&cache, NOW + 3600 * 1000 - LIMIT_TOKEN_MARGIN_MS));
}

Test(token_cache, is_left_a_tenth_before_the_end_of_a_short_life)
{
	put("t", 10 * 1000);
	cr_assert_str_eq(token_cache_get(&cache, NOW + 9 * 1000 - 1), "t");
	cr_assert_null(token_cache_get(&cache, NOW + 9 * 1000));
	put("t", 1);
	cr_assert_str_eq(token_cache_get(&cache, NOW), "t");
}

Test(token_cache, a_refused_one_is_dropped_and_the_next_is_in_doubt)
{
	put("a", 3600 * 1000);
	cr_assert(token_cache_refused(&cache, 1));
	cr_assert_null(token_cache_get(&cache, NOW));
	put("b", 3600 * 1000);
	cr_assert_str_eq(token_cache_get(&cache, NOW), "b");
	cr_assert_not(token_cache_refused(&cache, 2));
	cr_assert_null(token_cache_get(&cache, NOW));
	/* and so does the one after it */
	put("c", 3600 * 1000);
	cr_assert_not(token_cache_refused(&cache, 3));
}

Test(token_cache, doubt_ends_with_an_answer)
{
	put("a", 3600 * 1000);
	cr_assert(token_cache_refused(&cache, 1));
	put("b", 3600 * 1000);
	token_cache_accepted(&cache, 1); /* that of another */
	cr_assert_not(token_cache_refused(&cache, 2));
	put("c", 3600 * 1000);
	token_cache_accepted(&cache, 3);
	cr_assert(token_cache_refused(&cache, 3));
}

Test(token_cache, several_that_were_refused_with_the_same)
{
	put("a", 3600 * 1000);
	cr_assert(token_cache_refused(&cache, 1));
	cr_assert(token_cache_refused(&cache, 1));
	put("b", 3600 * 1000);
	/* late: sent with the first */
	cr_assert(token_cache_refused(&cache, 1));
	cr_assert_str_eq(token_cache_get(&cache, NOW), "b");
	cr_assert_not(token_cache_refused(&cache, 2));
	cr_assert_not(token_cache_refused(&cache, 2));
}

Test(token_cache, release_wipes_and_forgets)
{
	put("a", 3600 * 1000);
	token_cache_release(&cache);
	cr_assert_null(token_cache_get(&cache, NOW));
	cr_assert_eq(cache.number, 0);
}
