/* What db.h promises, asked of the engine that stands behind it. */
#include "background/store/db.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/limits.h"
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

TestSuite(db, .init = setup, .fini = teardown);

Test(db, gives_back_what_was_bound)
{
	static const char in[] = "INSERT INTO t (name, n, b) VALUES ($1, $2, $3)";
	static const char out[] = "SELECT name, n, b FROM t ORDER BY id";
	static const unsigned char bytes[] = {0, 1, 255, 0};
	struct db_statement *s = NULL;
	size_t len = 99;

	cr_assert_eq(db_prepare(db, in, &s), 0);
	db_bind_text(s, 1, "Zoë");
	db_bind_int(s, 2, INT64_MIN);
	db_bind_blob(s, 3, bytes, sizeof(bytes));
	cr_assert_eq(db_run(s), 0);
	cr_assert_eq(db_changes(db), 1);
	cr_assert_eq(db_prepare(db, in, &s), 0, "a finished statement can be prepared again");
	db_bind_text(s, 1, NULL);
	db_bind_int(s, 2, 7);
	db_bind_blob(s, 3, NULL, 0);
	cr_assert_eq(db_run(s), 0);

	cr_assert_eq(db_prepare(db, out, &s), 0);
	cr_assert_eq(db_step(s), 1);
	cr_assert_str_eq(db_text(s, 0), "Zoë");
	cr_assert_eq(db_int(s, 1), INT64_MIN);
	cr_assert_eq(memcmp(db_blob(s, 2, &len), bytes, sizeof(bytes)), 0);
	cr_assert_eq(len, sizeof(bytes));
	cr_assert_eq(db_step(s), 1);
	cr_assert_null(db_text(s, 0));
	(void)db_blob(s, 2, &len);
	cr_assert_eq(len, 0);
	cr_assert_eq(db_step(s), 0);
	db_finish(s);
}

Test(db, bindings_do_not_outlive_their_use)
{
	static const char sql[] = "INSERT INTO t (name, n) VALUES ($1, $2)";
	struct db_statement *s = NULL;

	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	db_bind_text(s, 1, "b");
	cr_assert_eq(db_run(s), ERR_INVALID, "n is NOT NULL and was not bound this time");
}

Test(db, a_parameter_that_is_not_in_the_text_fails_the_next_step)
{
	static const char sql[] = "INSERT INTO t (name, n) VALUES ($1, 1)";
	struct db_statement *s = NULL;

	cr_assert_eq(db_prepare(db, sql, &s), 0);
	db_bind_text(s, 1, "a");
	db_bind_int(s, 2, 5);
	cr_assert_eq(db_run(s), ERR_INVALID);
	cr_assert_eq(open_db_count(db), 0);
}

Test(db, parameters_out_of_order_are_a_bug, .signal = SIGABRT)
{
	static const char sql[] = "INSERT INTO t (name, n) VALUES ($2, $1)";
	struct db_statement *s = NULL;

	scratch_remove(&opened.scratch); /* nobody does after an abort */
	(void)!db_prepare(db, sql, &s);
}

Test(db, preparing_a_statement_in_use_is_a_bug, .signal = SIGABRT)
{
	static const char sql[] = "SELECT n FROM t";
	struct db_statement *s = NULL;

	scratch_remove(&opened.scratch); /* nobody does after an abort */
	(void)!db_prepare(db, sql, &s);
	(void)!db_prepare(db, sql, &s);
}

Test(db, constraints_have_their_codes)
{
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(open_db_insert(db, "a", 2), ERR_EXISTS);
	cr_assert_eq(db_execute(db, "INSERT INTO t (id, n) VALUES (1, 1)"), ERR_EXISTS);
	cr_assert_eq(db_execute(db, "INSERT INTO child (t) VALUES (42)"), ERR_INVALID, "foreign keys are enforced");
	cr_assert_eq(db_execute(db, "SELECT nothing FROM t"), ERR_STORE);
	cr_assert_not_null(strstr(db_message(db), "nothing"));
	cr_assert_str_eq(db_error_kind(db), "other");
	cr_assert_eq(db_execute(db, "INSERT INTO t (n) VALUES (\"text\")"), ERR_STORE, "double quotes name columns");
}

