#include "server/cli/cli.h"

#include <curl/curl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "background/store/db.h"
#include "config/log.h"
#include "config/nearest.h"
#include "server/http/engine.h"

/* Options that only some commands take. */
enum { OPT_EMAIL = 1, OPT_ADMIN = 2, OPT_JSON = 4, OPT_PASSWORD_STDIN = 8 };

enum { WORDS_MAX = 2, NAME_SIZE = 80 };

struct cli_command {
	const char *name; /* one word or two */
	const char *usage;
	const char *does;
	size_t operands; /* exactly */
	unsigned options;
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

static const struct cli_command commands[] = {
	{"serve", "", "run the server until SIGTERM or SIGINT", 0, 0, true, run_serve},
	{"check-config", "", "name every error of a configuration", 0, 0, false, cli_check_config},
	{"user add", "NAME [--email ADDRESS] [--admin] [--password-stdin]", "add an account", 1,
		OPT_EMAIL | OPT_ADMIN | OPT_PASSWORD_STDIN, true, cli_user_add},
	{"user list", "[--json]", "list all accounts", 0, OPT_JSON, true, cli_user_list},
	{"user disable", "NAME", "disable an account and end its sessions", 1, 0, true, cli_user_disable},
	{"user passwd", "NAME [--password-stdin]", "set a new password and end the account's sessions", 1,
		OPT_PASSWORD_STDIN, true, cli_user_passwd},
	{"help", "", "this text", 0, 0, false, run_help},
	{"help config", "", "every option of the configuration", 0, 0, false, run_help_config},
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

/* What begins with `word` only, or everything if nothing does. */
static void print_usage(FILE *out, const char *word)
{
	size_t len = strlen(word);
	bool known = false;

	for (size_t i = 0; i < COMMANDS; i++)
		known |= strncmp(commands[i].name, word, len) == 0 && commands[i].name[len] == ' ';
	(void)fputs("usage: tokenfirst COMMAND [-c FILE] [--set KEY=VALUE]... [--log-format text|json]\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (known && strncmp(commands[i].name, word, len) != 0)
			continue;
		(void)fprintf(out, "  %s%s%s\n      %s\n", commands[i].name, commands[i].usage[0] ? " " : "",
			commands[i].usage, commands[i].does);
	}
	if (!known)
		(void)fputs("  --version\n      version and libraries\n", out);
}

static int run_help(const struct cli *cli, const struct config *config)
{
	(void)cli;
	(void)config;
	print_usage(stdout, "");
	return CLI_DONE;
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

enum {
	SHORT_NONE = 256,
	GIVEN_SET,
	GIVEN_LOG_FORMAT,
	GIVEN_EMAIL,
	GIVEN_ADMIN,
	GIVEN_JSON,
	GIVEN_STDIN,
	GIVEN_VERSION
};

struct parsed {
	struct cli cli;
	const char *settings[LIMIT_CLI_SETTINGS];
	char log_format[32]; /* --log-format as a setting */
	unsigned options;    /* of OPT_… */
	bool help, version;
};

static int add_setting(struct parsed *parsed, const char *setting)
{
	if (parsed->cli.source.setting_count == LIMIT_CLI_SETTINGS)
		return cli_fail(CLI_USAGE, "more than %d settings", LIMIT_CLI_SETTINGS);
	parsed->settings[parsed->cli.source.setting_count++] = setting;
	return CLI_DONE;
}

static int set_log_format(struct parsed *parsed, const char *format)
{
	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return cli_fail(CLI_USAGE, "--log-format is text or json");
	(void)snprintf(parsed->log_format, sizeof(parsed->log_format), "log.format=%s", format);
	return add_setting(parsed, parsed->log_format);
}

/* One option as getopt_long gives it out; an exit code. */
static int take_option(struct parsed *parsed, int option, const char *value)
{
	switch (option) {
	case 'c':
		parsed->cli.source.file = value;
		return CLI_DONE;
	case 'h':
		parsed->help = true;
		return CLI_DONE;
	case GIVEN_VERSION:
		parsed->version = true;
		return CLI_DONE;
	case GIVEN_SET:
		return add_setting(parsed, value);
	case GIVEN_LOG_FORMAT:
		return set_log_format(parsed, value);
	case GIVEN_EMAIL:
		parsed->options |= OPT_EMAIL;
		parsed->cli.email = value;
		return CLI_DONE;
	case GIVEN_ADMIN:
		parsed->options |= OPT_ADMIN;
		parsed->cli.admin = true;
		return CLI_DONE;
	case GIVEN_JSON:
		parsed->options |= OPT_JSON;
		parsed->cli.json = true;
		return CLI_DONE;
	case GIVEN_STDIN:
		parsed->options |= OPT_PASSWORD_STDIN;
		parsed->cli.password_stdin = true;
		return CLI_DONE;
	default:
		/* getopt_long has said what it is */
		return CLI_USAGE;
	}
}

static int parse(int argc, char **argv, struct parsed *parsed)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"set", required_argument, NULL, GIVEN_SET},
		{"log-format", required_argument, NULL, GIVEN_LOG_FORMAT},
		{"email", required_argument, NULL, GIVEN_EMAIL},
		{"admin", no_argument, NULL, GIVEN_ADMIN},
		{"json", no_argument, NULL, GIVEN_JSON},
		{"password-stdin", no_argument, NULL, GIVEN_STDIN},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, GIVEN_VERSION},
		{NULL, 0, NULL, 0},
	};
	int option, code = CLI_DONE;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
	while (code == CLI_DONE && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		code = take_option(parsed, option, optarg);
	parsed->cli.source.settings = parsed->settings;
	parsed->cli.source.environment = environ;
	parsed->cli.operands = (const char *const *)argv + optind;
	parsed->cli.operand_count = (size_t)(argc - optind);
	return code;
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
	struct parsed parsed = {.options = 0};
	const struct cli_command *command;
	size_t words;
	int code = parse(argc, argv, &parsed);

	if (code != CLI_DONE) {
		(void)fputs("tokenfirst help: lists commands and options\n", stderr);
		return code;
	}
	if (parsed.version)
		return print_version();
	command = find_command(parsed.cli.operands, parsed.cli.operand_count);
	if (!command && !(parsed.help && parsed.cli.operand_count == 0))
		return unknown_command(parsed.cli.operands, parsed.cli.operand_count);
	if (parsed.help)
		return run_help(&parsed.cli, NULL);
	words = count_words(command->name);
	parsed.cli.operands += words;
	parsed.cli.operand_count -= words;
	if (parsed.cli.operand_count != command->operands || (parsed.options & ~command->options) != 0)
		return cli_fail(CLI_USAGE, "usage: tokenfirst %s %s", command->name, command->usage);
	return command->loads_config ? run_configured(command, &parsed.cli) : command->run(&parsed.cli, NULL);
}
