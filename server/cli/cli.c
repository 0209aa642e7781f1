#include "server/cli/cli.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "background/store/db.h"
#include "config/log.h"
#include "config/nearest.h"
#include "server/cli/arguments.h"
#include "server/http/engine.h"
#include "server/ops/selection.h"

enum { WORDS_MAX = 2, NAME_SIZE = 80 };

struct cli_command {
	const char *name; /* one word or two */
	const char *usage;
	const char *does;
	size_t operands_min, operands_max;
	unsigned options; /* of OPT_… in arguments.h */
	bool loads_config;
	int (*run)(const struct cli *cli, const struct config *config);
};

static int run_serve(const struct cli *cli, const struct config *config)
{
	(void)cli;
	return cli_serve(config);
}

static int run_help_config(const struct cli *cli, const struct config *config)
{
	(void)cli;
	(void)config;
	options_help(stdout);
	return CLI_DONE;
}

static int run_help(const struct cli *cli, const struct config *config);

enum {
	OPT_WHICH = OPT_EFFECT | OPT_CAUSE | OPT_SINCE | OPT_UNTIL,
	OPT_LIST = OPT_WHICH | OPT_STATE | OPT_LIMIT | OPT_JSON,
	OPT_REPLAY = OPT_WHICH | OPT_ALL | OPT_DRY_RUN | OPT_JSON,
	OPT_DISCARD = OPT_REPLAY | OPT_STATE,
	IDS = SELECTION_IDS,
};

