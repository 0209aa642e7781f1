/* A session from its first refresh token to its last: each state that a token can be in, by a simulated clock. */
#include "server/accounts/sessions.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/lockout.h"
#include "server/accounts/users.h"
#include "tests/support/scratch.h"

enum { BEGUN = 1000000, GRACE = 10000, TTL = 100000, ABSOLUTE = BEGUN + 250000, ID = 7 };

static struct scratch scratch;
static struct store *store;
static struct db *db;
static struct user alice;
static int64_t now_ms;

static void add_session(int64_t id, int64_t user_id, int64_t absolute_ms)
{
	const struct session session = {
		.id = id,
		.user_id = user_id,
		.generation = 1,
		.created_ms = BEGUN,
		.refreshed_ms = BEGUN,
		.expires_ms = BEGUN + TTL,
		.absolute_ms = absolute_ms,
		.client = "127.0.0.1",
		.user_agent = "curl",
	};

	cr_assert_eq(sessions_add(db, &session), 0);
}

static void add_user(const char *name, struct user *ret_user)
{
	*ret_user = (struct user){.admin = false};
	(void)snprintf(ret_user->username, sizeof(ret_user->username), "%s", name);
	cr_assert_eq(users_add(db, ret_user, BEGUN), 0);
}

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, NULL), 0);
	db = store_writer(store);
	add_user("alice", &alice);
	add_session(ID, alice.id, ABSOLUTE);
	now_ms = BEGUN;
}

static void teardown(void)
{
	store_close(store);
	scratch_remove(&scratch);
}

TestSuite(sessions, .init = setup, .fini = teardown, .timeout = 20);

static struct refresh_claim claim_of(int64_t generation)
{
	return (struct refresh_claim){
		.id = ID, .generation = generation, .now_ms = now_ms, .grace_ms = GRACE, .ttl_ms = TTL};
}

/* What the look says and what the step says is the same. */
static struct refresh_result refresh(int64_t generation)
{
	const struct refresh_claim claim = claim_of(generation);
	struct refresh_result look, step;

	cr_assert_eq(sessions_refresh_look(db, &claim, &look), 0);
	cr_assert_eq(sessions_refresh(db, &claim, &step), 0);
	cr_assert_eq(look.state, step.state);
	if (step.state != REFRESH_DEAD) {
		cr_assert_eq(look.generation, step.generation);
		cr_assert_eq(look.expires_ms, step.expires_ms);
		cr_assert_eq(step.user_id, alice.id);
		cr_assert_str_eq(step.public_id, alice.public_id);
	}
	return step;
}

static enum refresh_state state(int64_t generation)
{
	return refresh(generation).state;
}

static bool live(int64_t id)
{
	struct session_owner owner;

	cr_assert_eq(sessions_owner(db, id, now_ms, &owner), 0);
	return owner.live;
}

Test(sessions, each_rotation_raises_the_generation_and_the_end)
{
	for (int64_t generation = 1; generation <= 5; generation++) {
		now_ms += 1000;
		struct refresh_result result = refresh(generation);
		cr_assert_eq(result.state, REFRESH_ROTATED);
		cr_assert_eq(result.generation, generation + 1);
		cr_assert_eq(result.expires_ms, now_ms + TTL);
	}
}

Test(sessions, a_look_writes_nothing)
{
	const struct refresh_claim claim = claim_of(1);
	struct refresh_result result;

	for (int i = 0; i < 3; i++) {
		cr_assert_eq(sessions_refresh_look(db, &claim, &result), 0);
		cr_assert_eq(result.state, REFRESH_ROTATED);
		cr_assert_eq(result.generation, 2);
	}
	cr_assert_eq(state(1), REFRESH_ROTATED);
}

Test(sessions, a_repeat_within_the_grace_has_the_same_child_and_writes_nothing)
{
	struct refresh_result first = refresh(1);
	int64_t rotated_ms = now_ms;

	for (now_ms = rotated_ms; now_ms < rotated_ms + GRACE; now_ms += GRACE / 2 - 1) {
		struct refresh_result again = refresh(1);
		cr_assert_eq(again.state, REFRESH_REPEATED);
		cr_assert_eq(again.generation, first.generation);
		cr_assert_eq(again.expires_ms, first.expires_ms, "a repeat lengthens the session");
	}
	now_ms = rotated_ms + GRACE - 1;
	cr_assert_eq(state(1), REFRESH_REPEATED);
	now_ms = rotated_ms + GRACE;
	cr_assert_eq(state(1), REFRESH_REUSED, "a repeat lengthens the grace");
}

