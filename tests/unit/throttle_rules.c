/*
 * What is remembered of a name or an address: the rules, for every state and a clock of the test's own, and the table.
 */
#include "server/auth/throttle_rules.h"

#include <criterion/criterion.h>

#include "server/auth/throttle_table.h"

enum { NOW = 1000000, FREE = 3, FIRST = 1000, CAP = 8000, FORGET = 60000 };

TestSuite(throttle_rules, .timeout = 30);

static struct throttle_rule ladder(void)
{
	return throttle_ladder(FREE, FIRST, CAP, FORGET);
}

/* The verdict after so many failures, the last one `since_ms` ago, with so many in flight. */
static enum throttle_verdict ladder_says(int64_t failures, int64_t since_ms, int64_t in_flight, int64_t *ret_retry_ms)
{
	const struct throttle_rule rule = ladder();
	const struct throttle_state state = {.last_ms = NOW - since_ms, .used = failures, .in_flight = in_flight};

	*ret_retry_ms = -1;
	return throttle_decide(&rule, &state, NOW, ret_retry_ms);
}

Test(throttle_rules, below_the_free_failures_attempts_are_admitted_up_to_them_and_further_ones_wait)
{
	int64_t retry_ms;

	for (int64_t failures = 0; failures < FREE; failures++) {
		for (int64_t in_flight = 0; in_flight < 2 * FREE; in_flight++) {
			enum throttle_verdict wanted = failures + in_flight < FREE ? VERDICT_ADMIT : VERDICT_WAIT;
			cr_expect_eq(ladder_says(failures, 0, in_flight, &retry_ms), wanted,
				"%d failures, %d in flight", (int)failures, (int)in_flight);
			cr_expect_eq(retry_ms, -1);
		}
	}
}

Test(throttle_rules, delays_begin_with_the_last_free_failure_and_double_up_to_the_cap)
{
	static const int64_t delays[] = {FIRST, 2 * FIRST, 4 * FIRST, CAP, CAP, CAP};
	int64_t retry_ms;

	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		int64_t failures = FREE + (int64_t)i;
		for (int64_t in_flight = 0; in_flight < 2; in_flight++) {
			cr_expect_eq(ladder_says(failures, 0, in_flight, &retry_ms), VERDICT_REFUSE);
			cr_expect_eq(retry_ms, delays[i], "%zu", i);
			cr_expect_eq(ladder_says(failures, delays[i] - 1, in_flight, &retry_ms), VERDICT_REFUSE);
			cr_expect_eq(retry_ms, 1);
		}
		/* over: one at a time */
		cr_expect_eq(ladder_says(failures, delays[i], 0, &retry_ms), VERDICT_ADMIT, "%zu", i);
		cr_expect_eq(ladder_says(failures, delays[i], 1, &retry_ms), VERDICT_WAIT, "%zu", i);
	}
	cr_expect_eq(ladder_says(INT64_MAX / 2, 0, 0, &retry_ms), VERDICT_REFUSE);
	cr_expect_eq(retry_ms, CAP);
}

Test(throttle_rules, an_accounts_failures_are_forgotten_after_a_time_without_one)
{
	const struct throttle_rule rule = ladder();
	struct throttle_state state = {.used = 0};
	int64_t retry_ms;

	cr_expect_eq(ladder_says(FREE + 9, FORGET - 1, 1, &retry_ms), VERDICT_WAIT);
	cr_expect_eq(ladder_says(FREE + 9, FORGET, FREE - 1, &retry_ms), VERDICT_ADMIT);
	for (int64_t i = 0; i < FREE; i++)
		throttle_count(&rule, &state, NOW + i);
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + FREE - 1 + FORGET - 1), FREE);
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + FREE - 1 + FORGET), 0);
	throttle_count(&rule, &state, NOW + 2 * FORGET);
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + 2 * FORGET), 1);
}

Test(throttle_rules, forgetting_cuts_no_delay_short)
{
	const struct throttle_rule rule = throttle_ladder(1, 5000, 5000, 1000);
	const struct throttle_state state = {.last_ms = NOW, .used = 1};
	int64_t retry_ms = -1;

	cr_expect_eq(throttle_decide(&rule, &state, NOW + 4999, &retry_ms), VERDICT_REFUSE);
	cr_expect_eq(retry_ms, 1);
	cr_expect_eq(throttle_decide(&rule, &state, NOW + 5000, &retry_ms), VERDICT_ADMIT);
}

Test(throttle_rules, a_meter_allows_a_burst_and_then_its_rate)
{
	const struct throttle_rule rule = throttle_meter(4, 20, 60000); /* one in 3 s */
	struct throttle_state state = {.used = 0};
	int64_t retry_ms = -1;

	for (int i = 0; i < 4; i++) {
		cr_assert_eq(throttle_decide(&rule, &state, NOW, &retry_ms), VERDICT_ADMIT, "%d", i);
		throttle_count(&rule, &state, NOW);
	}
	for (int64_t at = NOW; at < NOW + 30000; at += 3000) {
		cr_assert_eq(throttle_decide(&rule, &state, at, &retry_ms), VERDICT_REFUSE);
		cr_assert_eq(retry_ms, 3000);
		cr_assert_eq(throttle_decide(&rule, &state, at + 2999, &retry_ms), VERDICT_REFUSE);
		cr_assert_eq(retry_ms, 1);
		cr_assert_eq(throttle_decide(&rule, &state, at + 3000, &retry_ms), VERDICT_ADMIT);
		throttle_count(&rule, &state, at + 3000);
	}
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + 30000), 4);
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + 30000 + 4 * 3000 - 1), 1);
	cr_expect_eq(throttle_remembered(&rule, &state, NOW + 30000 + 4 * 3000), 0);
	cr_expect_eq(throttle_remembered(&rule, &state, INT64_MAX / 2), 0);
}

