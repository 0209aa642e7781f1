/*
 * `tokenfirst user import`: all of a file becomes accounts, or none of it.
 *
 * It is read twice: once to find everything that is wrong with it, and then, if that is nothing, to write it. What is
 * written goes into a table of its own, a batch a command, so that a running server commits its logins in between; one
 * last command makes accounts of it in a single transaction. Whatever ends this in the middle leaves rows that nobody
 * looks at, and that the next import removes first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/id.h"
#include "server/accounts/import.h"
#include "server/accounts/import_line.h"
#include "server/cli/cli.h"
#include "server/cli/import_check.h"
#include "server/password/wrap.h"

enum {
	ROW_BYTES = 128, /* what a row takes as JSON beside its texts, names of members included */
	TRIES = 5,	 /* of a command that a busy server did not answer in time */
};

struct import {
	const struct config *config;
	struct stored_rules rules;
	struct wrapper wrapper;
	struct import_source source;
	bool wrap;
	char id[ID_SIZE];
	bool unsure; /* it was to be finished, and nobody said whether it was */
	/* of the batch in the making */
	json_t *rows;
	size_t bytes;
	int64_t written;
};

/*
 * Runs a command that replies with a number of rows. `arguments` is taken over; NULL: no memory. *ret_told: the failure is said.
 * `tries`: of one that may be run again when nobody knows whether it was.
 */
static int command(
	const struct import *import, const char *name, json_t *arguments, int tries, int64_t *ret_rows, bool *ret_told)
{
	json_t *reply = NULL;
	int err = ERR_MEMORY;

	for (int i = 0; arguments && i < tries; i++) {
		err = cli_store_command(import->config, name, arguments, &reply, ret_told);
		if (err != ERR_TIMEOUT && err != ERR_CLOSED)
			break;
		if (i + 1 < tries)
			(void)fputs("trying again\n", stderr);
	}
	json_decref(arguments);
	if (!err)
		*ret_rows = json_integer_value(json_object_get(reply, "rows"));
	json_decref(reply);
	return err;
}

/* An exit code; what an error means where it is none of the special cases. */
static int fail(int err, bool told)
{
	if (!told)
		cli_fail(CLI_FAILED, "%s",
			err == ERR_SYSTEM ? err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}) : err_text(err));
	return CLI_FAILED;
}

/* Rows of an import, "": of all there have been. */
static int forget(const struct import *import, const char *id)
{
	int64_t rows = 0;
	bool told = false;
	int err;

	do {
		err = command(import, "user.import_forget", json_pack("{s:s}", "import", id), TRIES, &rows, &told);
	} while (!err && rows > 0);
	return err ? fail(err, told) : CLI_DONE;
}

static int send_batch(struct import *import)
{
	int64_t rows = 0;
	bool told = false;
	int err;

	if (json_array_size(import->rows) == 0)
		return CLI_DONE;
	err = command(import, "user.import_add", json_pack("{s:s, s:O}", "import", import->id, "users", import->rows),
		TRIES, &rows, &told);
	import->written += rows;
	import->bytes = 0;
	json_array_clear(import->rows);
	return err ? fail(err, told) : CLI_DONE;
}

static int add_row(struct import *import, const struct user *user)
{
	size_t bytes = strlen(user->username) + strlen(user->email) + strlen(user->password) + ROW_BYTES;
	int code = CLI_DONE;

	if (json_array_size(import->rows) == LIMIT_IMPORT_BATCH || import->bytes + bytes > LIMIT_IMPORT_BYTES)
		code = send_batch(import);
	if (code != CLI_DONE)
		return code;
	import->bytes += bytes;
	if (json_array_append_new(
		    import->rows, json_pack("{s:I, s:s, s:s, s:s, s:b, s:b}", "line", (json_int_t)import->source.number,
					  "username", user->username, "email", user->email, "password", user->password,
					  "admin", user->admin, "disabled", user->disabled)))
		return fail(ERR_MEMORY, false);
	return CLI_DONE;
}

/* The line that was read last; it was right as it was read first. */
static int write_line(struct import *import)
{
	struct user user;
	char why[IMPORT_WHY] = "", wrapped[PASSWORD_HASH_SIZE];
	int err = import_line_read(import->source.line, import->source.len, &import->rules, &user, why);

	if (err == ERR_INVALID)
		return cli_fail(CLI_FAILED, "line %lld has changed while it was read: nothing is imported",
			(long long)import->source.number);
	if (!err && import->wrap) {
		err = wrapper_wrap(&import->wrapper, user.password, wrapped);
		if (!err)
			memcpy(user.password, wrapped, strlen(wrapped) + 1);
		else if (err == ERR_NOT_FOUND)
			err = 0; /* Argon2 needs none */
	}
	return err ? fail(err, false) : add_row(import, &user);
}

static int write_all(struct import *import, int64_t count)
{
	struct import_progress progress = {.done = "users written", .all = count};
	int code = CLI_DONE, got = 0;

	import_source_rewind(&import->source);
	while (code == CLI_DONE && (got = import_source_next(&import->source)) > 0) {
		code = write_line(import);
		import_progress_tell(&progress, import->written);
	}
	import_progress_end(&progress);
	if (code == CLI_DONE && got < 0)
		code = fail(got, false);
	return code == CLI_DONE ? send_batch(import) : code;
}