Test(sessions, an_older_token_is_a_reuse_however_soon)
{
	cr_assert_eq(state(1), REFRESH_ROTATED);
	cr_assert_eq(state(2), REFRESH_ROTATED);
	cr_assert_eq(state(1), REFRESH_REUSED);
	cr_assert_eq(state(2), REFRESH_REPEATED);
	cr_assert_eq(state(3), REFRESH_ROTATED, "the step itself ends nothing: the caller does");
}

Test(sessions, a_reuse_ends_all_of_it_once)
{
	const struct refresh_claim reuse = claim_of(1), current = claim_of(3);

	cr_assert_eq(state(1), REFRESH_ROTATED);
	cr_assert_eq(state(2), REFRESH_ROTATED);
	cr_assert_eq(sessions_refresh_end(db, &current), ERR_STALE, "the current one is no reuse");
	cr_assert(live(ID));
	cr_assert_eq(sessions_refresh_end(db, &reuse), 0);
	cr_assert_not(live(ID));
	for (int64_t generation = 0; generation <= 4; generation++)
		cr_assert_eq(state(generation), REFRESH_DEAD);
	cr_assert_eq(sessions_refresh_end(db, &reuse), ERR_STALE, "it is told of once");
}

Test(sessions, without_a_grace_the_second_use_is_a_reuse)
{
	struct refresh_claim claim = claim_of(1);
	struct refresh_result result;

	claim.grace_ms = 0;
	cr_assert_eq(sessions_refresh(db, &claim, &result), 0);
	cr_assert_eq(result.state, REFRESH_ROTATED);
	cr_assert_eq(sessions_refresh(db, &claim, &result), 0);
	cr_assert_eq(result.state, REFRESH_REUSED);
}

Test(sessions, the_sliding_end_is_an_end)
{
	now_ms = BEGUN + TTL - 1;
	cr_assert_eq(state(1), REFRESH_ROTATED);
	now_ms += TTL;
	cr_assert_eq(state(2), REFRESH_DEAD);
	cr_assert_eq(state(1), REFRESH_DEAD, "nothing is left to be ended");
	cr_assert_not(live(ID));
}

Test(sessions, the_absolute_end_is_one_however_often_it_is_refreshed)
{
	int64_t generation = 1;

	for (; now_ms < ABSOLUTE; now_ms += TTL / 2) {
		struct refresh_result result = refresh(generation++);
		cr_assert_eq(result.state, REFRESH_ROTATED);
		cr_assert_leq(result.expires_ms, ABSOLUTE);
	}
	now_ms = ABSOLUTE - 1;
	cr_assert_eq(refresh(generation).expires_ms, ABSOLUTE);
	cr_assert(live(ID));
	now_ms = ABSOLUTE;
	cr_assert_not(live(ID));
	cr_assert_eq(state(generation + 1), REFRESH_DEAD);
}

Test(sessions, one_from_before_the_column_has_but_its_sliding_end)
{
	struct refresh_claim claim = claim_of(1);
	struct refresh_result result;

	add_session(8, alice.id, 0);
	claim.id = 8;
	for (; claim.generation < 20; claim.generation++, claim.now_ms += TTL - 1) {
		cr_assert_eq(sessions_refresh(db, &claim, &result), 0);
		cr_assert_eq(result.state, REFRESH_ROTATED);
		cr_assert_eq(result.expires_ms, claim.now_ms + TTL);
	}
}

Test(sessions, unknown_and_future_tokens_are_dead)
{
	struct refresh_claim claim = claim_of(1);
	struct refresh_result result;

	cr_assert_eq(state(2), REFRESH_DEAD);
	cr_assert_eq(state(INT64_MAX), REFRESH_DEAD);
	cr_assert_eq(state(1), REFRESH_ROTATED, "that has harmed nothing");
	claim.id = ID + 1;
	cr_assert_eq(sessions_refresh(db, &claim, &result), 0);
	cr_assert_eq(result.state, REFRESH_DEAD);
	cr_assert_eq(sessions_refresh_end(db, &claim), ERR_STALE);
}

/* What says ERR_STORE within a commit job takes all the others of its transaction with it. */
Test(sessions, one_that_is_unreadable_is_not_blamed_on_the_store)
{
	const struct refresh_claim claim = claim_of(1);
	struct refresh_result result = {.generation = 99};

	cr_assert_eq(db_execute(db, "UPDATE users SET public_id = 'short'"), 0);
	cr_expect_eq(sessions_refresh_look(db, &claim, &result), ERR_STORE);
	cr_expect_eq(sessions_refresh(db, &claim, &result), ERR_INVALID);
	cr_expect_eq(sessions_refresh_end(db, &claim), ERR_INVALID);
	cr_expect_eq(result.generation, 99);
}