static const struct cli_command commands[] = {
	{"serve", "", "run the server until SIGTERM or SIGINT", 0, 0, 0, true, run_serve},
	{"check-config", "", "name every error of a configuration", 0, 0, 0, false, cli_check_config},
	{"user add", "NAME [--email ADDRESS] [--admin] [--password-stdin]",
		"add an account; a password that the rules for new ones refuse is taken with a warning", 1, 1,
		OPT_EMAIL | OPT_ADMIN | OPT_PASSWORD_STDIN, true, cli_user_add},
	{"user list", "[--search TEXT] [--limit N] [--json]",
		"list accounts: all, or those whose name or address begins with TEXT", 0, 0,
		OPT_SEARCH | OPT_LIMIT | OPT_JSON, true, cli_user_list},
	{"user show", "NAME [--json]", "show all that is known of an account", 1, 1, OPT_JSON, true, cli_user_show},
	{"user disable", "NAME", "disable an account and end its sessions", 1, 1, 0, true, cli_user_disable},
	{"user passwd", "NAME [--password-stdin]",
		"set a new password and end the account's sessions; one that the rules refuse is taken with a warning",
		1, 1, OPT_PASSWORD_STDIN, true, cli_user_passwd},
	{"user import", "FILE [--wrap] [--dry-run]",
		"add all accounts of a file of JSON lines (- is stdin), with their password hashes, or none if one is "
		"wrong; --wrap: hash the hashes with Argon2id",
		1, 1, OPT_WRAP | OPT_DRY_RUN, true, cli_user_import},
	{"user totp-remove", "NAME", "take an account's second factor and recovery codes away", 1, 1, 0, true,
		cli_user_totp_remove},
	{"user enable", "NAME", "let a disabled account log in again", 1, 1, 0, true, cli_user_enable},
	{"user delete", "NAME", "delete an account for good; its name and address are free then", 1, 1, 0, true,
		cli_user_delete},
	{"user revoke", "NAME | --all", "end an account's sessions, or everybody's", 0, 1, OPT_ALL, true,
		cli_user_revoke},
	{"user require-reset", "NAME",
		"end its sessions, and let it log in again only with a new password, for which it is mailed a link", 1,
		1, 0, true, cli_user_require_reset},
	{"user unlock", "NAME", "forget an account's failures, and with them its lock", 1, 1, 0, true, cli_user_unlock},
	{"user invite", "ADDRESS", "mail a link to make an account", 1, 1, 0, true, cli_user_invite},
	{"audit", "[--user NAME|ID] [--type TYPE] [--since T] [--until T] [--limit N] [--json]",
		"list who did what and when, the newest first; TYPE is like user.login, or user.* for all of them", 0,
		0, OPT_USER | OPT_TYPE | OPT_SINCE | OPT_UNTIL | OPT_LIMIT | OPT_JSON, true, cli_audit},
	{"effects list", "[--state STATE] [--effect NAME] [--cause CAUSE] [--since T] [--until T] [--limit N] [--json]",
		"list effects in the outbox, the newest first; STATE is dead, pending, delivered, discarded, skipped "
		"or "
		"all",
		0, 0, OPT_LIST, true, cli_effects_list},
	{"effects show", "ID [--json]", "show all that is known of an effect, or of each one of an event", 1, 1,
		OPT_JSON, true, cli_effects_show},
	{"effects replay",
		"[ID...] [--effect NAME] [--cause CAUSE] [--since T] [--until T] [--all] [--dry-run] [--json]",
		"owe dead effects again; T is a time like 2026-01-02T03:04:05Z or how long ago, like 2h", 0, IDS,
		OPT_REPLAY, true, cli_effects_replay},
	{"effects discard",
		"[ID...] [--state dead|pending] [--effect NAME] [--cause CAUSE] [--since T] [--until T] [--all] "
		"[--dry-run] [--json]",
		"give dead or pending effects up for good", 0, IDS, OPT_DISCARD, true, cli_effects_discard},
	{"effects targets", "[--json]", "how each target of a running server is: breaker, backlog, what it waits for",
		0, 0, OPT_JSON, true, cli_effects_targets},
	{"effects pause", "NAME [--reason TEXT]", "hold an effect or target back: what it is owed waits", 1, 1,
		OPT_REASON, true, cli_effects_pause},
	{"effects resume", "NAME", "let it go again, after a pause or a 410; try it now, if its breaker is open", 1, 1,
		0, true, cli_effects_resume},
	{"keys list", "[--json]", "list the signing keys, and what each is for now", 0, 0, OPT_JSON, true,
		cli_keys_list},
	{"keys rotate", "[--now | --leaked]",
		"make a new signing key: published at once, it signs after token.key_lead; or now; --leaked: now, and "
		"the "
		"old ones are gone with every token of theirs",
		0, 0, OPT_NOW | OPT_LEAKED, true, cli_keys_rotate},
	{"token verify", "[--jwks FILE] [TOKEN or -]",
		"check an access token offline, by the store's keys or those of a JWKS file; names the rule that "
		"failed",
		0, 1, OPT_JWKS, true, cli_token_verify},
	{"help", "[COMMAND]", "this text, or what is said here of a command, or of all that begin with a word", 0,
		WORDS_MAX, 0, false, run_help},
	{"help config", "", "every option of the configuration", 0, 0, 0, false, run_help_config},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int cli_fail(enum cli_exit code, const char *format, ...)
{
	va_list arguments;

	(void)fputs("tokenfirst: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	return (int)code;
}

/* Whether a command is, or begins with, these words; all do with none. */
static bool is_of(const struct cli_command *command, const char *words)
{
	size_t len = strlen(words);

	return len == 0 ||
	       (strncmp(command->name, words, len) == 0 && (command->name[len] == ' ' || command->name[len] == '\0'));
}

static bool is_known(const char *words)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (is_of(&commands[i], words))
			return true;
	}
	return false;
}

/* What begins with these words only, or everything if nothing does. */
static void print_usage(FILE *out, const char *words)
{
	const bool all = !*words || !is_known(words);

	(void)fputs("usage: tokenfirst COMMAND [-c FILE] [--set KEY=VALUE]... [--log-format text|json]\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!all && !is_of(&commands[i], words))
			continue;
		(void)fprintf(out, "  %s%s%s\n      %s\n", commands[i].name, commands[i].usage[0] ? " " : "",
			commands[i].usage, commands[i].does);
	}
	if (all)
		(void)fputs("  --version\n      version and libraries\n", out);
}

static int print_version(void)
{
	(void)printf("tokenfirst %s\n", TOKENFIRST_VERSION);
	(void)printf("libmicrohttpd %s, libcurl %s, jansson %s, libsodium %s, SQLite %s, %s\n", engine_version(),
		curl_version_info(CURLVERSION_NOW)->version, jansson_version_str(), sodium_version_string(),
		db_engine_version(), OpenSSL_version(OPENSSL_VERSION));
	return CLI_DONE;
}

static size_t count_words(const char *name)
{
	return strchr(name, ' ') ? 2 : 1;
}

