/*
 * The list reads the store by a connection of its own: reading needs no lock, whoever owns the store, and a
 * list of any length goes row by row to stdout, a page of it at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/users_search.h"
#include "server/cli/cli.h"
#include "server/cli/terminal.h"
#include "server/ops/users_json.h"

enum { PAGE = 1000, LIST_MAX = 100000000 };

static const char *const no_yes[] = {"no", "yes"};

/* Padded by hand: printf counts bytes of what terminal_print has not made longer yet. */
static int print_row(void *arg, const struct user *user)
{
	char created[RFC3339_SIZE];

	(void)arg;
	clock_rfc3339(created, user->created_ms);
	terminal_print(stdout, user->username);
	(void)printf("%*s ", strlen(user->username) < 24 ? (int)(24 - strlen(user->username)) : 0, "");
	terminal_print(stdout, user->email[0] ? user->email : "-");
	(void)printf("%*s %-6s %-9s %-7s %s\n", strlen(user->email) < 32 ? (int)(32 - strlen(user->email)) : 0, "",
		no_yes[user->admin], no_yes[user->disabled], no_yes[user->locked], created);
	return 0;
}

static int print_json(void *arg, const struct user *user)
{
	bool *first = arg;
	json_t *json = users_json(user);
	int err;

	if (!json)
		return ERR_MEMORY;
	(void)fputs(*first ? "[\n" : ",\n", stdout);
	*first = false;
	err = json_dumpf(json, stdout, JSON_COMPACT) ? ERR_SYSTEM : 0;
	json_decref(json);
	return err;
}

static int list(const struct cli *cli, struct db *db, int64_t limit, bool *first)
{
	char cursor[USERS_CURSOR_SIZE] = "";

	do {
		const int page = limit < PAGE ? (int)limit : PAGE;
		const int seen =
			users_search(db, cli->search, cursor, page, cli->json ? print_json : print_row, first, cursor);
		if (seen < 0)
			return seen;
		limit -= seen;
	} while (limit > 0 && cursor[0]);
	return 0;
}

int cli_user_list(const struct cli *cli, const struct config *config)
{
	char why[DB_MESSAGE_SIZE] = "", *end = NULL;
	int64_t limit = cli->limit ? strtoll(cli->limit, &end, 10) : LIST_MAX;
	struct db *db = NULL;
	bool first = true;
	int err;

	if (limit < 1 || limit > LIST_MAX || (end && *end))
		return cli_fail(CLI_USAGE, "--limit is a number from 1 to %d", LIST_MAX);
	err = db_open_why(config->store, DB_READER, &db, why);
	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	if (!cli->json)
		(void)printf("%-24s %-32s %-6s %-9s %-7s %s\n", "USERNAME", "EMAIL", "ADMIN", "DISABLED", "LOCKED",
			"CREATED");
	err = list(cli, db, limit, &first);
	if (cli->json)
		(void)puts(first ? "[]" : "\n]");
	if (err == ERR_STORE)
		cli_fail(CLI_FAILED, "%s: %s", config->store, db_message(db));
	else if (err)
		cli_fail(CLI_FAILED, "%s: %s", config->store, err_text(err));
	db_close(db);
	if (!err && fflush(stdout))
		err = ERR_SYSTEM;
	return err ? CLI_FAILED : CLI_DONE;
}
