/* What can go wrong with a file, and that each is told apart: db_message for people, db_error_kind for the metric. */
#include "background/store/db.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "background/store/db_sqlite.h"
#include "tests/support/open_db.h"

static struct open_db opened;
static struct db *db;

static void setup(void)
{
	open_db_make(&opened);
	db = opened.db;
}

static void teardown(void)
{
	opened.db = db; /* as the test has left it */
	open_db_remove(&opened);
}

TestSuite(db_trouble, .init = setup, .fini = teardown);

Test(db_trouble, opening_says_what_is_wrong)
{
	char why[DB_MESSAGE_SIZE] = "";
	char url[220];
	struct db *other = NULL;

	snprintf(url, sizeof(url), "sqlite:%s/none.db", opened.scratch.folder);
	cr_assert_eq(db_open_why(url, DB_READER, &other, why), ERR_STORE, "a reader creates nothing");
	cr_assert_not_null(strstr(why, "No such file"), "%s", why);
	snprintf(url, sizeof(url), "sqlite:%s/none/x.db", opened.scratch.folder);
	cr_assert_eq(db_open_why(url, DB_WRITER, &other, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "No such file"), "%s", why);

	snprintf(url, sizeof(url), "sqlite:%s/noise.db", opened.scratch.folder);
	FILE *file = fopen(url + strlen("sqlite:"), "w");
	cr_assert_not_null(file);
	for (int i = 0; i < 1000; i++)
		fprintf(file, "this is no database\n");
	fclose(file);
	cr_assert_eq(db_open_why(url, DB_WRITER, &other, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "not a database"), "%s", why);
	cr_assert_null(other);
}

Test(db_trouble, full_is_told_apart)
{
	static char big[1 << 20];
	static const char sql[] = "INSERT INTO t (n, b) VALUES (1, $1)";
	struct db_statement *s = NULL;

	cr_assert_eq(db_execute(db, "PRAGMA max_page_count=20"), 0);
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	db_bind_blob(s, 1, big, sizeof(big));
	cr_assert_eq(db_run(s), ERR_STORE);
	db_rollback(db);
	cr_assert_str_eq(db_error_kind(db), "full");
	cr_assert_not_null(strstr(db_message(db), "full"));
	cr_assert_eq(open_db_count(db), 0);
}

Test(db_trouble, an_io_error_is_told_apart_and_undone)
{
	struct rlimit before;
	struct rlimit none = {.rlim_cur = 0};

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	none.rlim_max = before.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	int err = db_begin(db);
	if (err == 0)
		err = open_db_insert(db, "a", 1);
	if (err == 0)
		err = db_commit(db);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	cr_assert_eq(err, ERR_STORE);
	cr_assert_str_eq(db_error_kind(db), "io");
	cr_assert_not_null(strstr(db_message(db), "File too large"), "%s", db_message(db));
	cr_assert_not(db_in_transaction(db));
	cr_assert_eq(open_db_count(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
}

Test(db_trouble, busy_is_told_apart)
{
	struct db *other = NULL;

	cr_assert_eq(db_open(opened.scratch.url, DB_WRITER, &other), 0);
	cr_assert_eq(db_begin(other), 0);
	cr_assert_eq(db_begin(db), ERR_STORE);
	cr_assert_str_eq(db_error_kind(db), "busy");
	db_rollback(other);
	cr_assert_eq(db_begin(db), 0);
	db_rollback(db);
	db_close(other);
}

Test(db_trouble, a_torn_page_is_corrupt)
{
	char big[8192];
	char zeros[4096];
	int64_t pages = 0;

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	memset(zeros, 0, sizeof(zeros));
	for (int i = 0; i < 50; i++) {
		snprintf(big, 16, "%d", i);
		big[strlen(big)] = 'x';
		cr_assert_eq(open_db_insert(db, big, i), 0);
	}
	db_close(db);
	FILE *file = fopen(opened.scratch.path, "r+");
	cr_assert_not_null(file);
	/* all but the first page, so that the schema is read and the table is not */
	fseek(file, 0, SEEK_END);
	pages = ftell(file) / 4096;
	fseek(file, 4096, SEEK_SET);
	for (int64_t i = 1; i < pages; i++)
		cr_assert_eq(fwrite(zeros, sizeof(zeros), 1, file), 1);
	fclose(file);

	static const char sql[] = "SELECT count(n) FROM t";
	struct db_statement *s = NULL;
	cr_assert_eq(db_open(opened.scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	cr_assert_eq(db_step(s), ERR_STORE);
	db_finish(s);
	cr_assert_str_eq(db_error_kind(db), "corrupt");
}

static sqlite3_mem_methods allocator;
static bool none_left;

static void *allocate(int size)
{
	return none_left ? NULL : allocator.xMalloc(size);
}

static void *allocate_again(void *old, int size)
{
	return none_left ? NULL : allocator.xRealloc(old, size);
}

/* SQLite takes another allocator only while nothing of it is in use. */
static void open_with_allocator(void)
{
	sqlite3_mem_methods failing;

	db_close(db);
	db = NULL;
	cr_assert_eq(sqlite3_shutdown(), SQLITE_OK);
	cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &allocator), SQLITE_OK);
	failing = allocator;
	failing.xMalloc = allocate;
	failing.xRealloc = allocate_again;
	cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
	cr_assert_eq(db_open(opened.scratch.url, DB_WRITER, &db), 0);
}

/* Nobody steps again after the only row, to be told of it then. */
Test(db_trouble, want_of_memory_is_no_empty_text)
{
	/* made only when it is read */
	static const char sql[] = "SELECT zeroblob(100000)";
	struct db_statement *s = NULL;
	char text[8] = "before";

	open_with_allocator();
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	cr_assert_eq(db_step(s), 1);
	none_left = true;
	const int err = db_copy_text(s, 0, text, sizeof(text));
	none_left = false;
	cr_expect_eq(err, ERR_MEMORY);
	cr_expect_str_eq(text, "before");
	db_finish(s);
}

static int rollback_made_again(void)
{
	for (size_t i = 0; i < db->count; i++)
		if (db->texts[i] == sqlite_rollback_text)
			return sqlite3_stmt_status(db->statements[i].handle, SQLITE_STMTSTATUS_REPREPARE, 0);
	cr_assert_fail("it was never made");
	return 0;
}

static void ignore(void *arg, size_t table, int64_t row)
{
	(void)arg;
	(void)table;
	(void)row;
}

/* Made when it is needed, it could fail for lack of memory, as what is to be undone may have. */
Test(db_trouble, the_way_back_is_there_before_it_is_needed)
{
	static const char *const tables[] = {"t"};
	static const struct db_watch watch = {.tables = tables, .count = 1, .changed = ignore};

	cr_assert_eq(db_watch(db, &watch), 0);
	const int made = rollback_made_again();
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	db_rollback(db);
	cr_expect_eq(open_db_count(db), 0);
	cr_expect_eq(rollback_made_again(), made);
}
