/*
 * The first start on a new store, and on one of an earlier version: SIGKILL right before each system call that changes
 * a file, or an error instead of it, on the thread that opens the store, brings its schema up to date and closes it.
 * The next start must find or make the same schema, with every row that was there.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/inject.h"
#include "tests/support/long_form.h"
#include "tests/support/program.h"
#include "tests/support/scratch.h"
#include "tests/support/version_1.h"

enum { STRUCK_MS = 20000, SHORT_STEP = 24 };

TestSuite(migration, .timeout = 1500);

struct start {
	struct scratch scratch; /* where the program works */
	char config[192], calls[192], password[192];
	bool version_1; /* it begins with such a store, else with none */
	char *content;	/* of the store after a clean run */
};

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		harness_fail("%s: %m", path);
}

static void start_set(struct start *start, bool version_1)
{
	char text[512];

	*start = (struct start){.version_1 = version_1};
	scratch_make(&start->scratch);
	snprintf(start->config, sizeof(start->config), "%s/config.json", start->scratch.folder);
	snprintf(start->calls, sizeof(start->calls), "%s/calls", start->scratch.folder);
	snprintf(start->password, sizeof(start->password), "%s/password", start->scratch.folder);
	snprintf(text, sizeof(text), "{\"store\":\"%s\",\"password\":{\"memory_kib\":8,\"passes\":1}}",
		start->scratch.url);
	write_text(start->config, text);
	write_text(start->password, "correct horse battery staple");
}

static void start_clear(struct start *start)
{
	free(start->content);
	scratch_remove(&start->scratch);
}

static void start_again(const struct start *start)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".lock"};
	char path[256];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", start->scratch.path, suffixes[i]);
		unlink(path);
	}
	if (start->version_1)
		version_1_make(start->scratch.url);
}

/* A user is added, which opens the store, writes and closes it: the exit code, or minus the signal. */
static int run(const struct start *start, const char *const *wrapper)
{
	const char *const words[] = {"user", "add", "alice", "--password-stdin", "-c", start->config, NULL};
	const char *given = getenv("ASAN_OPTIONS");
	char options[512];
	const char *const environment[] = {options, NULL};

	/* LeakSanitizer can't work beside strace */
	snprintf(options, sizeof(options), "ASAN_OPTIONS=%s%sdetect_leaks=0", given != NULL ? given : "",
		given != NULL ? ":" : "");
	int in = open(start->password, O_RDONLY | O_CLOEXEC);
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (in < 0 || out < 0)
		harness_fail("%s: %m", start->password);
	pid_t pid = program_start(&(struct program_options){
		.wrapper = wrapper, .arguments = words, .environment = environment, .in = in, .out = out, .err = out});
	close(in);
	close(out);
	return program_wait(pid, STRUCK_MS);
}

static char *text_of(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	const char *text = (const char *)sqlite3_column_text(statement, 0);
	char *copy = strdup(text != NULL ? text : "");
	sqlite3_finalize(statement);
	return copy;
}

/* Schema and rows, as one text. Fails unless the store is sound. */
static char *content(const struct start *start, bool *ret_alice)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(start->scratch.path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		harness_fail("%s: %s", start->scratch.path, sqlite3_errmsg(db));
	char *integrity = text_of(db, "PRAGMA integrity_check");
	char *keys = text_of(db, "SELECT count(*) FROM pragma_foreign_key_check");
	char *alice = text_of(db, "SELECT count(*) FROM users WHERE username = 'alice'");
	char *text =
		text_of(db, "SELECT (SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_master ORDER BY name))"
			    " || (SELECT group_concat(version) FROM schema_version)"
			    " || ifnull((SELECT group_concat(effect || kind || count) FROM counters), '')"
			    " || ifnull((SELECT group_concat(id || event_id) FROM events), '')"
			    " || ifnull((SELECT group_concat(id || event || effect || state || attempts || due_ms || "
			    "cause || reason || log)"
			    " FROM effects), '')");

	cr_assert_not_null(strstr(text, "CREATE TABLE effects"));
	cr_assert_str_eq(integrity, "ok");
	cr_assert_str_eq(keys, "0");
	*ret_alice = strcmp(alice, "1") == 0;
	free(integrity);
	free(keys);
	free(alice);
	sqlite3_close(db);
	return text;
}

struct sum {
	size_t killed, failed, served; /* served: it did its work in spite of the error */
};

/* One call is struck; then another start, by which all is as after a clean run. */
static void strike(const struct start *start, const struct inject_fault *fault, struct sum *sum)
{
	struct inject_calls calls;
	bool alice = false;
	char where[96];

	snprintf(where, sizeof(where), "%s at %s %zu%s", fault->what, fault->call, fault->number,
		fault->from_then_on ? " and later" : "");
	start_again(start);
	int code = run(start, inject_wrapper(start->calls, fault));
	inject_read(start->calls, &calls);
	if (strcmp(fault->what, "signal=KILL") == 0) {
		cr_assert_eq(code, -SIGKILL, "%s: it did not strike: %d", where, code);
		sum->killed++;
	} else {
		cr_assert_gt(calls.injected, 0, "%s: it did not strike", where);
		cr_assert(code == 0 || code == 1, "%s: ended with %d", where, code);
		sum->failed += code == 1;
		sum->served += code == 0;
	}
	int again = run(start, NULL); /* it says no where alice is there already */
	char *text = content(start, &alice);
	cr_assert(alice, "%s: no user, codes %d and %d", where, code, again);
	cr_assert(code != 0 || again == 1, "%s: a user who was added is not there", where);
	cr_assert_str_eq(text, start->content, "%s: the store differs", where);
	free(text);
}

static void strike_each(const char *what, bool version_1)
{
	static const char *const faults[] = {"signal=KILL", "error=EIO", "error=ENOSPC"};
	struct inject_fault none = {.what = NULL};
	struct inject_calls calls;
	struct start start;
	struct sum sum = {0};
	bool alice = false;
	char text[128];

	start_set(&start, version_1);
	start_again(&start);
	cr_assert_eq(run(&start, inject_wrapper(start.calls, &none)), 0);
	inject_read(start.calls, &calls);
	start.content = content(&start, &alice);
	cr_assert(alice);
	for (size_t i = 0; i < calls.count * 5; i++) {
		struct inject_fault fault = inject_at(&calls, i / 5, faults[(i % 5 + 1) / 2]);

		fault.from_then_on = i % 5 == 2 || i % 5 == 4;
		if (long_form() || i % SHORT_STEP == 0)
			strike(&start, &fault, &sum);
	}
	start_clear(&start);
	long_form_print(
		"%s: a clean run makes %s; killed at %zu calls; of the faults %zu ended the command, %zu did not; the "
		"same store after each",
		what, inject_describe(&calls, text), sum.killed, sum.failed, sum.served);
	cr_assert_gt(sum.killed, 0);
	cr_assert_gt(sum.failed, 0);
}

Test(migration, struck_at_each_call_of_the_first_start)
{
	strike_each("first start on a new store", false);
}

Test(migration, struck_at_each_call_of_a_migration)
{
	strike_each("first start on a store of version 1", true);
}