Test(throttle_rules, what_is_in_flight_fills_a_meter_but_refuses_nobody)
{
	const struct throttle_rule rule = throttle_meter(4, 20, 60000);
	int64_t retry_ms = -1;

	for (int64_t failures = 0; failures < 4; failures++) {
		for (int64_t in_flight = 0; in_flight < 8; in_flight++) {
			const struct throttle_state state = {
				.last_ms = NOW, .used = failures * rule.cost, .in_flight = in_flight};
			cr_expect_eq(throttle_decide(&rule, &state, NOW, &retry_ms),
				failures + in_flight < 4 ? VERDICT_ADMIT : VERDICT_WAIT);
		}
	}
	cr_expect_eq(retry_ms, -1);
}

Test(throttle_rules, a_meter_takes_the_largest_options)
{
	const struct throttle_rule rule = throttle_meter(1000000, 1000000, 60000);
	struct throttle_state state = {.used = 0};
	int64_t retry_ms = -1;

	for (int i = 0; i < 1000000; i++)
		throttle_count(&rule, &state, NOW);
	cr_expect_eq(throttle_decide(&rule, &state, NOW, &retry_ms), VERDICT_REFUSE);
	cr_expect_eq(retry_ms, 1);
	cr_expect_eq(throttle_decide(&rule, &state, NOW + 1, &retry_ms), VERDICT_ADMIT);
	cr_expect_eq(throttle_decide(&rule, &state, INT64_MAX / 2, &retry_ms), VERDICT_ADMIT);
}

/* One set: every key shares it. */
static struct throttle_table one_set(void)
{
	struct throttle_table table;

	cr_assert_eq(throttle_table_init(&table, THROTTLE_WAYS), 0);
	return table;
}

static void fail(
	struct throttle_table *table, uint64_t key, const struct throttle_rule *rule, int times, int64_t now_ms)
{
	struct throttle_entry *entry = throttle_table_claim(table, key, rule, now_ms);

	cr_assert_not_null(entry);
	for (int i = 0; i < times; i++)
		throttle_count(rule, &entry->state, now_ms);
}

Test(throttle_rules, in_a_full_set_the_least_grave_goes_and_of_several_the_oldest)
{
	const struct throttle_rule rule = ladder();
	struct throttle_table table = one_set();

	for (uint64_t key = 1; key <= THROTTLE_WAYS; key++)
		fail(&table, key, &rule, key == 4 || key == 6 ? 1 : 5, NOW + (key == 4 ? 2 : 1));
	cr_assert_eq(table.used, THROTTLE_WAYS);
	fail(&table, 100, &rule, 9, NOW + 3);
	cr_expect_null(throttle_table_find(&table, 6), "both have one failure, and this one's is older");
	cr_expect_not_null(throttle_table_find(&table, 4));
	cr_expect_eq(table.used, THROTTLE_WAYS);
	cr_expect_eq(table.evicted, 1);
	throttle_table_release(&table);
}

Test(throttle_rules, a_flood_of_keys_cannot_push_a_hot_one_out)
{
	const struct throttle_rule rule = ladder();
	struct throttle_table table = one_set();

	fail(&table, 1, &rule, 2, NOW);
	for (uint64_t key = 2; key < 5000; key++)
		fail(&table, key, &rule, 1, NOW + (int64_t)key);
	cr_assert_not_null(throttle_table_find(&table, 1));
	cr_expect_eq(throttle_table_find(&table, 1)->state.used, 2);
	cr_expect_eq(table.used, THROTTLE_WAYS);
	cr_expect_eq(table.evicted, 5000 - 1 - THROTTLE_WAYS);
	throttle_table_release(&table);
}

Test(throttle_rules, what_is_forgotten_makes_room_and_is_no_loss)
{
	const struct throttle_rule rule = ladder();
	struct throttle_table table = one_set();

	for (uint64_t key = 1; key <= THROTTLE_WAYS; key++)
		fail(&table, key, &rule, key == 3 ? 2 : 1, key == 3 ? NOW : NOW + 1);
	fail(&table, 100, &rule, 1, NOW + FORGET);
	cr_expect_null(throttle_table_find(&table, 3));
	cr_expect_eq(table.evicted, 0);
	throttle_table_release(&table);
}

Test(throttle_rules, what_is_in_flight_is_never_pushed_out)
{
	const struct throttle_rule rule = ladder();
	struct throttle_table table = one_set();

	for (uint64_t key = 1; key <= THROTTLE_WAYS; key++)
		throttle_table_claim(&table, key, &rule, NOW)->state.in_flight = 1;
	cr_expect_null(throttle_table_claim(&table, 100, &rule, NOW));
	throttle_table_find(&table, 5)->state.in_flight = 0;
	cr_expect_not_null(throttle_table_claim(&table, 100, &rule, NOW));
	cr_expect_null(throttle_table_find(&table, 5));
	throttle_table_release(&table);
}

Test(throttle_rules, an_entry_that_says_nothing_gives_its_place_back)
{
	const struct throttle_rule rule = ladder();
	struct throttle_table table = one_set();
	struct throttle_entry *entry = throttle_table_claim(&table, 1, &rule, NOW);

	entry->state.in_flight = 1;
	throttle_table_tidy(&table, entry, NOW);
	cr_expect_eq(table.used, 1);
	entry->state.in_flight = 0;
	throttle_table_tidy(&table, entry, NOW);
	cr_expect_eq(table.used, 0);
	cr_expect_null(throttle_table_find(&table, 1));
	throttle_table_release(&table);
}
