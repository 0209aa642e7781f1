/*
 * The outbox as `effects list` and `effects show` print it. They read the store by a connection of their own, as `user
 * list` does; effects that are in a server's memory only have no row and are seen in GET /events/{id}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"
#include "config/clock.h"
#include "server/cli/cli.h"
#include "server/ops/effects_json.h"
#include "server/ops/selection.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 1000000 };

struct listing {
	bool json;
	size_t count;
	json_t *targets; /* of the server that runs; NULL: none does, or it can't say */
};

static const char *time_text(int64_t ms, char text[RFC3339_SIZE])
{
	if (ms <= 0)
		return "-";
	clock_rfc3339(text, ms);
	return text;
}

/*
 * Why a pending effect waits, as its target says, and when that makes the next attempt. NULL: its target does not wait,
 * or nobody can tell; `ret_next_ms` is then its own time.
 */
static const char *waits_for(const struct listing *listing, const struct outbox_entry *entry, int64_t *ret_next_ms)
{
	const json_t *target = NULL;
	const char *why, *until;
	int64_t until_ms = 0;
	size_t i = 0;

	*ret_next_ms = entry->state == EFFECT_PENDING ? entry->due_ms : 0;
	if (entry->state != EFFECT_PENDING || !listing->targets)
		return NULL;
	while ((target = json_array_get(listing->targets, i++)) &&
		strcmp(json_string_value(json_object_get(target, "name")), entry->effect) != 0)
		;
	if (!target) {
		*ret_next_ms = 0;
		return "no such effect is configured any more";
	}
	why = json_string_value(json_object_get(target, "waits_for"));
	until = json_string_value(json_object_get(target, "waits_until"));
	if (why && (!until || clock_parse_rfc3339(until, &until_ms) != 0))
		*ret_next_ms = 0;
	else if (until_ms > entry->due_ms)
		*ret_next_ms = until_ms;
	return why;
}

/* A list of objects, one a line. */
static int print_json(struct listing *listing, const struct outbox_entry *entry, bool whole)
{
	json_t *json = effects_json_entry(entry, whole);
	int64_t next_ms;
	const char *why = waits_for(listing, entry, &next_ms);
	int err = !json ? ERR_MEMORY : effects_json_wait(json, why, next_ms);

	if (!err) {
		(void)fputs(listing->count > 0 ? ",\n" : "[\n", stdout);
		err = json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) ? ERR_SYSTEM : 0;
	}
	json_decref(json);
	return err;
}

static int print_row(void *arg, const struct outbox_entry *entry)
{
	struct listing *listing = arg;
	char id[EFFECT_ID_SIZE], created[RFC3339_SIZE], next[RFC3339_SIZE];
	int64_t next_ms;
	const char *why = waits_for(listing, entry, &next_ms);
	int err = 0;

	if (listing->json) {
		err = print_json(listing, entry, false);
	} else {
		if (listing->count == 0)
			(void)printf("%-40s %-9s %-12s %8s  %-24s %-24s %s\n", "ID", "STATE", "CAUSE", "ATTEMPTS",
				"CREATED", "NEXT ATTEMPT", "REASON");
		effect_id(id, entry->event_id, entry->effect, entry->part);
		(void)printf("%-40s %-9s %-12s %8d  %-24s %-24s %s%s%s%s\n", id, effect_state_text(entry->state),
			entry->cause[0] ? entry->cause : "-", entry->attempts, time_text(entry->created_ms, created),
			time_text(next_ms, next), why ? why : "", why && entry->reason[0] ? " (" : "", entry->reason,
			why && entry->reason[0] ? ")" : "");
	}
	listing->count++;
	return err;
}

static void print_attempts(const char *log)
{
	json_t *list = json_loads(log, 0, NULL), *attempt;
	size_t i;

	json_array_foreach(list, i, attempt)
	{
		const char *reason = json_string_value(json_object_get(attempt, "reason"));
		(void)printf("  attempt %-4d %s  %9.3f ms  %-10s %s\n",
			(int)json_integer_value(json_object_get(attempt, "attempt")),
			json_string_value(json_object_get(attempt, "start")),
			json_number_value(json_object_get(attempt, "duration_ms")),
			json_string_value(json_object_get(attempt, "outcome")), reason ? reason : "");
	}
	json_decref(list);
}

