/* Guessing, limited: accounts, addresses and mails, as flows count them. */
#include "server/auth/throttle.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "tests/support/harness.h"

enum { FREE = 3 };

TestSuite(throttle, .timeout = 30);

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
	cr_expect_eq(guess("192.0.2.1", THROTTLE_PASSWORD_EMAIL, "id:7", THROTTLE_FAILED), 0);
	cr_expect_eq(guess("192.0.2.1", THROTTLE_PASSWORD_ID, "id:7", THROTTLE_FAILED), 0);
	cr_expect_eq(guess("192.0.2.1", THROTTLE_TOKEN, NULL, THROTTLE_FAILED), 0);
	stop();
}

Test(throttle, what_a_name_has_failed_can_be_forgotten_but_for_what_is_under_way)
{
	struct config config = usual();
	struct throttle_ticket ticket;

	start(&config);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(wrong("192.0.2.1", "alice"), 0);
	cr_assert_eq(wrong("192.0.2.1", "alice"), ERR_LIMIT);
	throttle_forget(throttle, THROTTLE_PASSWORD_EMAIL, "alice");
	throttle_forget(throttle, THROTTLE_PASSWORD, "nobody");
	cr_expect_eq(wrong("192.0.2.1", "alice"), ERR_LIMIT);
	throttle_forget(throttle, THROTTLE_PASSWORD, "ALICE");
	cr_assert_eq(admit("192.0.2.1", THROTTLE_PASSWORD, "alice", &ticket), 0);
	throttle_forget(throttle, THROTTLE_PASSWORD, "alice");
	throttle_end(throttle, &ticket, THROTTLE_FAILED);
	for (int i = 1; i < FREE; i++)
		cr_expect_eq(wrong("192.0.2.1", "alice"), 0);
	cr_expect_eq(wrong("192.0.2.1", "alice"), ERR_LIMIT);
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

static long value_of(const char *exposition, const char *series)
{
	const char *at = strstr(exposition, series);

	cr_assert_not_null(at, "%s", series);
	return atol(at + strlen(series));
}

Test(throttle, the_tables_stay_within_their_bounds)
{
	enum { FLOOD = 3 * LIMIT_THROTTLE_ADDRESSES };
	struct config config = usual();
	struct buf out;
	char client[48];

	start(&config);
	for (int i = 0; i < FLOOD; i++) {
		(void)snprintf(client, sizeof(client), "%d.%d.%d.1", 11 + i / 65536, i / 256 % 256, i % 256);
		cr_assert_eq(wrong(client, client), 0);
	}
	buf_init(&out, LIMIT_METRICS);
	metrics_render(metrics, &out);
	long addresses = value_of(out.data, "tokenfirst_throttle_entries{table=\"addresses\"} ");
	long accounts = value_of(out.data, "tokenfirst_throttle_entries{table=\"accounts\"} ");
	/* a few of the sets may have had too little to be full */
	cr_expect(
		addresses <= LIMIT_THROTTLE_ADDRESSES && addresses > LIMIT_THROTTLE_ADDRESSES - 100, "%ld", addresses);
	cr_expect(accounts <= LIMIT_THROTTLE_ACCOUNTS && accounts > LIMIT_THROTTLE_ACCOUNTS - 100, "%ld", accounts);
	cr_expect_eq(value_of(out.data, "tokenfirst_throttle_evicted_total{table=\"addresses\"} "), FLOOD - addresses);
	cr_expect_eq(value_of(out.data, "tokenfirst_throttle_evicted_total{table=\"accounts\"} "), FLOOD - accounts);
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
