/*
 * The list reads the store by a connection of its own: reading needs no lock, whoever owns the store, and a
 * list of any length goes row by row to stdout.
 */
#include <stdio.h>
#include <time.h>

#include "server/accounts/users.h"
#include "server/cli/cli.h"

static void format_time(int64_t ms, char ret_text[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) || strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		ret_text[0] = '\0';
}

static int print_row(void *arg, const struct user *user)
{
	char created[32];

	(void)arg;
	format_time(user->created_ms, created);
	(void)printf("%-24s %-32s %-6s %-9s %s\n", user->username, user->email[0] ? user->email : "-",
		user->admin ? "yes" : "no", user->disabled ? "yes" : "no", created);
	return 0;
}

static int print_json(void *arg, const struct user *user)
{
	bool *first = arg;
	char created[32];
	json_t *json;
	int err;

	format_time(user->created_ms, created);
	json = json_pack("{s:s, s:s, s:s?, s:b, s:b, s:s}", "id", user->public_id, "username", user->username, "email",
		user->email[0] ? user->email : NULL, "admin", user->admin, "disabled", user->disabled, "created",
		created);
	if (!json)
		return ERR_MEMORY;
	(void)fputs(*first ? "[\n" : ",\n", stdout);
	*first = false;
	err = json_dumpf(json, stdout, JSON_COMPACT) ? ERR_SYSTEM : 0;
	json_decref(json);
	return err;
}

int cli_user_list(const struct cli *cli, const struct config *config)
{
	struct db *db = NULL;
	bool first = true;
	char why[DB_MESSAGE_SIZE] = "";
	int err = db_open_why(config->store, DB_READER, &db, why);

	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	if (!cli->json) {
		(void)printf("%-24s %-32s %-6s %-9s %s\n", "USERNAME", "EMAIL", "ADMIN", "DISABLED", "CREATED");
		err = users_list(db, print_row, NULL);
	} else {
		err = users_list(db, print_json, &first);
		(void)puts(first ? "[]" : "\n]");
	}
	if (err == ERR_STORE)
		cli_fail(CLI_FAILED, "%s: %s", config->store, db_message(db));
	else if (err)
		cli_fail(CLI_FAILED, "%s: %s", config->store, err_text(err));
	db_close(db);
	if (!err && fflush(stdout))
		err = ERR_SYSTEM;
	return err ? CLI_FAILED : CLI_DONE;
}
