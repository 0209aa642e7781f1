/* Lock, folder, files, schema. */
#include "background/store/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background/store/audit.h"
#include "tests/support/scratch.h"

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

TestSuite(store, .init = setup, .fini = teardown);

static int64_t number(struct db *db, const char *sql)
{
	struct db_statement *s = NULL;

	cr_assert_eq(db_prepare(db, sql, &s), 0, "%s", db_message(db));
	cr_assert_eq(db_step(s), 1);
	int64_t n = db_int(s, 0);
	db_finish(s);
	return n;
}

Test(store, opens_closes_and_opens_again)
{
	struct store *store = NULL;
	struct db *reader = NULL;

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
		cr_assert_eq(store_reader(store, &reader), 0);
		cr_assert_eq(number(reader, "SELECT version FROM schema_version"), 3);
		cr_assert_eq(number(reader, "SELECT count(*) FROM users"), 0);
		db_close(reader);
		store_close(store);
	}
	store_close(NULL);
}

Test(store, makes_private_folders)
{
	struct store *store = NULL;
	struct stat status;
	char url[256];

	snprintf(url, sizeof(url), "sqlite:%s/a/b/store.db", scratch.folder);
	mode_t before = umask(0);
	cr_assert_eq(store_open(url, &store, why), 0, "%s", why);
	umask(before);
	static const char *const made[] = {"a", "a/b"};
	for (size_t i = 0; i < 2; i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s/%s", scratch.folder, made[i]);
		cr_assert_eq(stat(path, &status), 0);
		cr_assert_eq(status.st_mode & 0777, 0700);
	}
	cr_assert_eq(stat(url + strlen("sqlite:"), &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0600);
	store_close(store);
}

Test(store, takes_a_path_relative_to_the_working_folder)
{
	struct store *store = NULL;

	cr_assert_eq(chdir(scratch.folder), 0);
	cr_assert_eq(store_open("sqlite:store.db", &store, why), 0, "%s", why);
	cr_assert_eq(access("store.db", F_OK), 0);
	cr_assert_str_eq(store_socket_path(store), "store.db.sock");
	store_close(store);
	cr_assert_eq(store_open("sqlite:var/store.db", &store, why), 0, "%s", why);
	cr_assert_eq(access("var/store.db.lock", F_OK), 0);
	store_close(store);
}

Test(store, belongs_to_one_at_a_time)
{
	struct store *first = NULL;
	struct store *second = NULL;

	cr_assert_eq(store_open(scratch.url, &first, why), 0, "%s", why);
	cr_assert_eq(store_open(scratch.url, &second, why), ERR_LOCKED);
	cr_assert_not_null(strstr(why, ".lock"), "%s", why);
	cr_assert_null(second);
	cr_assert_eq(store_open(scratch.url, &second, NULL), ERR_LOCKED);
	store_close(first);
	cr_assert_eq(store_open(scratch.url, &second, why), 0, "%s", why);
	store_close(second);
}

Test(store, a_dead_process_leaves_no_lock)
{
	struct store *store = NULL;
	int status = 0;

	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		if (store_open(scratch.url, &store, NULL) != 0)
			_exit(1);
		if (db_execute(store_writer(store), "INSERT INTO server_secrets VALUES ('x', 'y')") != 0)
			_exit(2);
		_exit(0); /* without closing: the log is not copied back */
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	cr_assert_eq(number(store_writer(store), "SELECT count(*) FROM server_secrets"), 1);
	store_close(store);
}

Test(store, a_newer_schema_is_refused_and_left_alone)
{
	struct store *store = NULL;
	struct db *db = NULL;

	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	cr_assert_eq(db_execute(store_writer(store), "UPDATE schema_version SET version = 99"), 0);
	store_close(store);
	store = NULL;
	cr_assert_eq(store_open(scratch.url, &store, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "99"), "%s", why);
	cr_assert_not_null(strstr(why, "newer"), "%s", why);
	cr_assert_null(store);
	cr_assert_eq(db_open(scratch.url, DB_READER, &db), 0, "the lock is free again");
	cr_assert_eq(number(db, "SELECT version FROM schema_version"), 99);
	db_close(db);
}

Test(store, a_step_that_fails_leaves_nothing_behind)
{
	struct store *store = NULL;
	struct db *db = NULL;

	/* a table of the first step is there already: everything before it in that step must go */
	cr_assert_eq(db_open(scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(db_execute(db, "CREATE TABLE effects (x BIGINT)"), 0);
	db_close(db);
	cr_assert_eq(store_open(scratch.url, &store, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "version 1"), "%s", why);
	cr_assert_not_null(strstr(why, "effects"), "%s", why);
	cr_assert_eq(db_open(scratch.url, DB_WRITER, &db), 0);
	cr_assert_eq(number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'users'"), 0);
	cr_assert_eq(number(db, "SELECT version FROM schema_version"), 0);
	cr_assert_eq(db_execute(db, "DROP TABLE effects"), 0);
	db_close(db);
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "the step is taken when nothing is in its way: %s", why);
	store_close(store);
}

Test(store, what_can_not_be_opened_is_said)
{
	struct store *store = NULL;
	char url[256];

	cr_assert_eq(store_open("mysql:x", &store, why), ERR_INVALID);
	cr_assert_not_null(strstr(why, "sqlite:PATH"));
	snprintf(url, sizeof(url), "sqlite:%s/file", scratch.folder);
	FILE *file = fopen(url + strlen("sqlite:"), "w");
	cr_assert_not_null(file);
	fclose(file);
	snprintf(url, sizeof(url), "sqlite:%s/file/x.db", scratch.folder);
	cr_assert_eq(store_open(url, &store, why), ERR_STORE);
	cr_assert_not_null(strstr(why, "Not a directory"), "%s", why);
	snprintf(url, sizeof(url), "sqlite:%s/folder", scratch.folder);
	cr_assert_eq(mkdir(url + strlen("sqlite:"), 0700), 0);
	cr_assert_eq(store_open(url, &store, why), ERR_STORE);
	cr_assert_null(store);
}

Test(store, socket_paths)
{
	char path[16];

	cr_assert_eq(store_socket_path_of("sqlite:v/t.db", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "v/t.db.sock");
	cr_assert_eq(store_socket_path_of("sqlite:1234567890", path, sizeof(path)), 0, "it just fits");
	cr_assert_eq(store_socket_path_of("sqlite:12345678901", path, sizeof(path)), ERR_LIMIT);
	cr_assert_eq(store_socket_path_of("file", path, sizeof(path)), ERR_INVALID);
}

Test(store, audit_rows_are_added)
{
	static const char sql[] = "SELECT type, user_id, session_id, client, request_id, at_ms FROM audit";
	struct audit_entry entry = {.type = "user.login",
		.user_id = 3,
		.session_id = 4,
		.client = "127.0.0.1",
		.request_id = "r",
		.at_ms = 5};
	struct store *store = NULL;
	struct db_statement *s = NULL;

	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	struct db *db = store_writer(store);
	cr_assert_eq(audit_add(db, &entry), 0);
	cr_assert_eq(audit_add(db, &entry), 0, "the same may happen twice");
	cr_assert_eq(db_prepare(db, sql, &s), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(db_step(s), 1);
		cr_assert_str_eq(db_text(s, 0), "user.login");
		cr_assert_eq(db_int(s, 1), 3);
		cr_assert_eq(db_int(s, 2), 4);
		cr_assert_str_eq(db_text(s, 3), "127.0.0.1");
		cr_assert_str_eq(db_text(s, 4), "r");
		cr_assert_eq(db_int(s, 5), 5);
	}
	cr_assert_eq(db_step(s), 0);
	db_finish(s);
	store_close(store);
}
