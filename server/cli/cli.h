/*
 * The command line: `tokenfirst WORD… [OPTION]…`.
 *
 * cli.c has the table of commands. Options may stand before, between and behind the words; -c, --set and --log-format
 * go with every command. Results go to stdout, everything else to stderr.
 */
#ifndef TOKENFIRST_SERVER_CLI_CLI_H
#define TOKENFIRST_SERVER_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>

#include "config/options.h"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* What the command line said. */
struct cli {
	struct config_source source;
	const char *const *operands; /* the words behind the command's own */
	size_t operand_count;
	/* NULL: not given */
	const char *email, *state, *effect, *cause, *since, *until, *limit, *reason, *jwks;
	const char *search, *user, *type;
	bool admin, json, password_stdin, all, dry_run, now, leaked, wrap;
};

/* The whole program after the libraries are set up: an exit code. */
int cli_main(int argc, char **argv);

/* The commands: an exit code. `config` is NULL for those that load none or do it themselves. */
int cli_serve(const struct config *config);
int cli_check_config(const struct cli *cli, const struct config *config);
int cli_user_add(const struct cli *cli, const struct config *config);
int cli_user_list(const struct cli *cli, const struct config *config);
int cli_user_disable(const struct cli *cli, const struct config *config);
int cli_user_passwd(const struct cli *cli, const struct config *config);
int cli_user_import(const struct cli *cli, const struct config *config);
int cli_user_totp_remove(const struct cli *cli, const struct config *config);
int cli_user_show(const struct cli *cli, const struct config *config);
int cli_user_enable(const struct cli *cli, const struct config *config);
int cli_user_delete(const struct cli *cli, const struct config *config);
int cli_user_revoke(const struct cli *cli, const struct config *config);
int cli_user_require_reset(const struct cli *cli, const struct config *config);
int cli_user_unlock(const struct cli *cli, const struct config *config);
int cli_user_invite(const struct cli *cli, const struct config *config);
int cli_audit(const struct cli *cli, const struct config *config);
int cli_effects_list(const struct cli *cli, const struct config *config);
int cli_effects_show(const struct cli *cli, const struct config *config);
int cli_effects_replay(const struct cli *cli, const struct config *config);
int cli_effects_discard(const struct cli *cli, const struct config *config);
int cli_effects_targets(const struct cli *cli, const struct config *config);
int cli_effects_pause(const struct cli *cli, const struct config *config);
int cli_effects_resume(const struct cli *cli, const struct config *config);
int cli_keys_list(const struct cli *cli, const struct config *config);
int cli_keys_rotate(const struct cli *cli, const struct config *config);
int cli_token_verify(const struct cli *cli, const struct config *config);

/*
 * check_config.c: what config/ can't know of an effect (a template that is missing, a secret that can't sign) is told
 * on stderr as config_errors_print would. CLI_DONE or CLI_USAGE.
 */
int cli_check_effects(const struct config *config);

/* "tokenfirst: …" on stderr; gives the exit code back. */
int cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * store_command.c: has a command (server/ops/command.h) run, by this process if it can own the store, else by the
 * server that does; one that only a running server can do by that alone. ERR_CLOSED and every error but those of the
 * command itself are told on stderr already; `ret_told` says so.
 */
int cli_store_command(const struct config *config, const char *name, const json_t *arguments, json_t **ret_reply,
	bool *ret_told) MUST_CHECK;

/* user.c: a command on an account has failed with this, and nobody has said so: CLI_FAILED. */
int cli_user_failed(const char *username, int err);

/* effects.c: what --state, --effect, --cause, --since and --until say, for selection_read. NULL: no memory. */
json_t *cli_selection(const struct cli *cli);
/* effects_targets.c: the list that GET /admin/targets shows, of the server that runs. ERR_CLOSED: none does. */
int cli_targets(const struct config *config, json_t **ret_targets) MUST_CHECK;
/* Whether it is an effect or a target of the configuration; and what to say if not: CLI_FAILED. */
bool cli_effect_known(const struct config *config, const char *name);
int cli_effect_unknown(const struct config *config, const char *name);

/*
 * read_password.c: asks on the terminal, twice and without echo, or reads one line from stdin. `ret_password` has
 * LIMIT_PASSWORD + 1 bytes: wipe it. ERR_INVALID and `ret_why` (static text): no password that may be taken.
 */
int cli_read_password(bool from_stdin, char *ret_password, const char **ret_why) MUST_CHECK;

#endif
