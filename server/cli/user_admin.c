/*
 * What administrators do to accounts, from the command line: the twins of /admin/users. A running server does it, and mails what there is
 * to be mailed; without one this process does what can be done without mails, and says so.
 */
#include <stdio.h>

#include "config/clock.h"
#include "server/accounts/users_search.h"
#include "server/cli/cli.h"
#include "server/cli/terminal.h"
#include "server/ops/users_json.h"

/* Runs a command on one account. `ret_reply` NULL: nobody wants it. `done` completes "alice …". */
static int run(
	const struct config *config, const char *command, const char *username, const char *done, json_t **ret_reply)
{
	json_t *arguments = json_pack("{s:s}", "username", username), *reply = NULL;
	bool told = false;
	int err = arguments ? cli_store_command(config, command, arguments, &reply, &told) : ERR_MEMORY;

	json_decref(arguments);
	if (!err) {
		(void)printf("%s %s\n", username, done);
		if (ret_reply)
			*ret_reply = json_incref(reply);
	}
	json_decref(reply);
	if (err)
		return told ? CLI_FAILED : cli_user_failed(username, err);
	return CLI_DONE;
}

int cli_user_enable(const struct cli *cli, const struct config *config)
{
	return run(config, "user.enable", cli->operands[0], "is enabled", NULL);
}

int cli_user_delete(const struct cli *cli, const struct config *config)
{
	return run(config, "user.delete", cli->operands[0], "is deleted", NULL);
}

static int revoke_all(const struct config *config)
{
	json_t *arguments = json_object(), *reply = NULL;
	bool told = false;
	int err = arguments ? cli_store_command(config, "user.revoke_all", arguments, &reply, &told) : ERR_MEMORY;

	if (!err)
		(void)printf(
			"%lld sessions have ended\n", (long long)json_integer_value(json_object_get(reply, "rows")));
	json_decref(arguments);
	json_decref(reply);
	if (err && !told)
		(void)cli_fail(CLI_FAILED, "not all sessions have ended: %s", err_text(err));
	return err ? CLI_FAILED : CLI_DONE;
}

int cli_user_revoke(const struct cli *cli, const struct config *config)
{
	if (cli->all == (cli->operand_count == 1))
		return cli_fail(CLI_USAGE, "say whose sessions: a name, or --all");
	if (cli->all)
		return revoke_all(config);
	return run(config, "user.revoke", cli->operands[0], "has no sessions any more", NULL);
}

int cli_user_unlock(const struct cli *cli, const struct config *config)
{
	return run(config, "user.unlock", cli->operands[0], "is not locked any more", NULL);
}

int cli_user_require_reset(const struct cli *cli, const struct config *config)
{
	const char *username = cli->operands[0];
	json_t *reply = NULL;
	int code = run(config, "user.require_reset", username, "must set a new password", &reply);

	if (code == CLI_DONE && !json_object_get(reply, "email"))
		(void)fprintf(stderr,
			"%s has no address, so no link is mailed: give the account a password by user passwd\n",
			username);
	else if (code == CLI_DONE && !json_object_get(reply, "event_id"))
		(void)fprintf(stderr,
			"no server runs, so no link is mailed: run it again beside one, or let %s ask for a link by "
			"/password/forgot\n",
			username);
	json_decref(reply);
	return code;
}

int cli_user_invite(const struct cli *cli, const struct config *config)
{
	const char *email = cli->operands[0], *why = NULL;
	json_t *arguments, *reply = NULL;
	bool told = false;
	int err;

	if (email_acceptable(email, &why))
		return cli_fail(CLI_USAGE, "%s", why);
	arguments = json_pack("{s:s}", "email", email);
	err = arguments ? cli_store_command(config, "user.invite", arguments, &reply, &told) : ERR_MEMORY;
	if (!err)
		(void)printf("%s is invited until %s\n", email, json_string_value(json_object_get(reply, "expires")));
	json_decref(arguments);
	json_decref(reply);
	if (!err || told)
		return err ? CLI_FAILED : CLI_DONE;
	if (err == ERR_EXISTS)
		return cli_fail(CLI_FAILED, "%s has an account", email);
	if (err == ERR_DENIED)
		return cli_fail(CLI_FAILED, "nobody may make an account: signup.mode is closed");
	return cli_fail(CLI_FAILED, "%s: %s", email, err_text(err));
}

static void print_line(const char *name, const json_t *value)
{
	(void)printf("%-15s", name);
	if (json_is_string(value))
		terminal_print(stdout, json_string_value(value));
	else if (json_is_integer(value))
		(void)printf("%lld", (long long)json_integer_value(value));
	else
		(void)fputs(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-", stdout);
	(void)putchar('\n');
}

static void print_user(json_t *json)
{
	const char *name;
	json_t *value;

	json_object_foreach(json, name, value)
	{
		print_line(name, value);
	}
}

int cli_user_show(const struct cli *cli, const struct config *config)
{
	char why[DB_MESSAGE_SIZE] = "";
	struct db *db = NULL;
	json_t *json = NULL;
	struct user user;
	int err = db_open_why(config->store, DB_READER, &db, why);

	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	err = users_find_by_username(db, cli->operands[0], &user);
	if (!err)
		err = users_json_whole(db, &user, clock_now_ms(), &json);
	if (err == ERR_STORE)
		cli_fail(CLI_FAILED, "%s: %s", config->store, db_message(db));
	else if (err)
		cli_user_failed(cli->operands[0], err);
	else if (cli->json)
		(void)(json_dumpf(json, stdout, JSON_COMPACT), putchar('\n'));
	else
		print_user(json);
	json_decref(json);
	db_close(db);
	return err || fflush(stdout) ? CLI_FAILED : CLI_DONE;
}
