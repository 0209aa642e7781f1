/* Replay, discard, pause and resume from the command line, by the server if one runs. */
#include <stdio.h>
#include <string.h>

#include "background/store/db.h"
#include "config/clock.h"
#include "server/cli/cli.h"
#include "server/ops/effects_command.h"
#include "server/ops/selection.h"

/* The arguments of effects.replay and effects.discard; NULL: no memory. */
static json_t *which(const struct cli *cli)
{
	json_t *json = cli_selection(cli);
	json_t *ids = json_array();
	int failed = !json || !ids;

	for (size_t i = 0; !failed && i < cli->operand_count; i++)
		failed = json_array_append_new(ids, json_string(cli->operands[i])) != 0;
	if (!failed && cli->operand_count > 0)
		failed = json_object_set(json, "ids", ids) != 0;
	json_decref(ids);
	if (failed) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* What can be said without the store. CLI_DONE or CLI_USAGE. */
static int check(const struct cli *cli, const json_t *json, bool replay)
{
	struct selection selection;
	char why[SELECTION_WHY];

	if (selection_read(json, "dead", clock_now_ms(), &selection, why) != 0)
		return cli_fail(CLI_USAGE, "%s", why);
	if (!cli->all && !selection_narrow(&selection))
		return cli_fail(CLI_USAGE, "say which: an ID, --effect, --cause, --since or --until; or --all");
	if (!effects_changeable(replay ? EFFECTS_REPLAY : EFFECTS_DISCARD, &selection))
		return cli_fail(CLI_USAGE, "only dead%s effects can be %s", replay ? "" : " or pending",
			replay ? "replayed" : "discarded");
	return CLI_DONE;
}

static int print_result(const struct cli *cli, const json_t *reply, const char *done)
{
	json_t *by = json_object_get(reply, "by"), *unchanged = json_object_get(reply, "unchanged"), *item;
	size_t i;

	if (cli->json) {
		(void)json_dumpf(reply, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		(void)printf("%lld %s%s\n", (long long)json_integer_value(json_object_get(reply, "rows")),
			cli->dry_run ? "would be " : "", done);
		json_array_foreach(by, i, item)
		{
			const char *cause = json_string_value(json_object_get(item, "cause"));
			(void)printf("  %8lld %s %s\n", (long long)json_integer_value(json_object_get(item, "rows")),
				json_string_value(json_object_get(item, "effect")), cause ? cause : "pending");
		}
	}
	if (json_is_true(json_object_get(reply, "more")))
		return cli_fail(CLI_FAILED,
			"there are more: max_pending is reached, or the server is stopping; run it again later");
	json_array_foreach(unchanged, i, item)
	{
		cli_fail(CLI_FAILED, "%s: there is none in that state", json_string_value(item));
	}
	return json_array_size(unchanged) > 0 ? CLI_FAILED : CLI_DONE;
}

/* `user add` may make a store; there is nothing to be done to the effects of one that is not there. */
static int check_store(const struct config *config)
{
	char why[DB_MESSAGE_SIZE] = "";
	struct db *db = NULL;
	int err = db_open_why(config->store, DB_READER, &db, why);

	db_close(db);
	return err ? cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err)) : CLI_DONE;
}

static int change(const struct cli *cli, const struct config *config, const char *command, const char *done)
{
	const bool replay = strcmp(command, "effects.replay") == 0;
	json_t *json = which(cli), *reply = NULL;
	bool told = false;
	int err, code;

	if (!json)
		return cli_fail(CLI_FAILED, "%s", err_text(ERR_MEMORY));
	code = check(cli, json, replay);
	if (code == CLI_DONE)
		code = check_store(config);
	if (code != CLI_DONE)
		goto done;
	if (cli->effect && !cli_effect_known(config, cli->effect)) /* it may have been taken out of the configuration */
		(void)cli_effect_unknown(config, cli->effect);
	err = json_object_set_new(json, "dry_run", json_boolean(cli->dry_run)) ? ERR_MEMORY : 0;
	if (!err)
		err = cli_store_command(config, command, json, &reply, &told);
	if (!err)
		code = print_result(cli, reply, done);
	else
		code = told ? CLI_FAILED : cli_fail(CLI_FAILED, "%s", err_text(err));
done:
	json_decref(reply);
	json_decref(json);
	return code;
}

int cli_effects_replay(const struct cli *cli, const struct config *config)
{
	return change(cli, config, "effects.replay", "replayed");
}

int cli_effects_discard(const struct cli *cli, const struct config *config)
{
	return change(cli, config, "effects.discard", "discarded");
}

/* "hooks" is all targets of hooks, "hooks.shop" one. Takes a reason for pausing, NULL for resuming. */
static int hold(const struct cli *cli, const struct config *config, const char *reason)
{
	const char *name = cli->operands[0];
	size_t found = 0;

	if (check_store(config) != CLI_DONE)
		return CLI_FAILED;
	for (size_t i = 0; i < config->effect_count; i++) {
		const struct effect_config *effect = &config->effects[i];
		json_t *arguments, *reply = NULL;
		bool told = false;
		int err;

		if (strcmp(effect->name, name) != 0 && strcmp(effect->effect, name) != 0)
			continue;
		found++;
		arguments = json_pack("{s:s, s:s*}", "name", effect->name, "reason", reason);
		err = arguments ? cli_store_command(
					  config, reason ? "effects.pause" : "effects.resume", arguments, &reply, &told)
				: ERR_MEMORY;
		json_decref(arguments);
		json_decref(reply);
		if (err == ERR_NOT_FOUND && !told && reason)
			return cli_fail(CLI_FAILED, "%s is unknown to the server that runs", effect->name);
		if (err == ERR_NOT_FOUND && !told) {
			(void)printf("%s was not paused\n", effect->name);
			continue;
		}
		if (err)
			return told ? CLI_FAILED : cli_fail(CLI_FAILED, "%s: %s", effect->name, err_text(err));
		(void)printf("%s %s\n", effect->name, reason ? "is paused" : "goes on");
	}
	return found > 0 ? CLI_DONE : cli_effect_unknown(config, name);
}

int cli_effects_pause(const struct cli *cli, const struct config *config)
{
	if (cli->reason && !effects_reason_valid(cli->reason))
		return cli_fail(CLI_USAGE, "--reason is one line of less than %d bytes", LIMIT_REASON);
	return hold(cli, config, cli->reason ? cli->reason : "paused by the command line");
}

int cli_effects_resume(const struct cli *cli, const struct config *config)
{
	return hold(cli, config, NULL);
}
