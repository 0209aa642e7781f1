/*
 * Accounts from the command line. What can be judged without the store is judged here, before a password is asked for;
 * the password is hashed here too, so that nothing but its hash leaves this process.
 */
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "server/accounts/users.h"
#include "server/cli/cli.h"
#include "server/password/policy.h"

/* What the rules say is only said: an operator may have reasons. */
static void warn(const struct config *config, const char *password, const char *username, const char *email)
{
	struct policy *policy = NULL;
	char why[POLICY_WHY] = "";
	int err = policy_new(config, NULL, &policy, why);

	if (!err)
		err = policy_check(policy, password, username, email, why);
	if (err)
		(void)fprintf(
			stderr, "tokenfirst: warning: %s It is taken all the same.\n", why[0] ? why : err_text(err));
	policy_free(policy);
}

/* Reads and hashes; an exit code. */
static int new_password(const struct cli *cli, const struct config *config, const char *username, const char *email,
	char ret_hash[PASSWORD_HASH_SIZE])
{
	char password[LIMIT_PASSWORD + 1];
	const char *why = NULL;
	int err = cli_read_password(cli->password_stdin, password, &why);

	if (err)
		return cli_fail(CLI_FAILED, "%s", why);
	warn(config, password, username, email);
	err = password_hash_here(config, password, ret_hash);
	sodium_memzero(password, sizeof(password));
	return err ? cli_fail(CLI_FAILED, "the password can't be hashed: out of memory") : CLI_DONE;
}

int cli_user_failed(const char *username, int err)
{
	if (err == ERR_NOT_FOUND)
		return cli_fail(CLI_FAILED, "there is no user %s", username);
	if (err == ERR_EXISTS)
		return cli_fail(CLI_FAILED, "the name or the address is taken: %s", username);
	return cli_fail(CLI_FAILED, "%s: %s", username, err_text(err));
}

/* Takes over `arguments` (NULL: no memory); `done` completes "alice is …". */
static int run(const struct config *config, const char *name, json_t *arguments, const char *username, const char *done)
{
	json_t *reply = NULL;
	bool told = false;
	int err = arguments ? cli_store_command(config, name, arguments, &reply, &told) : ERR_MEMORY;

	json_decref(arguments);
	json_decref(reply);
	if (!err) {
		(void)printf("%s %s\n", username, done);
		return CLI_DONE;
	}
	return told ? CLI_FAILED : cli_user_failed(username, err);
}

int cli_user_add(const struct cli *cli, const struct config *config)
{
	const char *username = cli->operands[0];
	const char *email = cli->email ? cli->email : "";
	char hash[PASSWORD_HASH_SIZE];
	const char *why = NULL;
	int code;

	if (username_acceptable(username, &why) || (cli->email && email_acceptable(email, &why)))
		return cli_fail(CLI_USAGE, "%s", why);
	code = new_password(cli, config, username, email, hash);
	if (code != CLI_DONE)
		return code;
	return run(config, "user.add",
		json_pack("{s:s, s:s, s:b, s:s}", "username", username, "email", email, "admin", cli->admin, "password",
			hash),
		username, "is added");
}

int cli_user_disable(const struct cli *cli, const struct config *config)
{
	const char *username = cli->operands[0];

	return run(config, "user.disable", json_pack("{s:s}", "username", username), username, "is disabled");
}

int cli_user_passwd(const struct cli *cli, const struct config *config)
{
	const char *username = cli->operands[0];
	char hash[PASSWORD_HASH_SIZE];
	int code = new_password(cli, config, username, NULL, hash);

	if (code != CLI_DONE)
		return code;
	return run(config, "user.passwd", json_pack("{s:s, s:s}", "username", username, "password", hash), username,
		"has a new password");
}

int cli_user_totp_remove(const struct cli *cli, const struct config *config)
{
	const char *username = cli->operands[0];

	return run(config, "user.totp_remove", json_pack("{s:s}", "username", username), username,
		"has no second factor any more");
}
