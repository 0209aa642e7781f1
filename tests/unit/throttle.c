/*
 * Guessing, limited. First the rules, for every state and a clock of the test's own; then the table that remembers; then both together,
 * as flows use them.
 */
#include "server/auth/throttle.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>

#include "config/clock.h"
#include "server/auth/throttle_rules.h"
#include "server/auth/throttle_table.h"
#include "tests/support/harness.h"

enum { NOW = 1000000, FREE = 3, FIRST = 1000, CAP = 8000, FORGET = 60000 };

TestSuite(throttle, .timeout = 30);

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

Test(throttle, below_the_free_failures_attempts_are_admitted_up_to_them_and_further_ones_wait)
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

Test(throttle, delays_begin_with_the_last_free_failure_and_double_up_to_the_cap)
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

Test(throttle, an_accounts_failures_are_forgotten_after_a_time_without_one)
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

Test(throttle, forgetting_cuts_no_delay_short)
{
	const struct throttle_rule rule = throttle_ladder(1, 5000, 5000, 1000);
	const struct throttle_state state = {.last_ms = NOW, .used = 1};
	int64_t retry_ms = -1;

	cr_expect_eq(throttle_decide(&rule, &state, NOW + 4999, &retry_ms), VERDICT_REFUSE);
	cr_expect_eq(retry_ms, 1);
	cr_expect_eq(throttle_decide(&rule, &state, NOW + 5000, &retry_ms), VERDICT_ADMIT);
}

Test(throttle, a_meter_allows_a_burst_and_then_its_rate)
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

Test(throttle, what_is_in_flight_fills_a_meter_but_refuses_nobody)
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

Test(throttle, a_meter_takes_the_largest_options)
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

Test(throttle, in_a_full_set_the_least_grave_goes_and_of_several_the_oldest)
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

Test(throttle, a_flood_of_keys_cannot_push_a_hot_one_out)
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

Test(throttle, what_is_forgotten_makes_room_and_is_no_loss)
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

Test(throttle, what_is_in_flight_is_never_pushed_out)
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

Test(throttle, an_entry_that_says_nothing_gives_its_place_back)
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

static char *exempt[] = {"10.0.0.0/8", "2001:db8:5::/48"};

/* Delays that no test outlasts. */
static struct config usual(void)
{
	return (struct config){
		.password = {.queue_timeout_ms = 200},
		.throttle = {.enabled = true,
			.exempt = exempt,
			.exempt_count = 2,
			.account = {.free = FREE, .first_ms = 600000, .cap_ms = 600000, .forget_ms = 3600000},
			.address = {.burst = 20, .per_minute = 1},
			.mail = {.per_hour = 2}},
	};
}

static struct metrics *metrics;
static struct throttle *throttle;

static void start(const struct config *config)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	metrics = metrics_new();
	cr_assert_eq(throttle_new(config, metrics, &throttle), 0);
}

static void stop(void)
{
	throttle_free(throttle);
	metrics_free(metrics);
}

static int admit(const char *client, enum throttle_kind kind, const char *name, struct throttle_ticket *ret_ticket)
{
	int64_t retry_ms = 0;

	return throttle_admit(throttle, client, kind, name, NULL, NULL, ret_ticket, &retry_ms);
}

static int guess(const char *client, enum throttle_kind kind, const char *name, enum throttle_outcome outcome)
{
	struct throttle_ticket ticket;
	int err = admit(client, kind, name, &ticket);

	if (!err)
		throttle_end(throttle, &ticket, outcome);
	return err;
}

static int wrong(const char *client, const char *name)
{
	return guess(client, THROTTLE_PASSWORD, name, THROTTLE_FAILED);
}

static uint64_t refused(const char *labels)
{
	return metrics_counter(metrics, "tokenfirst_throttled_total",
		"Guesses that were refused without a look at the secret.", labels)
		->value;
}

Test(throttle, a_name_is_one_in_any_case_and_from_any_address)
{
	struct config config = usual();

	start(&config);
	cr_expect_eq(wrong("192.0.2.1", "Alice"), 0);
	cr_expect_eq(wrong("192.0.2.2", "aLICE"), 0);
	cr_expect_eq(wrong("2001:db8::1", "alice"), 0);
	cr_expect_eq(wrong("192.0.2.4", "ALICE"), ERR_LIMIT);
	cr_expect_eq(wrong("192.0.2.4", "alice2"), 0);
	cr_expect_eq(refused("kind=\"password\",by=\"account\""), 1);
	stop();
}

Test(throttle, the_time_to_wait_is_told)
{
	struct config config = usual();
	struct throttle_ticket ticket;
	int64_t retry_ms = 0;

	start(&config);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(wrong("192.0.2.1", "alice"), 0);
	cr_assert_eq(throttle_admit(throttle, "192.0.2.1", THROTTLE_PASSWORD, "alice", NULL, NULL, &ticket, &retry_ms),
		ERR_LIMIT);
	cr_expect(retry_ms > 500000 && retry_ms <= 600000, "%lld", (long long)retry_ms);
	stop();
}