Test(db, statements_are_bounded)
{
	static char texts[LIMIT_DB_STATEMENTS + 1][32];
	struct db_statement *s = NULL;
	int err = 0;
	int prepared = 0;

	for (int i = 0; i < LIMIT_DB_STATEMENTS + 1 && err == 0; i++) {
		snprintf(texts[i], sizeof(texts[i]), "SELECT %d", i);
		err = db_prepare(db, texts[i], &s);
		if (err == 0) {
			db_finish(s);
			prepared++;
		}
	}
	cr_assert_eq(err, ERR_LIMIT);
	cr_assert_geq(prepared, 50);
	cr_assert_eq(db_prepare(db, texts[0], &s), 0, "those that are there go on");
	db_finish(s);
}

Test(db, a_transaction_is_all_or_nothing)
{
	cr_assert_eq(db_begin(db), 0);
	cr_assert(db_in_transaction(db));
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	db_rollback(db);
	cr_assert_not(db_in_transaction(db));
	cr_assert_eq(open_db_count(db), 0);
	db_rollback(db);

	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(open_db_count(db), 1);
}

Test(db, a_savepoint_takes_back_its_part_alone)
{
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(db_savepoint(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_release(db), 0);
	cr_assert_eq(db_savepoint(db), 0);
	cr_assert_eq(open_db_insert(db, "b", 1), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), ERR_EXISTS);
	cr_assert_eq(db_rollback_to_savepoint(db), 0);
	cr_assert_eq(db_savepoint(db), 0);
	cr_assert_eq(open_db_insert(db, "c", 1), 0);
	cr_assert_eq(db_release(db), 0);
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(open_db_count(db), 2);
}

Test(db, a_commit_that_fails_is_rolled_back)
{
	cr_assert_eq(db_execute(db, "CREATE TABLE late (t BIGINT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"), 0);
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_execute(db, "INSERT INTO late VALUES (42)"), 0);
	cr_assert_eq(db_commit(db), ERR_INVALID);
	cr_assert_not(db_in_transaction(db));
	cr_assert_eq(open_db_count(db), 0);
}

Test(db, a_reader_sees_commits_and_writes_nothing)
{
	struct db *reader = NULL;

	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_eq(db_open(opened.scratch.url, DB_READER, &reader), 0);
	cr_assert_eq(open_db_count(reader), 1);
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(open_db_insert(db, "b", 1), 0);
	cr_assert_eq(open_db_count(reader), 1, "what is not committed is not seen, and does not block");
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(open_db_count(reader), 2);
	cr_assert_eq(open_db_insert(reader, "c", 1), ERR_STORE);
	db_close(reader);
}

Test(db, a_reader_leaves_the_log_to_the_writer)
{
	struct db *reader = NULL;

	cr_assert_eq(db_open(opened.scratch.url, DB_READER, &reader), 0);
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	int64_t before = db_wal_bytes(db);
	cr_assert_gt(before, 0);
	cr_assert_eq(open_db_count(reader), 1);
	db_close(reader);
	cr_assert_eq(db_wal_bytes(db), before);
	db_close(db);
	db = NULL;
	cr_assert_neq(access(opened.scratch.path, F_OK), -1);
	char wal[200];
	snprintf(wal, sizeof(wal), "%s-wal", opened.scratch.path);
	cr_assert_eq(access(wal, F_OK), -1, "the writer copies it back and takes it away");
}