/* What a receiver said may hold anything: control bytes stay off the terminal. */
static void print_reply(const char *reply)
{
	if (!reply || !*reply)
		return;
	(void)fputs("reply:      ", stdout);
	for (const char *c = reply; *c; c++)
		(void)putchar((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
	(void)putchar('\n');
}

static int print_whole(void *arg, const struct outbox_entry *entry)
{
	struct listing *listing = arg;
	char id[EFFECT_ID_SIZE], text[RFC3339_SIZE];
	int64_t next_ms;
	const char *why = waits_for(listing, entry, &next_ms);
	int err = 0;

	if (listing->json) {
		err = print_json(listing, entry, true);
		listing->count++;
		return err;
	}
	effect_id(id, entry->event_id, entry->effect, entry->part);
	(void)printf("%s%s\n", listing->count++ > 0 ? "\n" : "", id);
	(void)printf("event:      %s of %s\n", entry->type, entry->subject[0] ? entry->subject : "-");
	if (entry->recipient[0])
		(void)printf("recipient:  %s\n", entry->recipient);
	(void)printf("delivery:   %s\n", entry->delivery);
	(void)printf("state:      %s%s%s%s\n", effect_state_text(entry->state), entry->cause[0] ? " (" : "",
		entry->cause, entry->cause[0] ? ")" : "");
	if (entry->reason[0])
		(void)printf("reason:     %s\n", entry->reason);
	(void)printf("created:    %s\n", time_text(entry->created_ms, text));
	if (entry->state == EFFECT_PENDING)
		(void)printf("next try:   %s%s%s\n", time_text(next_ms, text), why ? "  " : "", why ? why : "");
	else
		(void)printf("settled:    %s\n", time_text(entry->settled_ms, text));
	if (entry->replayed_ms > 0)
		(void)printf("replayed:   %s\n", time_text(entry->replayed_ms, text));
	print_reply(entry->reply);
	(void)printf("attempts:   %d\n", entry->attempts);
	print_attempts(entry->log);
	return 0;
}

static int print_all(const struct cli *cli, const struct config *config, const struct outbox_filter *filter, int limit,
	int (*print)(void *arg, const struct outbox_entry *entry), size_t *ret_count)
{
	struct listing listing = {.json = cli->json};
	char why[DB_MESSAGE_SIZE] = "";
	struct db *db = NULL;
	int err = db_open_why(config->store, DB_READER, &db, why);

	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	if (cli_targets(config, &listing.targets) != 0)
		listing.targets = NULL; /* the store is told as it is */
	err = outbox_list(db, filter, 0, limit, print, &listing);
	if (err == ERR_STORE)
		cli_fail(CLI_FAILED, "%s: %s", config->store, db_message(db));
	else if (err < 0)
		cli_fail(CLI_FAILED, "%s: %s", config->store, err_text(err));
	db_close(db);
	json_decref(listing.targets);
	if (cli->json)
		(void)puts(listing.count > 0 ? "\n]" : "[]");
	if (err >= 0 && fflush(stdout))
		err = ERR_SYSTEM;
	*ret_count = listing.count;
	return err < 0 ? CLI_FAILED : CLI_DONE;
}

json_t *cli_selection(const struct cli *cli)
{
	return json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "state", cli->state, "effect", cli->effect, "cause",
		cli->cause, "since", cli->since, "until", cli->until);
}

int cli_effects_list(const struct cli *cli, const struct config *config)
{
	struct selection selection;
	char why[SELECTION_WHY], *end = NULL;
	long limit = cli->limit ? strtol(cli->limit, &end, 10) : LIST_DEFAULT;
	json_t *which = cli_selection(cli);
	size_t count = 0;
	int code;

	if (!which)
		return cli_fail(CLI_FAILED, "%s", err_text(ERR_MEMORY));
	if (limit < 1 || limit > LIST_MAX || (end && *end))
		code = cli_fail(CLI_USAGE, "--limit is a number from 1 to %d", LIST_MAX);
	else if (selection_read(which, "all", clock_now_ms(), &selection, why) != 0)
		code = cli_fail(CLI_USAGE, "%s", why);
	else
		code = print_all(cli, config, &selection.filter, (int)limit, print_row, &count);
	if (code == CLI_DONE && count == 0 && cli->effect && !cli_effect_known(config, cli->effect))
		(void)cli_effect_unknown(config, cli->effect); /* it may be right: the outbox outlives configurations */
	if (code == CLI_DONE && !cli->json && (count == 0 || count == (size_t)limit))
		(void)fprintf(stderr, count == 0 ? "none\n" : "there may be more: --limit, --since, --until\n");
	json_decref(which);
	return code;
}

int cli_effects_show(const struct cli *cli, const struct config *config)
{
	char event_id[ID_SIZE], effect[LIMIT_TARGET_KEY + 1];
	struct outbox_filter filter = {.event_id = event_id, .any_state = true};
	size_t count = 0;
	int code;

	if (!effect_id_parse(cli->operands[0], event_id, effect, &filter.part))
		return cli_fail(CLI_USAGE, "%s is no id of an effect or an event", cli->operands[0]);
	filter.effect = effect[0] ? effect : NULL;
	code = print_all(cli, config, &filter, LIMIT_DISPATCH, print_whole, &count);
	if (code == CLI_DONE && count == 0)
		return cli_fail(CLI_FAILED, "there is no effect %s in the outbox", cli->operands[0]);
	return code;
}
