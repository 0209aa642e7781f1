/* What has had its time goes, and nothing else; never the row with the highest id. */
#include "server/accounts/sweep.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/scratch.h"

enum { RETENTION = 600000, LOOKS = 1000 };

static struct scratch scratch;
static struct store *store;
static struct db *db;
static struct metrics *metrics;
static struct sweep sweep;
static int64_t now_ms;

static void setup(void)
{
	clock_start();
	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, NULL), 0);
	db = store_writer(store);
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	sweep_init(&sweep, metrics, RETENTION);
	now_ms = clock_now_ms();
	cr_assert_eq(db_execute(db,
			     "INSERT INTO users (public_id, username, username_key, password, admin, disabled, "
			     "created_ms, updated_ms) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'a', 'a', '', 0, 0, 0, 0)"),
		0);
}

static void teardown(void)
{
	metrics_free(metrics);
	store_close(store);
	scratch_remove(&scratch);
}

TestSuite(sweep, .init = setup, .fini = teardown, .timeout = 20);

static __attribute__((format(printf, 1, 2))) void execute(const char *format, ...)
{
	char sql[600];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	cr_assert_eq(db_execute(db, sql), 0, "%s: %s", sql, db_message(db));
}

/* Ends are ages: how long ago; negative: ahead. `revoked_age` 0: it is not. */
static void add_session(int64_t id, int64_t expires_age, int64_t revoked_age)
{
	const struct session session = {
		.id = id,
		.user_id = 1,
		.generation = 1,
		.expires_ms = now_ms - expires_age,
		.revoked_ms = revoked_age ? now_ms - revoked_age : 0,
		.client = "",
		.user_agent = "",
	};

	cr_assert_eq(sessions_add(db, &session), 0);
}

static void add_link(int64_t id, int64_t expires_age, int64_t used_age)
{
	execute("INSERT INTO links (id, purpose, user_id, email, email_key, username, password, created_ms, "
		"expires_ms, used_ms) "
		"VALUES (%" PRId64 ", 'reset', 1, '', '', '', '', 0, %" PRId64 ", %" PRId64 ")",
		id, now_ms - expires_age, used_age ? now_ms - used_age : 0);
}

static void add_lines(int import, int64_t count, int64_t age)
{
	cr_assert_eq(db_begin(db), 0);
	for (int64_t line = 1; line <= count; line++)
		execute("INSERT INTO user_imports VALUES ('import-%d', %" PRId64
			", '', '', '', NULL, NULL, '', 0, 0, %" PRId64 ")",
			import, line, now_ms - age);
	cr_assert_eq(db_commit(db), 0);
}

/* One round, as the janitor goes through it; how many jobs it took. */
static int go_round(void)
{
	int jobs = 0;

	for (int i = 0; i < LOOKS; i++) {
		int found = sweep_look(&sweep, db);
		cr_assert_geq(found, 0);
		if (found == JANITOR_DONE)
			return jobs;
		if (found == JANITOR_WRITE) {
			cr_assert_eq(sweep_write(db, &sweep), 0);
			jobs++;
		}
	}
	cr_assert_fail("a round without end");
	return jobs;
}

static int64_t sessions(void)
{
	static const char sql[] = "SELECT count(*) FROM sessions";
	return outbox_rows_number(db, sql);
}

static int64_t links(void)
{
	static const char sql[] = "SELECT count(*) FROM links";
	return outbox_rows_number(db, sql);
}

static int64_t lines(void)
{
	static const char sql[] = "SELECT count(*) FROM user_imports";
	return outbox_rows_number(db, sql);
}

static int64_t removed(enum sweep_kind kind)
{
	return (int64_t)atomic_load(&sweep.removed[kind]->value);
}

Test(sweep, what_ended_long_enough_ago_goes)
{
	static const char left[] = "SELECT sum(id) FROM sessions", left_links[] = "SELECT sum(id) FROM links";

	add_session(1, RETENTION + 1000, 0);		     /* goes: ran out */
	add_session(2, RETENTION - 60000, 0);		     /* ran out, not long ago */
	add_session(4, -1000000, RETENTION + 1000);	     /* goes: revoked */
	add_session(8, -1000000, RETENTION - 60000);	     /* revoked, not long ago */
	add_session(16, RETENTION + 1000, RETENTION + 2000); /* goes */
	add_session(32, -1000000, 0);			     /* lives */
	add_link(1, RETENTION + 1000, 0);		     /* goes */
	add_link(2, RETENTION - 60000, 0);
	add_link(4, -1000000, RETENTION + 1000); /* goes */
	add_link(8, -1000000, 0);
	(void)go_round();
	cr_expect_eq(outbox_rows_number(db, left), 2 + 8 + 32);
	cr_expect_eq(outbox_rows_number(db, left_links), 2 + 8);
	cr_expect_eq(removed(SWEEP_SESSIONS), 3);
	cr_expect_eq(removed(SWEEP_LINKS), 2);
}