Test(sessions, whoever_may_not_come_in_gets_nothing)
{
	bool locked = false;

	cr_assert_eq(users_set_disabled(db, alice.id, true, now_ms), 0);
	cr_assert_eq(state(1), REFRESH_DEAD);
	cr_assert_eq(users_set_disabled(db, alice.id, false, now_ms), 0);
	cr_assert_eq(state(1), REFRESH_ROTATED);
	cr_assert_eq(lockout_fail(db, alice.id, 1, now_ms, &locked), 0);
	cr_assert(locked);
	cr_assert_eq(state(2), REFRESH_DEAD);
	cr_assert_eq(lockout_clear(db, alice.id), 0);
	cr_assert_eq(state(2), REFRESH_ROTATED);
	cr_assert_eq(db_execute(db, "UPDATE users SET deleted_ms = 5"), 0);
	cr_assert_eq(state(3), REFRESH_DEAD);
}

Test(sessions, revoked_is_dead_in_each_generation)
{
	cr_assert_eq(state(1), REFRESH_ROTATED);
	cr_assert_eq(sessions_revoke(db, ID, now_ms), 0);
	for (int64_t generation = 1; generation <= 3; generation++)
		cr_assert_eq(state(generation), REFRESH_DEAD);
}

/* After a start by a clock that is behind. */
Test(sessions, a_clock_that_was_set_back_does_not_lengthen_the_grace)
{
	now_ms += 50000;
	cr_assert_eq(state(1), REFRESH_ROTATED);
	now_ms -= GRACE - 1;
	cr_assert_eq(state(1), REFRESH_REPEATED, "a little is what clocks do");
	now_ms -= 1;
	cr_assert_eq(state(1), REFRESH_REUSED);
	cr_assert_eq(state(2), REFRESH_ROTATED, "whoever has the current token goes on");
}

Test(sessions, one_s_own_live_session_is_revoked_and_no_other)
{
	struct user bob;

	add_user("bob", &bob);
	add_session(8, bob.id, 0);
	cr_assert_eq(sessions_revoke_of(db, alice.id, 8, now_ms), ERR_NOT_FOUND);
	cr_assert(live(8));
	cr_assert_eq(sessions_revoke_of(db, alice.id, ID, BEGUN + TTL), ERR_NOT_FOUND, "it has run out");
	cr_assert_eq(sessions_revoke_of(db, alice.id, ID, now_ms), 0);
	cr_assert_not(live(ID));
	cr_assert_eq(sessions_revoke_of(db, alice.id, ID, now_ms), ERR_NOT_FOUND);
	cr_assert_eq(sessions_revoke_of(db, alice.id, 99, now_ms), ERR_NOT_FOUND);
}

static int write_id(void *arg, const struct session *session)
{
	char *text = arg;
	size_t len = strlen(text);

	cr_assert_eq(session->user_id, alice.id);
	cr_assert_str_eq(session->user_agent, "curl");
	(void)snprintf(text + len, 100 - len, "%d ", (int)session->id);
	return 0;
}

static int refuse(void *arg, const struct session *session)
{
	(void)session;
	++*(int *)arg;
	return ERR_LIMIT;
}

Test(sessions, the_live_ones_of_a_user_are_listed_the_newest_first)
{
	struct user bob;
	char text[100] = "";
	int seen = 0;

	add_user("bob", &bob);
	for (int64_t id = 8; id < 16; id++)
		add_session(id, id % 3 == 0 ? bob.id : alice.id, 0);
	cr_assert_eq(sessions_revoke(db, 10, now_ms), 0);
	cr_assert_eq(sessions_list(db, alice.id, now_ms, 100, write_id, text), 0);
	cr_assert_str_eq(text, "14 13 11 8 7 ");
	text[0] = '\0';
	cr_assert_eq(sessions_list(db, alice.id, now_ms, 2, write_id, text), 0);
	cr_assert_str_eq(text, "14 13 ");
	cr_assert_eq(sessions_list(db, alice.id, now_ms, 100, refuse, &seen), ERR_LIMIT);
	cr_assert_eq(seen, 1);
	cr_assert_eq(sessions_list(db, alice.id, BEGUN + TTL, 100, refuse, &seen), 0, "run out");
}