/* The words that could name a command, with a space between. */
static void join(const char *const *words, size_t count, char ret_name[NAME_SIZE])
{
	(void)snprintf(ret_name, NAME_SIZE, "%s%s%s", count > 0 ? words[0] : "", count > 1 ? " " : "",
		count > 1 ? words[1] : "");
}

/* "help config" is looked for before "help". */
static const struct cli_command *find_command(const char *const *words, size_t count)
{
	char name[NAME_SIZE];

	for (size_t take = count < WORDS_MAX ? count : WORDS_MAX; take > 0; take--) {
		join(words, take, name);
		for (size_t i = 0; i < COMMANDS; i++) {
			if (strcmp(commands[i].name, name) == 0)
				return &commands[i];
		}
	}
	return NULL;
}

static int unknown_command(const char *const *words, size_t count)
{
	struct nearest nearest;
	char name[NAME_SIZE];
	const char *best;

	if (count == 0) {
		print_usage(stderr, "");
		return CLI_USAGE;
	}
	join(words, count, name);
	nearest_init(&nearest, name);
	for (size_t i = 0; i < COMMANDS; i++)
		nearest_offer(&nearest, commands[i].name);
	best = nearest_best(&nearest);
	if (!best) {
		/* what follows a command's name may hide how near the name is */
		nearest_init(&nearest, words[0]);
		for (size_t i = 0; i < COMMANDS; i++)
			nearest_offer(&nearest, commands[i].name);
		best = nearest_best(&nearest);
	}
	cli_fail(CLI_USAGE, "unknown command \"%s\"%s%s%s", name, best ? ": did you mean \"" : "", best ? best : "",
		best ? "\"?" : "");
	print_usage(stderr, words[0]);
	return CLI_USAGE;
}

static int run_help(const struct cli *cli, const struct config *config)
{
	char name[NAME_SIZE];

	(void)config;
	join(cli->operands, cli->operand_count, name);
	if (!is_known(name))
		return unknown_command(cli->operands, cli->operand_count);
	print_usage(stdout, name);
	return CLI_DONE;
}

static void apply_log(const struct config *config)
{
	static const char *const levels[] = {
		[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
	enum log_level least = LOG_INFO;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(config->log.level, levels[i]) == 0)
			least = (enum log_level)i;
	}
	log_configure(least, strcmp(config->log.format, "text") == 0 ? LOG_TEXT : LOG_JSON);
}

static int run_configured(const struct cli_command *command, const struct cli *cli)
{
	struct config *config = NULL;
	struct config_errors errors = {.count = 0}, warnings = {.count = 0};
	int code = CLI_USAGE;
	int err = config_load(&cli->source, &config, &errors, &warnings);

	if (err == ERR_INVALID) {
		config_errors_print(&errors, "error", stderr);
	} else if (err) {
		code = cli_fail(CLI_FAILED, "configuration: %s", err_text(err));
	} else {
		apply_log(config);
		for (size_t i = 0; i < warnings.count; i++)
			log_write(LOG_WARN, "configuration", LOG_STR("place", warnings.items[i].place),
				LOG_STR("path", warnings.items[i].path), LOG_STR("warning", warnings.items[i].message));
		code = command->run(cli, config);
	}
	config_errors_release(&errors);
	config_errors_release(&warnings);
	config_free(config);
	return code;
}

int cli_main(int argc, char **argv)
{
	struct arguments parsed = {.options = 0};
	const struct cli_command *command;
	size_t words;
	int code = arguments_parse(argc, argv, &parsed);

	if (code != CLI_DONE) {
		(void)fputs("tokenfirst help: lists commands and options\n", stderr);
		return code;
	}
	if (parsed.version)
		return print_version();
	command = find_command(parsed.cli.operands, parsed.cli.operand_count);
	if (!command && !(parsed.help && parsed.cli.operand_count == 0))
		return unknown_command(parsed.cli.operands, parsed.cli.operand_count);
	if (parsed.help) {
		print_usage(stdout, command ? command->name : "");
		return CLI_DONE;
	}
	words = count_words(command->name);
	parsed.cli.operands += words;
	parsed.cli.operand_count -= words;
	if (parsed.cli.operand_count < command->operands_min || parsed.cli.operand_count > command->operands_max ||
		(parsed.options & ~command->options) != 0)
		return cli_fail(CLI_USAGE, "usage: tokenfirst %s %s", command->name, command->usage);
	return command->loads_config ? run_configured(command, &parsed.cli) : command->run(&parsed.cli, NULL);
}
