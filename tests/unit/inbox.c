#include "background/delivery/inbox.h"

#include <criterion/criterion.h>
#include <pthread.h>

#include "config/clock.h"
#include "config/limits.h"

static struct inbox inbox;

static void setup(void)
{
	inbox_init(&inbox);
}

static void teardown(void)
{
	inbox_release(&inbox);
}

TestSuite(inbox, .init = setup, .fini = teardown);

Test(inbox, oldest_first_and_only_the_first_wakes)
{
	struct message messages[5] = {{.kind = MESSAGE_RUN}};

	cr_assert_null(inbox_take(&inbox));
	for (int round = 0; round < 2; round++) {
		cr_assert(inbox_empty(&inbox));
		for (size_t i = 0; i < 5; i++)
			cr_assert_eq(inbox_put(&inbox, &messages[i]), i == 0);
		cr_assert_not(inbox_empty(&inbox));
		const struct message *message = inbox_take(&inbox);
		for (size_t i = 0; i < 5; i++, message = message->next)
			cr_assert_eq(message, &messages[i]);
		cr_assert_null(message);
		cr_assert_null(inbox_take(&inbox));
	}
}

Test(inbox, offers_have_a_limit)
{
	static struct message offers[LIMIT_INBOX_OFFERS + 4];

	for (size_t i = 0; i < LIMIT_INBOX_OFFERS; i++)
		cr_assert_eq(inbox_put_offer(&inbox, &offers[i], true), i == 0);
	cr_assert_eq(inbox_put_offer(&inbox, &offers[LIMIT_INBOX_OFFERS], true), ERR_LIMIT);
	/* what has no other place to wait in is taken all the same, and so is what is no offer */
	cr_assert_eq(inbox_put_offer(&inbox, &offers[LIMIT_INBOX_OFFERS + 1], false), 0);
	offers[LIMIT_INBOX_OFFERS + 2].kind = MESSAGE_SETTLED;
	cr_assert_eq(inbox_put(&inbox, &offers[LIMIT_INBOX_OFFERS + 2]), 0);
	size_t taken = 0;
	for (const struct message *message = inbox_take(&inbox); message != NULL; message = message->next) {
		cr_assert_neq(message, &offers[LIMIT_INBOX_OFFERS]);
		taken++;
	}
	cr_assert_eq(taken, LIMIT_INBOX_OFFERS + 2);
	cr_assert_eq(inbox_put_offer(&inbox, &offers[LIMIT_INBOX_OFFERS], true), 1);
}

Test(inbox, closed_it_takes_only_what_is_settled)
{
	struct message before = {.kind = MESSAGE_OFFER}, offer = {.kind = MESSAGE_OFFER}, run = {.kind = MESSAGE_RUN},
		       settled = {.kind = MESSAGE_SETTLED};

	cr_assert_eq(inbox_put_offer(&inbox, &before, true), 1);
	cr_assert_eq(inbox_close(&inbox), &before);
	cr_assert_eq(inbox_put(&inbox, &run), ERR_CLOSED);
	cr_assert_eq(inbox_put_offer(&inbox, &offer, true), ERR_CLOSED);
	cr_assert_eq(inbox_put_offer(&inbox, &offer, false), ERR_CLOSED);
	cr_assert(inbox_empty(&inbox));
	cr_assert_eq(inbox_put(&inbox, &settled), 1);
	cr_assert_eq(inbox_take(&inbox), &settled);
	cr_assert_eq(inbox_put(&inbox, &run), ERR_CLOSED);
}

Test(inbox, age_is_that_of_the_oldest)
{
	struct message messages[2] = {{.kind = MESSAGE_RUN}, {.kind = MESSAGE_RUN}};

	cr_assert_eq(inbox_age_us(&inbox, clock_mono_us()), 0);
	int64_t before = clock_mono_us();
	(void)!inbox_put(&inbox, &messages[0]);
	int64_t after = clock_mono_us();
	(void)!inbox_put(&inbox, &messages[1]);
	int64_t age = inbox_age_us(&inbox, after + 5000000);
	cr_assert(age >= 5000000 && age <= 5000000 + after - before);
	cr_assert_eq(inbox_age_us(&inbox, before - 1), 0);
	(void)inbox_take(&inbox);
	cr_assert_eq(inbox_age_us(&inbox, after + 5000000), 0);
}

enum { THREADS = 4, EACH = 20000 };

struct sender {
	pthread_t thread;
	struct message messages[EACH];
	int wakes;
};

static void *send_all(void *arg)
{
	struct sender *sender = arg;

	for (size_t i = 0; i < EACH; i++) {
		sender->messages[i] = (struct message){.kind = MESSAGE_RUN, .subject = sender};
		sender->wakes += inbox_put(&inbox, &sender->messages[i]);
	}
	return NULL;
}

/* Many senders and one taker: each message once, in its sender's order, and one wake per batch. */
Test(inbox, many_senders)
{
	static struct sender senders[THREADS];
	size_t next[THREADS] = {0}, taken = 0;
	int batches = 0, wakes = 0;

	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
	while (taken < (size_t)THREADS * EACH) {
		const struct message *message = inbox_take(&inbox);
		batches += message != NULL;
		for (; message != NULL; message = message->next) {
			size_t from = (size_t)((struct sender *)message->subject - senders);
			cr_assert_eq(message, &senders[from].messages[next[from]++]);
			taken++;
		}
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(senders[i].thread, NULL);
		wakes += senders[i].wakes;
	}
	cr_assert_eq(wakes, batches);
}
