/*
 * Signing keys from the command line. The list reads the store by a connection of its own; a rotation goes to the
 * server that runs, which takes the new key up at once.
 */
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "server/cli/cli.h"
#include "server/token/key_rows.h"

enum { WHEN_SIZE = RFC3339_SIZE };

struct list {
	enum token_alg alg;
	int64_t now_ms;
	struct key_row signs;
	bool found;   /* one that signs */
	json_t *json; /* NULL: a table is asked for */
};

static int find_signing(void *arg, const struct key_row *row)
{
	struct list *list = arg;

	if (key_row_precedes(row, list->found ? &list->signs : NULL, list->alg, list->now_ms)) {
		list->signs = *row;
		list->found = true;
	}
	return 0;
}

/* "": none. */
static void when(char text[WHEN_SIZE], int64_t ms)
{
	text[0] = '\0';
	if (ms)
		clock_rfc3339(text, ms);
}

static int add_row(void *arg, const struct key_row *row)
{
	struct list *list = arg;
	const bool signs = list->found && strcmp(list->signs.kid, row->kid) == 0;
	const char *state = key_state_text(key_row_state(row, signs, list->now_ms)), *alg = token_alg_text(row->alg);
	char created[WHEN_SIZE], active[WHEN_SIZE], retired[WHEN_SIZE];

	when(created, row->created_ms);
	/* a key from before there was a lead signs since it was made */
	when(active, row->active_ms ? row->active_ms : row->created_ms);
	when(retired, row->retired_ms);
	if (list->json)
		return json_array_append_new(
			       list->json, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "kid", row->kid, "alg", alg,
						   "state", state, "created", created, "signs_from", active,
						   "verifies_until", retired[0] ? retired : NULL)) == 0
			       ? 0
			       : ERR_MEMORY;
	(void)printf(
		"%-43s %-5s %-8s %-24s %-24s %s\n", row->kid, alg, state, created, active, retired[0] ? retired : "-");
	return 0;
}

int cli_keys_list(const struct cli *cli, const struct config *config)
{
	struct list list = {.alg = config->token.alg, .now_ms = clock_now_ms()};
	struct db *db = NULL;
	char why[DB_MESSAGE_SIZE] = "";
	int err = db_open_why(config->store, DB_READER, &db, why);

	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	err = key_rows_list(db, find_signing, &list);
	if (!err && cli->json) {
		list.json = json_array();
		err = list.json ? 0 : ERR_MEMORY;
	} else if (!err) {
		(void)printf("%-43s %-5s %-8s %-24s %-24s %s\n", "KID", "ALG", "STATE", "CREATED", "SIGNS FROM",
			"VERIFIES UNTIL");
	}
	if (!err)
		err = key_rows_list(db, add_row, &list);
	if (!err && list.json)
		err = json_dumpf(list.json, stdout, JSON_INDENT(2)) || puts("") < 0 ? ERR_SYSTEM : 0;
	json_decref(list.json);
	if (err)
		cli_fail(CLI_FAILED, "%s: %s", config->store, err == ERR_STORE ? db_message(db) : err_text(err));
	db_close(db);
	if (!err && fflush(stdout))
		err = ERR_SYSTEM;
	return err ? CLI_FAILED : CLI_DONE;
}

static void tell_rotated(const struct cli *cli, const json_t *reply)
{
	const char *signs = json_string_value(json_object_get(reply, "signs"));
	const char *retires = json_string_value(json_object_get(reply, "retires"));

	(void)printf("%s\n", json_string_value(json_object_get(reply, "kid")));
	if (cli->now || cli->leaked)
		(void)fprintf(stderr, "It signs now. Verifiers that keep a copy of the JWKS refuse new tokens until "
				      "they load it again.\n");
	else
		(void)fprintf(stderr, "It is published, and signs from %s on.\n", signs ? signs : "?");
	if (cli->leaked)
		(void)fprintf(stderr, "The old keys are gone, and their tokens with them: whoever has one refreshes "
				      "it, or logs in again.\n");
	else
		(void)fprintf(
			stderr, "Tokens of the old key stay good; it is gone after %s.\n", retires ? retires : "?");
}

int cli_keys_rotate(const struct cli *cli, const struct config *config)
{
	json_t *arguments = json_pack("{s:b, s:b, s:s, s:I, s:I}", "at_once", cli->now || cli->leaked, "leaked",
		cli->leaked, "alg", token_alg_text(config->token.alg), "lead_ms", (json_int_t)config->token.key_lead_ms,
		"ttl_ms", (json_int_t)config->token.access_ttl_ms);
	json_t *reply = NULL;
	bool told = false;
	int err = arguments ? cli_store_command(config, "keys.rotate", arguments, &reply, &told) : ERR_MEMORY;

	if (!err)
		tell_rotated(cli, reply);
	else if (err == ERR_EXISTS)
		cli_fail(CLI_FAILED,
			"a new key waits to sign already, see tokenfirst keys list; --now puts another one in "
			"its place, at once");
	else if (!told)
		cli_fail(CLI_FAILED, "the keys can't be rotated: %s", err_text(err));
	json_decref(arguments);
	json_decref(reply);
	return err ? CLI_FAILED : CLI_DONE;
}
