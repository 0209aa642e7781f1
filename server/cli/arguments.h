/*
 * The words and options of a command line, taken apart by getopt_long. Which of them go with which command is cli.c's.
 */
#ifndef TOKENFIRST_SERVER_CLI_ARGUMENTS_H
#define TOKENFIRST_SERVER_CLI_ARGUMENTS_H

#include "server/cli/cli.h"

/* Options that only some commands take. */
enum {
	OPT_EMAIL = 1 << 0,
	OPT_ADMIN = 1 << 1,
	OPT_JSON = 1 << 2,
	OPT_PASSWORD_STDIN = 1 << 3,
	OPT_STATE = 1 << 4,
	OPT_EFFECT = 1 << 5,
	OPT_CAUSE = 1 << 6,
	OPT_SINCE = 1 << 7,
	OPT_UNTIL = 1 << 8,
	OPT_LIMIT = 1 << 9,
	OPT_REASON = 1 << 10,
	OPT_ALL = 1 << 11,
	OPT_DRY_RUN = 1 << 12,
	OPT_WRAP = 1 << 13,
	OPT_LEAKED = 1 << 23,
	OPT_NOW = 1 << 14,
	OPT_JWKS = 1 << 15,
	OPT_SEARCH = 1 << 20,
	OPT_USER = 1 << 21,
	OPT_TYPE = 1 << 22,
};

struct arguments {
	struct cli cli; /* its operands are all the words; its texts are those of argv, or stand below */
	const char *settings[LIMIT_CLI_SETTINGS];
	char log_format[32]; /* --log-format as a setting */
	unsigned options;    /* those of OPT_… that were given */
	bool help, version;
};

/* CLI_DONE, or CLI_USAGE and the reason has been said. `ret_arguments` must stay where it is. */
int arguments_parse(int argc, char **argv, struct arguments *ret_arguments);

#endif