Test(sweep, the_highest_id_stays)
{
	int64_t last = 0;

	for (int64_t id = 1; id <= 5; id++) {
		add_session(id, RETENTION + 1000, RETENTION + 1000);
		add_link(id, RETENTION + 1000, RETENTION + 1000);
	}
	(void)go_round();
	cr_expect_eq(sessions(), 1);
	cr_expect_eq(links(), 1);
	cr_assert_eq(sessions_last_id(db, &last), 0);
	cr_expect_eq(last, 5);
}

Test(sweep, what_has_run_out_stays_so_when_the_clock_is_set_back)
{
	struct session_owner owner;

	add_session(1, 1000, 0);
	add_session(2, -1000000, 0);
	cr_assert_eq(sessions_owner(db, 1, now_ms - 60000, &owner), 0);
	cr_assert(owner.live, "it could not be seen otherwise");
	(void)go_round();
	cr_assert_eq(sessions_owner(db, 1, now_ms - 60000, &owner), 0);
	cr_assert_not(owner.live);
	cr_assert_eq(sessions_owner(db, 2, now_ms - 60000, &owner), 0);
	cr_assert(owner.live);
}

Test(sweep, a_link_that_has_run_out_keeps_no_password)
{
	add_link(1, 1000, 0);
	add_link(2, -1000000, 0);
	execute("UPDATE links SET password = 'hash'");
	(void)go_round();
	cr_expect_eq(outbox_rows_number(db, "SELECT count(*) FROM links WHERE id = 1 AND password = ''"), 1);
	cr_expect_eq(outbox_rows_number(db, "SELECT count(*) FROM links WHERE id = 2 AND password = 'hash'"), 1);
}

Test(sweep, goes_in_small_jobs_through_many_rows)
{
	enum { MANY = 5050 };

	cr_assert_eq(db_begin(db), 0);
	for (int64_t id = 1; id <= MANY; id++)
		add_session(id, id <= 2 * LIMIT_SWEEP_ROWS || id > MANY - 50 ? RETENTION + 1000 : -1000000, 0);
	cr_assert_eq(db_commit(db), 0);
	cr_expect_eq(go_round(), 3);
	cr_expect_eq(sessions(), MANY - 2 * LIMIT_SWEEP_ROWS - 49);
}

Test(sweep, lines_of_a_broken_import_go_after_a_day)
{
	add_lines(1, 2 * LIMIT_SWEEP_ROWS + 1, LIMIT_IMPORT_MS + 60000);
	add_lines(2, 3, LIMIT_IMPORT_MS + 60000);
	add_lines(3, 5, LIMIT_IMPORT_MS - 60000);
	cr_expect_eq(go_round(), 4);
	cr_expect_eq(lines(), 5);
	cr_expect_eq(removed(SWEEP_IMPORTS), 2 * LIMIT_SWEEP_ROWS + 4);
}

Test(sweep, a_row_that_has_changed_since_it_was_found_stays)
{
	add_session(1, RETENTION + 1000, 0);
	add_session(2, -1000000, 0);
	cr_assert_eq(sweep_look(&sweep, db), JANITOR_WRITE);
	execute("UPDATE sessions SET expires_ms = %" PRId64, now_ms + 1000000);
	cr_assert_eq(sweep_write(db, &sweep), 0);
	cr_expect_eq(sessions(), 2);
	cr_expect_eq(go_round(), 0);
}

Test(sweep, the_next_round_has_its_time)
{
	add_session(1, RETENTION + 1000, 0);
	add_session(2, -1000000, 0);
	(void)go_round();
	cr_assert_eq(sessions(), 1);
	add_session(3, RETENTION + 1000, 0);
	add_session(4, -1000000, 0);
	cr_expect_eq(sweep_look(&sweep, db), JANITOR_DONE);
	sweep.next_us = 0;
	(void)go_round();
	cr_expect_eq(sessions(), 2);
}
