#include "background/delivery/recent.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "config/id.h"
#include "config/limits.h"

static struct recent *recent;

static void setup(void)
{
	recent = recent_new();
	cr_assert_not_null(recent);
}

static void teardown(void)
{
	recent_free(recent);
}

TestSuite(recent, .init = setup, .fini = teardown);

static const struct recent_state pending = {.state = "pending", .due_ms = 5, .reason = ""};

struct found {
	int calls;
	char state[16], reason[LIMIT_REASON], log[64];
	int attempts;
	int64_t due_ms;
};

static void note(void *arg, const struct recent_state *state)
{
	struct found *found = arg;

	found->calls++;
	found->attempts = state->attempts;
	found->due_ms = state->due_ms;
	snprintf(found->state, sizeof(found->state), "%s", state->state);
	snprintf(found->reason, sizeof(found->reason), "%s", state->reason);
	snprintf(found->log, sizeof(found->log), "%s", state->log != NULL ? state->log : "none");
}

static const char *event_id(int number, char id[ID_SIZE])
{
	snprintf(id, ID_SIZE, "%026d", number);
	return id;
}

static uint64_t add(int number, const char *effect)
{
	char id[ID_SIZE];

	return recent_add(recent, event_id(number, id), effect, &pending);
}

static int find(int number, const char *effect, struct found *ret_found)
{
	char id[ID_SIZE];

	*ret_found = (struct found){0};
	int err = recent_find(recent, event_id(number, id), effect, note, ret_found);
	cr_assert_eq(ret_found->calls, err == 0);
	return err;
}

Test(recent, unknown)
{
	struct found found;

	cr_assert_eq(find(1, "chat", &found), ERR_NOT_FOUND);
	cr_assert_eq(recent_find(recent, "", "", note, &found), ERR_NOT_FOUND);
}

Test(recent, is_found_by_event_and_effect)
{
	struct found found;

	add(1, "chat");
	add(1, "analytics");
	add(2, "chat");
	cr_assert_eq(find(1, "analytics", &found), 0);
	cr_assert_str_eq(found.state, "pending");
	cr_assert_eq(found.due_ms, 5);
	cr_assert_str_eq(found.log, "none");
	cr_assert_eq(find(2, "analytics", &found), ERR_NOT_FOUND);
}

Test(recent, an_update_is_copied)
{
	char reason[] = "HTTP 400", log[] = "[{\"attempt\":1}]";
	const struct recent_state dead = {.state = "dead", .attempts = 3, .due_ms = 9, .reason = reason, .log = log};
	struct found found;

	uint64_t ticket = add(1, "chat");
	recent_update(recent, ticket, &dead);
	memset(reason, 'x', strlen(reason));
	memset(log, 'x', strlen(log));
	cr_assert_eq(find(1, "chat", &found), 0);
	cr_assert_str_eq(found.state, "dead");
	cr_assert_str_eq(found.reason, "HTTP 400");
	cr_assert_str_eq(found.log, "[{\"attempt\":1}]");
	cr_assert_eq(found.attempts, 3);
	cr_assert_eq(found.due_ms, 9);
	recent_update(recent, ticket, &pending); /* the log goes with the state that it belonged to */
	cr_assert_eq(find(1, "chat", &found), 0);
	cr_assert_str_eq(found.log, "none");
}

Test(recent, a_long_reason_is_cut)
{
	char reason[2 * LIMIT_REASON];
	const struct recent_state dead = {.state = "dead", .reason = reason};
	struct found found;

	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	recent_update(recent, add(1, "chat"), &dead);
	cr_assert_eq(find(1, "chat", &found), 0);
	cr_assert_eq(strlen(found.reason), LIMIT_REASON - 1);
}

Test(recent, the_oldest_is_forgotten_first)
{
	struct found found;

	for (int i = 0; i < LIMIT_RECENT_EVENTS + 10; i++)
		add(i, "chat");
	for (int i = 0; i < LIMIT_RECENT_EVENTS + 10; i++)
		cr_assert_eq(find(i, "chat", &found), i < 10 ? ERR_NOT_FOUND : 0, "%d", i);
}

Test(recent, a_stale_ticket_changes_nothing)
{
	const struct recent_state delivered = {.state = "delivered", .attempts = 1, .reason = "", .log = "[]"};
	struct found found;

	uint64_t stale = add(1, "chat");
	for (int i = 2; i <= LIMIT_RECENT_EVENTS + 1; i++) /* the last of them has the slot of the first */
		add(i, "chat");
	recent_update(recent, stale, &delivered);
	cr_assert_eq(find(LIMIT_RECENT_EVENTS + 1, "chat", &found), 0);
	cr_assert_str_eq(found.state, "pending");
	cr_assert_eq(find(1, "chat", &found), ERR_NOT_FOUND);
}

/* An effect that has a row has no ticket: it must not get hold of somebody's slot. */
Test(recent, ticket_zero_is_nobodys)
{
	const struct recent_state delivered = {.state = "delivered", .reason = "", .log = "[]"};
	struct found found;

	recent_update(recent, 0, &delivered);
	cr_assert_eq(recent_find(recent, "", "", note, &found), ERR_NOT_FOUND);
	for (int i = 1; i <= LIMIT_RECENT_EVENTS; i++)
		cr_assert_neq(add(i, "chat"), 0);
	recent_update(recent, 0, &delivered);
	for (int i = 1; i <= LIMIT_RECENT_EVENTS; i++) {
		cr_assert_eq(find(i, "chat", &found), 0);
		cr_assert_str_eq(found.state, "pending");
	}
}

static void *add_many(void *arg)
{
	for (int i = 0; i < 2 * LIMIT_RECENT_EVENTS; i++) {
		const struct recent_state state = {.state = "delivered", .reason = "", .log = "[]"};
		recent_update(recent, add(*(int *)arg + i, "chat"), &state);
	}
	return NULL;
}

Test(recent, threads_do_not_get_into_each_others_slots)
{
	int bases[4] = {0, 1000000, 2000000, 3000000};
	pthread_t threads[4];
	struct found found;
	int kept = 0;

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, add_many, &bases[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 4; i++)
		if (find(bases[i] + 2 * LIMIT_RECENT_EVENTS - 1, "chat", &found) == 0) {
			cr_assert_str_eq(found.state, "delivered");
			kept++;
		}
	cr_assert_gt(kept, 0); /* whoever came last is still there */
}