Test(db, a_reader_alone_leaves_the_log_of_a_dead_writer)
{
	struct db *reader = NULL;
	struct stat before;
	struct stat after;
	char wal[200];
	int status = 0;

	db_close(db);
	db = NULL;
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		_exit(db_open(opened.scratch.url, DB_WRITER, &db) != 0 || open_db_insert(db, "a", 1) != 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	snprintf(wal, sizeof(wal), "%s-wal", opened.scratch.path);
	cr_assert_eq(stat(wal, &before), 0);
	cr_assert_eq(db_open(opened.scratch.url, DB_READER, &reader), 0);
	cr_assert_eq(open_db_count(reader), 1);
	db_close(reader);
	cr_assert_eq(stat(wal, &after), 0);
	cr_assert_eq(after.st_size, before.st_size);
}

Test(db, the_log_shrinks_after_it_has_grown)
{
	static const char sql[] = "INSERT INTO t (n, b) VALUES (1, $1)";
	static char big[24 << 20];
	struct db_statement *s = NULL;

	cr_assert_eq(db_prepare(db, sql, &s), 0);
	db_bind_blob(s, 1, big, sizeof(big));
	cr_assert_eq(db_run(s), 0);
	cr_assert_gt(db_wal_bytes(db), (int64_t)sizeof(big));
	cr_assert_eq(open_db_insert(db, "a", 1), 0);
	cr_assert_leq(db_wal_bytes(db), 16 << 20);
}

Test(db, the_connection_is_set_up_as_the_design_says)
{
	static const struct {
		const char *sql, *value;
	} settings[] = {{"PRAGMA journal_mode", "wal"}, {"PRAGMA synchronous", "2"}, {"PRAGMA foreign_keys", "1"},
		{"PRAGMA mmap_size", "0"}, {"PRAGMA trusted_schema", "0"}, {"PRAGMA cell_size_check", "1"},
		{"PRAGMA wal_autocheckpoint", "1000"}, {"PRAGMA query_only", "0"}, {"PRAGMA temp_store", "2"},
		{"PRAGMA secure_delete", "1"}};
	static const char autocheckpoint[] = "PRAGMA wal_autocheckpoint";
	struct db_statement *s = NULL;
	struct db *reader = NULL;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		cr_assert_eq(db_prepare(db, settings[i].sql, &s), 0);
		cr_assert_eq(db_step(s), 1);
		cr_assert_str_eq(db_text(s, 0), settings[i].value, "%s", settings[i].sql);
		db_finish(s);
	}
	cr_assert_eq(db_open(opened.scratch.url, DB_READER, &reader), 0);
	cr_assert_eq(db_prepare(reader, autocheckpoint, &s), 0);
	cr_assert_eq(db_step(s), 1);
	cr_assert_eq(db_int(s, 0), 0);
	db_finish(s);
	db_close(reader);
}

Test(db, files_are_private_whatever_the_umask)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct scratch other;
	struct stat status;
	struct db *second = NULL;
	char path[200];

	scratch_make(&other);
	mode_t before = umask(0);
	cr_assert_eq(db_open(other.url, DB_WRITER, &second), 0);
	cr_assert_eq(db_execute(second, "CREATE TABLE x (id INTEGER PRIMARY KEY)"), 0);
	umask(before);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", other.path, suffixes[i]);
		cr_assert_eq(stat(path, &status), 0);
		cr_assert_eq(status.st_mode & 0777, 0600, "%s", path);
	}
	db_close(second);
	scratch_remove(&other);
}

Test(db, names_mean_files_and_nothing_else)
{
	struct db *other = NULL;
	const char *path = NULL;

	cr_assert_eq(db_path("sqlite:var/x.db", &path), 0);
	cr_assert_str_eq(path, "var/x.db");
	cr_assert_eq(db_open("postgres://x", DB_WRITER, &other), ERR_INVALID);
	cr_assert_eq(db_open("sqlite:", DB_WRITER, &other), ERR_INVALID);
	cr_assert_eq(chdir(opened.scratch.folder), 0);
	cr_assert_eq(db_open("sqlite:file:x?mode=memory", DB_WRITER, &other), 0);
	cr_assert_eq(access("file:x?mode=memory", F_OK), 0);
	db_close(other);
	cr_assert_eq(db_open("sqlite::memory:", DB_WRITER, &other), 0);
	cr_assert_eq(access(":memory:", F_OK), 0);
	db_close(other);
}