Test(throttle, each_kind_has_an_allowance_of_its_own)
{
	struct config config = usual();

	start(&config);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(wrong("192.0.2.1", "id:7"), 0);
	cr_expect_eq(wrong("192.0.2.1", "id:7"), ERR_LIMIT);
	cr_expect_eq(guess("192.0.2.1", THROTTLE_CODE, "id:7", THROTTLE_FAILED), 0);
	cr_expect_eq(guess("192.0.2.1", THROTTLE_TOKEN, NULL, THROTTLE_FAILED), 0);
	stop();
}

Test(throttle, what_is_right_uses_nothing_up_and_clears_the_account)
{
	struct config config = usual();

	start(&config);
	for (int round = 0; round < 50; round++) {
		if (round < 5) /* failures of the address stay */
			for (int i = 0; i < FREE - 1; i++)
				cr_assert_eq(wrong("192.0.2.1", "alice"), 0);
		cr_assert_eq(guess("192.0.2.1", THROTTLE_PASSWORD, "alice", THROTTLE_PASSED), 0, "%d", round);
	}
	stop();
}

Test(throttle, what_was_not_checked_changes_nothing)
{
	struct config config = usual();

	start(&config);
	for (int i = 0; i < FREE - 1; i++)
		cr_assert_eq(wrong("192.0.2.1", "alice"), 0);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(guess("192.0.2.1", THROTTLE_PASSWORD, "alice", THROTTLE_UNKNOWN), 0);
	cr_expect_eq(wrong("192.0.2.1", "alice"), 0);
	cr_expect_eq(wrong("192.0.2.1", "alice"), ERR_LIMIT);
	stop();
}

static int wrong_token(const char *client)
{
	return guess(client, THROTTLE_TOKEN, NULL, THROTTLE_FAILED);
}

Test(throttle, an_address_is_limited_whatever_it_guesses_at)
{
	struct config config = usual();
	char name[16];

	start(&config);
	for (int i = 0; i < 19; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		cr_assert_eq(wrong("192.0.2.1", name), 0, "%d", i);
	}
	cr_expect_eq(wrong_token("192.0.2.1"), 0);
	cr_expect_eq(wrong_token("192.0.2.1"), ERR_LIMIT);
	cr_expect_eq(wrong("192.0.2.1", "fresh"), ERR_LIMIT);
	cr_expect_eq(wrong("::ffff:192.0.2.1", "fresh"), ERR_LIMIT, "the same address, within IPv6");
	cr_expect_eq(wrong("192.0.2.2", "fresh"), 0);
	cr_expect_eq(refused("kind=\"password\",by=\"address\""), 2);
	cr_expect_eq(refused("kind=\"token\",by=\"address\""), 1);
	stop();
}

Test(throttle, ipv6_counts_by_household)
{
	struct config config = usual();
	char client[48];

	start(&config);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(client, sizeof(client), "2001:db8:1:2:%x::1", i);
		cr_assert_eq(wrong_token(client), 0);
	}
	cr_expect_eq(wrong_token("2001:db8:1:2:ffff::"), ERR_LIMIT);
	cr_expect_eq(wrong_token("2001:db8:1:3::1"), 0);
	stop();
}

Test(throttle, mails_count_each_and_are_never_given_back)
{
	struct config config = usual();

	start(&config);
	cr_expect_eq(guess("192.0.2.1", THROTTLE_MAIL, "a@example.com", THROTTLE_PASSED), 0);
	cr_expect_eq(guess("192.0.2.2", THROTTLE_MAIL, "A@example.com", THROTTLE_UNKNOWN), 0);
	cr_expect_eq(guess("192.0.2.3", THROTTLE_MAIL, "a@example.com", THROTTLE_PASSED), ERR_LIMIT);
	cr_expect_eq(guess("192.0.2.3", THROTTLE_MAIL, "b@example.com", THROTTLE_PASSED), 0);
	cr_expect_eq(refused("kind=\"mail\",by=\"mail\""), 1);
	for (int i = 0; i < 20; i++)
		(void)wrong_token("192.0.2.9");
	cr_expect_eq(guess("192.0.2.9", THROTTLE_MAIL, "c@example.com", THROTTLE_PASSED), ERR_LIMIT);
	cr_expect_eq(refused("kind=\"mail\",by=\"address\""), 1);
	stop();
}

Test(throttle, the_exempt_are_not_limited_and_their_tickets_say_so)
{
	static const char *const clients[] = {"10.1.2.3", "::ffff:10.1.2.3", "2001:db8:5:1::9"};
	struct config config = usual();
	struct throttle_ticket ticket;

	start(&config);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		for (int k = 0; k < 50; k++) {
			cr_assert_eq(admit(clients[i], THROTTLE_PASSWORD, "alice", &ticket), 0);
			cr_assert(ticket.exempt);
			throttle_end(throttle, &ticket, THROTTLE_FAILED);
		}
	}
	cr_assert_eq(admit("192.0.2.1", THROTTLE_PASSWORD, "alice", &ticket), 0);
	cr_expect_not(ticket.exempt);
	throttle_end(throttle, &ticket, THROTTLE_FAILED);
	stop();
}

