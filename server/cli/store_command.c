/*
 * Who owns the store runs the command. Between two looks a server may have started or stopped, so while the store is
 * locked and nobody answers this looks again, for LIMIT_CONTROL_RETRY_MS: a server that is just starting
 * holds the lock before it listens.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/cli/cli.h"
#include "server/ops/command.h"
#include "server/ops/control.h"

enum { RETRY_PAUSE_MS = 50 };

/* As the owner of the store. *ret_owned false: another process is, and nothing was done. */
static int run_here(const struct config *config, const struct command *command, const json_t *arguments,
	bool *ret_owned, json_t **ret_reply, bool *ret_told)
{
	struct store *store = NULL;
	json_t *reply = NULL;
	struct db *writer;
	char why[256] = "";
	int err = store_open(config->store, &store, why);

	*ret_owned = err != ERR_LOCKED;
	if (err) {
		if (err != ERR_LOCKED) {
			cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
			*ret_told = true;
		}
		return err;
	}
	writer = store_writer(store);
	err = db_begin(writer);
	if (!err) {
		err = command->run(writer, arguments, &reply);
		if (err)
			db_rollback(writer);
		else
			err = db_commit(writer);
	}
	if (err == ERR_STORE) {
		cli_fail(CLI_FAILED, "%s: %s", config->store, db_message(writer));
		*ret_told = true;
	}
	store_close(store);
	if (err)
		json_decref(reply);
	else
		*ret_reply = reply;
	return err;
}

static int explain(const char *path, int err)
{
	switch (err) {
	case ERR_CLOSED:
		cli_fail(CLI_FAILED,
			"a process owns the store and does not answer at %s: is it a server, and is it well?", path);
		break;
	case ERR_TIMEOUT:
		cli_fail(CLI_FAILED, "the server at %s took the command and did not answer: it may or may not be done",
			path);
		break;
	case ERR_SYSTEM:
		cli_fail(CLI_FAILED, "%s: %s", path, err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}));
		break;
	default:
		cli_fail(CLI_FAILED, "%s: %s", path, err_text(err));
	}
	return err;
}

int cli_store_command(
	const struct config *config, const char *name, const json_t *arguments, json_t **ret_reply, bool *ret_told)
{
	const struct command *command = command_find(name);
	struct timespec pause = {.tv_nsec = RETRY_PAUSE_MS * 1000000L};
	int64_t deadline_us = clock_mono_us() + (int64_t)LIMIT_CONTROL_RETRY_MS * 1000;
	char path[PATH_MAX];
	bool owned = false;
	int err = 0, result = 0;

	*ret_told = false;
	for (;;) {
		if (command->run)
			err = run_here(config, command, arguments, &owned, ret_reply, ret_told);
		if (owned)
			return err;
		err = store_socket_path_of(config->store, path, sizeof(path));
		if (!err)
			err = control_send(path, name, arguments, &result, ret_reply);
		if (!err)
			return result;
		if (err != ERR_CLOSED || clock_mono_us() >= deadline_us)
			break;
		nanosleep(&pause, NULL);
	}
	*ret_told = true;
	if (err == ERR_CLOSED && !command->run) {
		cli_fail(CLI_FAILED, "no server runs on %s, and only a server can do this", config->store);
		return err;
	}
	return explain(path, err);
}
