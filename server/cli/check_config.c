#include <stdio.h>

#include "background/delivery/dispatch.h"
#include "background/effects/effect.h"
#include "server/cli/cli.h"

int cli_check_effects(const struct config *config)
{
	int code = CLI_DONE;

	for (size_t i = 0; i < config->effect_count; i++) {
		struct buf why;
		buf_init(&why, LIMIT_TEMPLATE);
		if (effect_verify(&config->effects[i], &why) != 0) {
			(void)fprintf(stderr, "%s: error: effects.%s: %s\n", config->effects[i].place,
				config->effects[i].name, why.data);
			code = CLI_USAGE;
		}
		buf_release(&why);
	}
	size_t most = dispatch_most(config);
	if (most > LIMIT_DISPATCH) {
		(void)fprintf(stderr,
			"error: effects: one event would cause %zu of them, recipients counted; at most %d are "
			"possible\n",
			most, LIMIT_DISPATCH);
		code = CLI_USAGE;
	}
	return code;
}

int cli_check_config(const struct cli *cli, const struct config *unused)
{
	struct config *config = NULL;
	struct config_errors errors = {.count = 0}, warnings = {.count = 0};
	int code = CLI_DONE;
	int err = config_load(&cli->source, &config, &errors, &warnings);

	(void)unused;
	config_errors_print(&warnings, "warning", stderr);
	if (err == ERR_INVALID) {
		config_errors_print(&errors, "error", stderr);
		code = CLI_USAGE;
	} else if (err) {
		code = cli_fail(CLI_FAILED, "configuration: %s", err_text(err));
	} else {
		code = cli_check_effects(config);
		if (code == CLI_DONE)
			(void)puts("configuration is fine");
	}
	config_errors_release(&errors);
	config_errors_release(&warnings);
	config_free(config);
	return code;
}