Test(throttle, it_can_be_turned_off)
{
	struct config config = usual();

	config.throttle.enabled = false;
	start(&config);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(wrong("192.0.2.1", "alice"), 0);
	stop();
}

Test(throttle, a_ticket_is_ended_once)
{
	struct config config = usual();
	struct throttle_ticket ticket;

	start(&config);
	for (int i = 0; i < FREE - 1; i++) {
		cr_assert_eq(admit("192.0.2.1", THROTTLE_PASSWORD, "alice", &ticket), 0);
		throttle_end(throttle, &ticket, THROTTLE_FAILED);
		throttle_end(throttle, &ticket, THROTTLE_FAILED);
		throttle_end(throttle, &ticket, THROTTLE_UNKNOWN);
	}
	cr_expect_eq(wrong("192.0.2.1", "alice"), 0);
	stop();
}

Test(throttle, names_longer_than_any_accounts_share_an_allowance)
{
	struct config config = usual();
	char name[600];

	start(&config);
	for (int i = 0; i < FREE; i++) {
		(void)snprintf(name, sizeof(name), "%d%0500d", i, 0);
		cr_assert_eq(wrong("192.0.2.1", name), 0);
	}
	cr_expect_eq(wrong("192.0.2.1", name), ERR_LIMIT);
	stop();
}

Test(throttle, the_tables_stay_within_their_bounds)
{
	struct config config = usual();
	struct buf out;
	char client[48];

	start(&config);
	for (int i = 0; i < 3 * LIMIT_THROTTLE_ADDRESSES; i++) {
		(void)snprintf(client, sizeof(client), "%d.%d.%d.1", 11 + i / 65536, i / 256 % 256, i % 256);
		cr_assert_eq(wrong(client, client), 0);
	}
	buf_init(&out, LIMIT_METRICS);
	metrics_render(metrics, &out);
	cr_expect_not_null(strstr(out.data, "tokenfirst_throttle_entries{table=\"addresses\"} 65536\n"));
	cr_expect_not_null(strstr(out.data, "tokenfirst_throttle_entries{table=\"accounts\"} 65536\n"));
	cr_expect_not_null(
		strstr(out.data, "tokenfirst_throttle_evicted_total{table=\"addresses\"} 131072\n"), "%s", out.data);
	buf_release(&out);
	stop();
}

static bool yes(const void *arg)
{
	(void)arg;
	return true;
}

Test(throttle, a_wait_ends_in_time_or_when_the_client_leaves)
{
	struct config config = usual();
	struct throttle_ticket held[FREE], ticket = {.held = false};
	int64_t retry_ms = 0;

	start(&config);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(admit("192.0.2.1", THROTTLE_PASSWORD, "alice", &held[i]), 0);
	cr_expect_eq(admit("192.0.2.2", THROTTLE_PASSWORD, "alice", &ticket), ERR_TIMEOUT);
	cr_expect_eq(throttle_admit(throttle, "192.0.2.2", THROTTLE_PASSWORD, "alice", yes, NULL, &ticket, &retry_ms),
		ERR_CLOSED);
	cr_expect_not(ticket.held);
	for (int i = 0; i < FREE; i++)
		throttle_end(throttle, &held[i], THROTTLE_PASSED);
	cr_expect_eq(wrong("192.0.2.2", "alice"), 0);
	stop();
}

struct waiter {
	atomic_int err;
	struct throttle_ticket ticket;
};

static void *wait_for_turn(void *arg)
{
	struct waiter *waiter = arg;

	atomic_store(&waiter->err, admit("192.0.2.2", THROTTLE_PASSWORD, "alice", &waiter->ticket));
	return NULL;
}

/* FREE are in flight, and one more waits: what comes of it when those end so. */
static int outcome_of_waiter(enum throttle_outcome outcome)
{
	struct config config = usual();
	struct throttle_ticket held[FREE];
	struct waiter waiter = {.err = 1};
	pthread_t thread;

	config.password.queue_timeout_ms = 20000;
	start(&config);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(admit("192.0.2.1", THROTTLE_PASSWORD, "alice", &held[i]), 0);
	cr_assert_eq(pthread_create(&thread, NULL, wait_for_turn, &waiter), 0);
	harness_sleep_ms(30);
	cr_expect_eq(atomic_load(&waiter.err), 1, "it does not wait");
	for (int i = 0; i < FREE; i++)
		throttle_end(throttle, &held[i], outcome);
	pthread_join(thread, NULL);
	throttle_end(throttle, &waiter.ticket, THROTTLE_UNKNOWN);
	stop();
	return waiter.err;
}

Test(throttle, who_waits_is_admitted_when_the_others_were_right)
{
	cr_expect_eq(outcome_of_waiter(THROTTLE_PASSED), 0);
}

Test(throttle, who_waits_is_refused_when_the_others_were_wrong)
{
	cr_expect_eq(outcome_of_waiter(THROTTLE_FAILED), ERR_LIMIT);
}
