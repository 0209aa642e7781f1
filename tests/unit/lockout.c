/* The lock of an account after so many failures in a row, in a store. */
#include "server/accounts/lockout.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/users.h"
#include "tests/support/open_store.h"

enum { HARD = 5, THREADS = 8, EACH = 10 };

static struct open_store opened;
static struct user alice;

static int add_alice(struct db *writer, void *arg)
{
	(void)arg;
	return users_add(writer, &alice, clock_now_ms());
}

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	open_store_make(&opened);
	alice = (struct user){.username = "alice", .password = "*"};
	cr_assert_eq(committer_run(opened.committer, add_alice, NULL), 0);
}

static void teardown(void)
{
	open_store_remove(&opened);
}

TestSuite(lockout, .init = setup, .fini = teardown, .timeout = 30);

struct failure {
	int64_t user_id, hard;
	bool locked;
};

static int write_failure(struct db *writer, void *arg)
{
	struct failure *failure = arg;

	return lockout_fail(writer, failure->user_id, failure->hard, clock_now_ms(), &failure->locked);
}

/* Whether it locks. */
static bool fail(int64_t hard)
{
	struct failure failure = {.user_id = alice.id, .hard = hard};

	cr_assert_eq(committer_run(opened.committer, write_failure, &failure), 0);
	return failure.locked;
}

static struct user found(void)
{
	struct db *db = NULL;
	struct user user;

	cr_assert_eq(store_reader(opened.store, &db), 0);
	cr_assert_eq(users_find_by_id(db, alice.id, &user), 0);
	db_close(db);
	return user;
}

Test(lockout, the_failure_that_reaches_the_limit_locks_and_says_so_once)
{
	for (int i = 1; i <= HARD + 3; i++) {
		cr_expect_eq(fail(HARD), i == HARD, "%d", i);
		cr_expect_eq(found().locked, i >= HARD, "%d", i);
		cr_expect_eq(found().failures, i);
	}
}

static atomic_int locks;

static void *failing(void *arg)
{
	for (int i = 0; i < EACH; i++)
		atomic_fetch_add(&locks, fail(HARD));
	return arg;
}

Test(lockout, of_failures_at_the_same_time_one_locks)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, failing, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&locks), 1);
	cr_expect_eq(found().failures, THREADS * EACH);
}

Test(lockout, a_limit_that_was_lowered_locks_at_the_next_failure)
{
	for (int i = 0; i < HARD; i++)
		cr_assert_not(fail(100));
	cr_expect(fail(2));
	cr_expect_not(fail(2));
}

static int clear(struct db *writer, void *arg)
{
	(void)arg;
	return lockout_clear(writer, alice.id);
}

static int set_password(struct db *writer, void *arg)
{
	(void)arg;
	return users_set_password(writer, alice.id, "new", clock_now_ms());
}

Test(lockout, a_new_password_unlocks_and_so_does_forgetting)
{
	int (*const ways[])(struct db *, void *) = {clear, set_password};

	for (size_t way = 0; way < 2; way++) {
		for (int i = 1; i <= HARD; i++)
			cr_assert_eq(fail(HARD), i == HARD);
		cr_assert_eq(committer_run(opened.committer, ways[way], NULL), 0);
		cr_expect_not(found().locked);
		cr_expect_eq(found().failures, 0);
	}
}

Test(lockout, an_account_that_is_not_there_is_told)
{
	struct failure failure = {.user_id = alice.id + 1, .hard = HARD};

	cr_expect_eq(committer_run(opened.committer, write_failure, &failure), ERR_NOT_FOUND);
}