static int finish(struct import *import, int64_t count)
{
	char number[IMPORT_NUMBER];
	int64_t rows = 0;
	bool told = false;
	int err = command(import, "user.import_finish",
		json_pack("{s:s, s:I}", "import", import->id, "count", (json_int_t)count), 1, &rows, &told);

	if (!err) {
		(void)printf("%s users are imported\n", import_number(rows, number));
		return CLI_DONE;
	}
	if (err == ERR_EXISTS)
		return cli_fail(CLI_FAILED,
			"a name or an address was taken meanwhile: nothing is imported; the same again says which");
	if (err == ERR_STALE)
		return cli_fail(
			CLI_FAILED, "another import has begun meanwhile, or the file has changed: nothing is imported");
	import->unsure = err == ERR_TIMEOUT;
	return fail(err, told);
}

/*
 * The rows of the import have been forgotten, and a server takes one command after the other: whatever came of the one that was to
 * finish it has come by now.
 */
static int make_sure(const struct import *import, int64_t count)
{
	struct db *reader = NULL;
	char number[IMPORT_NUMBER];
	bool finished = false;
	int err = db_open(import->config->store, DB_READER, &reader);

	if (!err)
		err = import_finished(reader, import->id, &finished);
	db_close(reader);
	if (err)
		return fail(err, false);
	if (!finished)
		return cli_fail(CLI_FAILED, "it was not: nothing is imported");
	(void)printf("%s users are imported\n", import_number(count, number));
	return CLI_DONE;
}

static int write_import(struct import *import, int64_t count)
{
	int code;

	id_new(import->id, clock_now_ms());
	import->rows = json_array();
	code = import->rows ? write_all(import, count) : fail(ERR_MEMORY, false);
	if (code == CLI_DONE)
		code = finish(import, count);
	json_decref(import->rows);
	/* hashes that nobody needs any more; what fails here, the next import does */
	if (import->written > 0 && forget(import, import->id) != CLI_DONE)
		(void)cli_fail(CLI_FAILED, "the rows of this import are left in the store until the next one");
	else if (import->unsure)
		code = make_sure(import, count);
	return code;
}

/* A store that is not there yet has no account that could be in the way; *ret_reader NULL then. */
static int open_reader(const struct config *config, struct db **ret_reader)
{
	const char *path = NULL;
	char why[DB_MESSAGE_SIZE] = "";
	int err = db_path(config->store, &path);

	if (!err && access(path, F_OK) && errno == ENOENT) {
		*ret_reader = NULL;
		return CLI_DONE;
	}
	err = db_open_why(config->store, DB_READER, ret_reader, why);
	return err ? cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err)) : CLI_DONE;
}

static int check(struct import *import, struct import_counts *ret_counts)
{
	struct db *reader = NULL;
	char number[IMPORT_NUMBER];
	int code = open_reader(import->config, &reader), err;

	if (code != CLI_DONE)
		return code;
	err = import_check(&import->source, &import->rules, reader, ret_counts);
	if (err == ERR_LIMIT)
		code = cli_fail(CLI_FAILED, "more than %s lines: part them into several imports",
			import_number(LIMIT_IMPORT_LINES, number));
	else if (err == ERR_STORE)
		code = cli_fail(CLI_FAILED, "%s: %s", import->config->store, db_message(reader));
	else if (err)
		code = fail(err, false);
	else if (ret_counts->wrong > 0)
		code = cli_fail(CLI_FAILED, "nothing is imported: %s error%s in %s lines",
			import_number(ret_counts->wrong, number), ret_counts->wrong == 1 ? "" : "s",
			import_number(ret_counts->lines, (char[IMPORT_NUMBER]){0}));
	db_close(reader);
	return code;
}

static int run(struct import *import, bool dry_run)
{
	struct import_counts counts = {.lines = 0};
	char number[IMPORT_NUMBER];
	/* which also makes the store what this program reads */
	int code = dry_run ? CLI_DONE : forget(import, "");

	if (code == CLI_DONE)
		code = check(import, &counts);
	if (code != CLI_DONE)
		return code;
	if (dry_run || counts.lines == 0) {
		(void)printf("%s users can be imported\n", import_number(counts.lines, number));
		return CLI_DONE;
	}
	return write_import(import, counts.lines);
}

int cli_user_import(const struct cli *cli, const struct config *config)
{
	struct import import = {.config = config, .wrap = cli->wrap};
	const char *path = cli->operands[0];
	int code;

	if (import_source_open(path, &import.source))
		return cli_fail(CLI_FAILED, "%s: %s", path, err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}));
	stored_rules_make(config, &import.rules);
	wrapper_init(&import.wrapper, &import.rules);
	code = run(&import, cli->dry_run);
	import_source_close(&import.source);
	stored_rules_release(&import.rules);
	return code;
}
