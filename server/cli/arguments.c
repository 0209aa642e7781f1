#include "server/cli/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/utf8.h"

#define AT(field) offsetof(struct cli, field)

/* Options that put what they say into a field of struct cli: a text, or the fact that they were given. */
static const struct {
	const char *name;
	unsigned option;
	bool takes_text;
	size_t at;
} fields[] = {
	{"email", OPT_EMAIL, true, AT(email)},
	{"admin", OPT_ADMIN, false, AT(admin)},
	{"json", OPT_JSON, false, AT(json)},
	{"password-stdin", OPT_PASSWORD_STDIN, false, AT(password_stdin)},
	{"state", OPT_STATE, true, AT(state)},
	{"effect", OPT_EFFECT, true, AT(effect)},
	{"cause", OPT_CAUSE, true, AT(cause)},
	{"since", OPT_SINCE, true, AT(since)},
	{"until", OPT_UNTIL, true, AT(until)},
	{"limit", OPT_LIMIT, true, AT(limit)},
	{"reason", OPT_REASON, true, AT(reason)},
	{"all", OPT_ALL, false, AT(all)},
	{"dry-run", OPT_DRY_RUN, false, AT(dry_run)},
	{"wrap", OPT_WRAP, false, AT(wrap)},
	{"now", OPT_NOW, false, AT(now)},
	{"leaked", OPT_LEAKED, false, AT(leaked)},
	{"jwks", OPT_JWKS, true, AT(jwks)},
	{"search", OPT_SEARCH, true, AT(search)},
	{"user", OPT_USER, true, AT(user)},
	{"type", OPT_TYPE, true, AT(type)},
};

enum {
	FIELDS = sizeof(fields) / sizeof(fields[0]),
	GIVEN_FIELD = 256,
	GIVEN_SET = 512,
	GIVEN_LOG_FORMAT,
	GIVEN_VERSION
};

static const struct option common[] = {
	{"config", required_argument, NULL, 'c'},
	{"set", required_argument, NULL, GIVEN_SET},
	{"log-format", required_argument, NULL, GIVEN_LOG_FORMAT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, GIVEN_VERSION},
};
enum { COMMON = sizeof(common) / sizeof(common[0]) };

static int add_setting(struct arguments *arguments, const char *setting)
{
	if (arguments->cli.source.setting_count == LIMIT_CLI_SETTINGS)
		return cli_fail(CLI_USAGE, "more than %d settings", LIMIT_CLI_SETTINGS);
	arguments->settings[arguments->cli.source.setting_count++] = setting;
	return CLI_DONE;
}

static int set_log_format(struct arguments *arguments, const char *format)
{
	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return cli_fail(CLI_USAGE, "--log-format is text or json");
	(void)snprintf(arguments->log_format, sizeof(arguments->log_format), "log.format=%s", format);
	return add_setting(arguments, arguments->log_format);
}

static void set_field(struct arguments *arguments, size_t i, const char *value)
{
	char *place = (char *)&arguments->cli + fields[i].at;

	arguments->options |= fields[i].option;
	if (fields[i].takes_text)
		memcpy(place, &value, sizeof(value));
	else
		*(bool *)place = true;
}

/* Names, ids and reasons are put into JSON and into the store. Of a bad one only the place can be shown. */
static int check_texts(const struct arguments *arguments)
{
	const char *base = (const char *)&arguments->cli, *text;

	for (size_t i = 0; i < FIELDS; i++) {
		if (!fields[i].takes_text || !(arguments->options & fields[i].option))
			continue;
		memcpy(&text, base + fields[i].at, sizeof(text));
		if (!utf8_valid(text))
			return cli_fail(CLI_USAGE, "--%s is not UTF-8", fields[i].name);
	}
	for (size_t i = 0; i < arguments->cli.operand_count; i++) {
		if (!utf8_valid(arguments->cli.operands[i]))
			return cli_fail(CLI_USAGE, "word %zu is not UTF-8", i + 1);
	}
	return CLI_DONE;
}

/* One option as getopt_long gives it out; an exit code. */
static int take_option(struct arguments *arguments, int option, const char *value)
{
	if (option >= GIVEN_FIELD && option < GIVEN_FIELD + FIELDS) {
		set_field(arguments, (size_t)(option - GIVEN_FIELD), value);
		return CLI_DONE;
	}
	switch (option) {
	case 'c':
		arguments->cli.source.file = value;
		return CLI_DONE;
	case 'h':
		arguments->help = true;
		return CLI_DONE;
	case GIVEN_VERSION:
		arguments->version = true;
		return CLI_DONE;
	case GIVEN_SET:
		return add_setting(arguments, value);
	case GIVEN_LOG_FORMAT:
		return set_log_format(arguments, value);
	default:
		/* getopt_long has said what it is */
		return CLI_USAGE;
	}
}

int arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
	struct option options[COMMON + FIELDS + 1] = {0};
	int option, code = CLI_DONE;

	memcpy(options, common, sizeof(common));
	for (size_t i = 0; i < FIELDS; i++)
		options[COMMON + i] = (struct option){fields[i].name,
			fields[i].takes_text ? required_argument : no_argument, NULL, GIVEN_FIELD + (int)i};

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
	while (code == CLI_DONE && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		code = take_option(ret_arguments, option, optarg);
	ret_arguments->cli.source.settings = ret_arguments->settings;
	ret_arguments->cli.source.environment = environ;
	ret_arguments->cli.operands = (const char *const *)argv + optind;
	ret_arguments->cli.operand_count = (size_t)(argc - optind);
	return code == CLI_DONE ? check_texts(ret_arguments) : code;
}
