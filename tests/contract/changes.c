/*
 * The promises of changes.h: no way to change a row of the watched tables goes unseen, and who has been told of a commit
 * finds its rows changed.
 */
#include "background/store/changes.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "config/limits.h"
#include "tests/support/open_store.h"

#define USER                                                                                                           \
	"INSERT INTO users (id, public_id, username, username_key, password, admin, disabled, created_ms, "            \
	"updated_ms) "
/* gets the next id */
#define SESSION                                                                                                        \
	"INSERT INTO sessions (user_id, generation, created_ms, refreshed_ms, expires_ms, revoked_ms, client, "        \
	"user_agent) VALUES (1, 1, 0, 0, 0, 0, '', '')"

static struct open_store opened;
static const struct changes *changes;

static int execute(struct db *db, void *arg)
{
	return db_execute(db, arg);
}

static void commit(const char *sql)
{
	cr_assert_eq(committer_run(opened.committer, execute, (void *)(uintptr_t)sql), 0, "%s", sql);
}

static void setup(void)
{
	open_store_make(&opened);
	changes = store_changes(opened.store);
	commit(USER "VALUES (1, 'a', 'a', 'a', '', 0, 0, 0, 0)");
	commit(SESSION);
	commit(SESSION);
	commit("INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES (1, x'00', 0, 0)");
}

static void teardown(void)
{
	open_store_remove(&opened);
}

TestSuite(changes, .init = setup, .fini = teardown, .timeout = 60);

/* Row `row` has changed by this and another one, far from it, has not. */
static void expect_seen(const char *sql, enum changes_table table, int64_t row)
{
	const uint64_t mark = changes_mark(changes);

	cr_assert_not(changes_since(changes, mark, table, row), "%s", sql);
	commit(sql);
	cr_expect(changes_since(changes, mark, table, row), "not seen: %s", sql);
	cr_expect_not(changes_since(changes, mark, table, row + 1000), "%s", sql);
	cr_expect_not(changes_since(changes, changes_mark(changes), table, row), "a mark from now on: %s", sql);
}

Test(changes, each_table_tells_of_its_rows)
{
	expect_seen(USER "VALUES (7, 'b', 'b', 'b', '', 0, 0, 0, 0)", CHANGES_USERS, 7);
	expect_seen("UPDATE users SET disabled = 1 WHERE username_key = 'b'", CHANGES_USERS, 7);
	expect_seen("UPDATE users SET disabled = 1 WHERE id = 7", CHANGES_USERS, 7);
	expect_seen("DELETE FROM users WHERE id = 7", CHANGES_USERS, 7);
	expect_seen(SESSION, CHANGES_SESSIONS, 3);
	expect_seen("UPDATE sessions SET revoked_ms = 1 WHERE user_id = 1 AND id = 3", CHANGES_SESSIONS, 3);
	expect_seen("DELETE FROM sessions WHERE id = 3", CHANGES_SESSIONS, 3);
	expect_seen("UPDATE totp SET confirmed_ms = 1 WHERE user_id = 1", CHANGES_TOTP, 1);
	expect_seen("DELETE FROM totp WHERE user_id = 1", CHANGES_TOTP, 1);
	expect_seen(
		"INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES (5, x'00', 0, 0)", CHANGES_TOTP, 5);
}

/* SQLite leaves the rows of such statements out, or changes them in a way of its own, if nobody sees to it. */
Test(changes, no_statement_goes_around)
{
	expect_seen("INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES (1, x'01', 0, 0) "
		    "ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret",
		CHANGES_TOTP, 1);
	expect_seen("DELETE FROM totp", CHANGES_TOTP, 1);
	expect_seen("UPDATE sessions SET revoked_ms = 5", CHANGES_SESSIONS, 2);
	expect_seen("DELETE FROM sessions", CHANGES_SESSIONS, 2);
	expect_seen("UPDATE users SET id = 9 WHERE id = 1", CHANGES_USERS, 9);
	expect_seen("DELETE FROM users", CHANGES_USERS, 9);
}

Test(changes, other_tables_are_nobodys_business)
{
	const uint64_t mark = changes_mark(changes);
	int64_t id = 1;

	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0);
	cr_expect_eq(changes_mark(changes), mark);
}

Test(changes, tables_do_not_speak_for_each_other)
{
	const uint64_t mark = changes_mark(changes);

	commit("UPDATE users SET disabled = 1 WHERE id = 1");
	cr_expect(changes_since(changes, mark, CHANGES_USERS, 1));
	cr_expect_not(changes_since(changes, mark, CHANGES_SESSIONS, 1));
	cr_expect_not(changes_since(changes, mark, CHANGES_TOTP, 1));
}

static uint64_t done_mark;
static bool done_saw;

/* On the committer's thread, as the first who is told. */
static void look(void *arg, int err)
{
	(void)arg;
	cr_assert_eq(err, 0);
	done_saw = changes_since(changes, done_mark, CHANGES_SESSIONS, 1);
}

static bool run_saw;

static int revoke(struct db *db, void *arg)
{
	int err = db_execute(db, "UPDATE sessions SET revoked_ms = 1 WHERE id = 1");

	(void)arg;
	run_saw = changes_since(changes, done_mark, CHANGES_SESSIONS, 1);
	return err;
}

Test(changes, are_published_between_the_commit_and_its_news)
{
	done_mark = changes_mark(changes);
	cr_assert_eq(committer_run_then(opened.committer, revoke, look, NULL), 0);
	cr_expect_not(run_saw, "a mark taken now would pass for later than a commit that has not been");
	cr_expect(done_saw);
}

/* What was undone costs a read, and leaves nothing behind for a later publication to forget. */
Test(changes, what_was_undone_does_no_harm)
{
	struct task denied = {.sql = "UPDATE sessions SET revoked_ms = 1 WHERE id = 1", .result = ERR_DENIED};

	cr_assert_eq(committer_run(opened.committer, task_run, &denied), ERR_DENIED);
	expect_seen("UPDATE sessions SET revoked_ms = 1 WHERE id = 1", CHANGES_SESSIONS, 1);
}

Test(changes, more_than_can_be_noted_is_everything)
{
	char sql[256];
	const uint64_t mark = changes_mark(changes);

	(void)snprintf(sql, sizeof(sql),
		"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 100 + %d) "
		"INSERT INTO totp (user_id, secret, last_step, created_ms) SELECT i, x'00', 0, 0 FROM n",
		LIMIT_CHANGES_NOTED);
	commit(sql);
	for (int64_t row = 0; row < 100; row++) {
		cr_assert(changes_since(changes, mark, CHANGES_SESSIONS, row));
		cr_assert(changes_since(changes, mark, CHANGES_TOTP, 100 + LIMIT_CHANGES_NOTED - row));
	}
	expect_seen("UPDATE sessions SET revoked_ms = 1 WHERE id = 1", CHANGES_SESSIONS, 1);
}

/* Ids that follow each other are spread over all places: a change of one row is not a change of all. */
Test(changes, rows_share_their_numbers_evenly)
{
	const uint64_t mark = changes_mark(changes);
	int touched = 0;

	commit("UPDATE sessions SET revoked_ms = 1 WHERE id = 1");
	for (int64_t row = 2; row < 2 + 4 * LIMIT_CHANGES_ROWS; row++)
		touched += changes_since(changes, mark, CHANGES_SESSIONS, row);
	cr_expect_leq(touched, 8);
	cr_expect_geq(touched, 1, "they are more than there are places");
}
