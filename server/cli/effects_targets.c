/*
 * What each target is at, asked of the server that runs: breakers, pauses and backlogs are in its memory. A look: it
 * takes no lock and changes nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "background/store/store.h"
#include "config/nearest.h"
#include "server/cli/cli.h"
#include "server/ops/control.h"

int cli_targets(const struct config *config, json_t **ret_targets)
{
	char path[PATH_MAX];
	json_t *nothing = json_object(), *reply = NULL;
	int result = 0;
	int err = nothing ? store_socket_path_of(config->store, path, sizeof(path)) : ERR_MEMORY;

	if (!err)
		err = control_send(path, "effects.targets", nothing, &result, &reply);
	if (!err)
		err = result;
	if (!err)
		*ret_targets = json_incref(json_object_get(reply, "targets"));
	json_decref(reply);
	json_decref(nothing);
	return err;
}

bool cli_effect_known(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->effect_count; i++) {
		const struct effect_config *effect = &config->effects[i];
		if (strcmp(effect->name, name) == 0 || strcmp(effect->effect, name) == 0)
			return true;
	}
	return false;
}

int cli_effect_unknown(const struct config *config, const char *name)
{
	struct nearest nearest;
	const char *best;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < config->effect_count; i++) {
		nearest_offer(&nearest, config->effects[i].effect);
		nearest_offer(&nearest, config->effects[i].name);
	}
	best = nearest_best(&nearest);
	return cli_fail(CLI_FAILED, "there is no effect %s in the configuration%s%s%s", name,
		best ? ": did you mean " : "", best ? best : "", best ? "?" : "");
}

static const char *text_of(const json_t *target, const char *member)
{
	const char *text = json_string_value(json_object_get(target, member));

	return text ? text : "-";
}

static json_int_t sum_of(const json_t *counts)
{
	const char *cause;
	json_t *rows;
	json_int_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)counts, cause, rows) sum += json_integer_value(rows);
	return sum;
}

/* The reason as deep as it is known: what an operator or a 410 said, what opened the breaker. */
static void print_target(const json_t *target)
{
	const bool waits = json_is_string(json_object_get(target, "waits_for"));
	const char *why = json_string_value(json_object_get(target, "pause_reason"));

	if (!why)
		why = json_string_value(json_object_get(target, "cause"));
	(void)printf("%-24s %-9s %8lld %9lld %8lld  %-24s %-24s %s%s%s%s\n", text_of(target, "name"),
		text_of(target, "breaker"), (long long)json_integer_value(json_object_get(target, "pending")),
		(long long)json_integer_value(json_object_get(target, "in_flight")),
		(long long)sum_of(json_object_get(target, "dead_letters")), text_of(target, "oldest_due"),
		text_of(target, "waits_until"), waits ? text_of(target, "waits_for") : "", waits && why ? " (" : "",
		waits && why ? why : "", waits && why ? ")" : "");
}

int cli_effects_targets(const struct cli *cli, const struct config *config)
{
	json_t *targets = NULL, *target;
	size_t i;
	int err = cli_targets(config, &targets);

	if (err == ERR_CLOSED)
		return cli_fail(CLI_FAILED, "no server runs on %s: what is owed waits for one", config->store);
	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store,
			err == ERR_SYSTEM ? err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}) : err_text(err));
	if (cli->json) {
		(void)json_dumpf(targets, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		(void)printf("%-24s %-9s %8s %9s %8s  %-24s %-24s %s\n", "TARGET", "BREAKER", "PENDING", "IN FLIGHT",
			"DEAD", "OLDEST DUE", "WAITS UNTIL", "BECAUSE");
		json_array_foreach(targets, i, target)
		{
			print_target(target);
		}
	}
	json_decref(targets);
	return CLI_DONE;
}
