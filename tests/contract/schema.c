/*
 * Steps of the schema: a store of an older version is brought up to date with all its rows, and only whole steps count.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background/store/outbox_admin.h"
#include "background/store/store.h"
#include "tests/support/outbox_rows.h"

static struct scratch scratch;
static char why[256];

static void setup(void)
{
	scratch_make(&scratch);
}

static void teardown(void)
{
	scratch_remove(&scratch);
}

TestSuite(schema, .init = setup, .fini = teardown);

/* As the first version of the program wrote them. */
static const char version_1_rows[] =
	"INSERT INTO events (id, event_id, type, user_id, subject, data, traceparent, unrecorded, created_ms)"
	" VALUES (1, '00000000000000000000000001', 'user.login', 7, 's', '{}', '', '', 1000);"
	"INSERT INTO effects (id, event, effect, delivery, state, attempts, due_ms, created_ms, settled_ms, cause, "
	"reason,"
	" reply, log) VALUES"
	" (1, 1, 'crm', 'durable', 0, 0, 1000, 1000, 0, '', '', NULL, '[]'),"		 /* never tried */
	" (2, 1, 'crm', 'durable', 0, 1, 1000, 1000, 0, '', '', NULL, '[]'),"		 /* in flight at the end */
	" (3, 1, 'crm', 'durable', 0, 2, 9000, 1000, 0, '', 'HTTP 500', NULL, '[1,2]')," /* waits */
	" (4, 1, 'crm', 'durable', 0, 0, 8000, 1000, 0, '', 'HTTP 401', NULL, '[1]')," /* waits, its attempt given back */
	" (5, 1, 'crm', 'durable', 2, 1, 1000, 1000, 5000, 'condemned', 'HTTP 400', 'no', '[1]'),"
	" (6, 1, 'crm', 'durable', 1, 1, 1000, 1000, 5000, '', '', NULL, '[1]');"
	"INSERT INTO counters (effect, kind, count) VALUES ('crm', 'pending', 4), ('crm', 'condemned', 1);";

static void make_version_1(void)
{
	struct db *db = NULL;

	cr_assert_eq(db_open(scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(schema_migrate_to(db, 1, why), 0, "%s", why);
	cr_assert_eq(db_execute(db, version_1_rows), 0, "%s", db_message(db));
	cr_assert_eq(outbox_rows_number(db, "SELECT version FROM schema_version"), 1);
	db_close(db);
}

static int see_dead(void *arg, const struct outbox_entry *entry)
{
	(void)arg;
	cr_assert_eq(entry->row, 5);
	cr_assert_str_eq(entry->recipient, "");
	cr_assert_str_eq(entry->reply, "no");
	cr_assert_eq(entry->part, 0);
	cr_assert_eq(entry->spent, 0);
	cr_assert_eq(entry->replayed_ms, 0);
	return 0;
}

static void check_migrated(void)
{
	struct store *store = NULL;
	struct begun {
		int64_t run, back_ms, rows;
	} begun = {0};

	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	struct db *db = store_writer(store);
	cr_assert_eq(outbox_begin_run(db, 7000, &begun.run, &begun.back_ms, &begun.rows), 0);
	cr_assert_eq(begun.run, 1);
	cr_assert_eq(begun.back_ms, 0);
	struct due_rows first = due_rows(db, "crm", OUTBOX_FIRST, 0, 10);
	cr_assert_eq(first.count, 2);
	cr_assert_eq(first.rows[0], 1);
	cr_assert_eq(first.rows[1], 2);
	cr_assert_eq(first.attempts[1], 1);
	cr_assert_eq(first.crashes[1], 0);
	cr_assert_eq(due_rows(db, "crm", OUTBOX_AGAIN, 7999, 10).count, 0);
	struct due_rows again = due_rows(db, "crm", OUTBOX_AGAIN, 9000, 10);
	cr_assert_eq(again.count, 2);
	cr_assert_eq(again.rows[0], 4);
	cr_assert_eq(again.rows[1], 3);
	cr_assert_eq(again.attempts[1], 2);
	cr_assert_eq(outbox_list(db, &(struct outbox_filter){.state = EFFECT_DEAD}, 0, 10, see_dead, NULL), 1);
	cr_assert(outbox_rows_add_up(db));
	store_close(store);
}

Test(schema, version_1_is_brought_up_to_date)
{
	make_version_1();
	check_migrated();
	struct store *store = NULL;
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	cr_assert_eq(outbox_rows_number(store_writer(store), "SELECT version FROM schema_version"), 3);
	store_close(store);
}

Test(schema, a_step_that_was_cut_short_is_taken_again)
{
	int status = 0;

	make_version_1();
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) { /* ends within the step: some of it is in the log of a transaction that never ended */
		struct db *db = NULL;
		if (db_open(scratch.url, DB_WRITER, &db) != 0 || db_begin(db) != 0 ||
			db_execute(db, "ALTER TABLE effects ADD COLUMN part BIGINT NOT NULL DEFAULT 0;"
				       "DROP INDEX effects_due; CREATE TABLE targets_paused (x BIGINT)") != 0)
			_exit(1);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	check_migrated();
}

Test(schema, a_step_in_whose_way_something_is_leaves_nothing_behind)
{
	struct store *store = NULL;
	struct db *db = NULL;

	make_version_1();
	cr_assert_eq(db_open(scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(db_execute(db, "CREATE TABLE outbox_run (x BIGINT)"), 0);
	db_close(db);
	cr_assert_eq(store_open(scratch.url, &store, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "version 2"), "%s", why);
	cr_assert_not_null(strstr(why, "outbox_run"), "%s", why);
	cr_assert_eq(db_open(scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(outbox_rows_number(db, "SELECT version FROM schema_version"), 1);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'targets_paused'"), 0);
	cr_assert_eq(outbox_rows_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'effects_due'"), 1);
	cr_assert_eq(db_execute(db, "DROP TABLE outbox_run"), 0);
	db_close(db);
	check_migrated();
}
