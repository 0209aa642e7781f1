#include <stdio.h>
#include <string.h>

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

static bool is_mailed(const struct config *config, const char *event_type)
{
	for (size_t i = 0; i < config->effect_count; i++) {
		if (strcmp(config->effects[i].type, "email") == 0 &&
			effect_config_wants(&config->effects[i], event_type))
			return true;
	}
	return false;
}

/* What works, and is of no use: links exist in mails alone (background/effects/link.h). */
static void warn_of_links(const struct config *config)
{
	const bool invites = config->signup.mode == SIGNUP_INVITE;
	const char *signup = invites ? "user.invited" : "user.signup";

	if (config->signup.mode != SIGNUP_CLOSED && !is_mailed(config, signup))
		(void)fprintf(stderr,
			"warning: signup.mode: is \"%s\", but no email effect is on %s: nobody gets the link that "
			"makes "
			"an account\n",
			invites ? "invite" : "open", signup);
	if (!is_mailed(config, "user.password_forgot"))
		(void)fputs("warning: effects: no email effect is on user.password_forgot: who lost a password gets no "
			    "link\n",
			stderr);
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
		warn_of_links(config);
		if (code == CLI_DONE)
			(void)puts("configuration is fine");
	}
	config_errors_release(&errors);
	config_errors_release(&warnings);
	config_free(config);
	return code;
}
