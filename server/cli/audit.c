/* The audit trail as `tokenfirst audit` prints it, read from the store by a connection of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/cli/cli.h"
#include "server/cli/terminal.h"
#include "server/ops/audit_query.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 1000000 };

struct listing {
	bool json;
	size_t count;
};

static int print_json(struct listing *listing, const struct audit_row *row)
{
	json_t *json = audit_json(row);
	int err;

	if (!json)
		return ERR_MEMORY;
	(void)fputs(listing->count > 0 ? ",\n" : "[\n", stdout);
	err = json_dumpf(json, stdout, JSON_COMPACT) ? ERR_SYSTEM : 0;
	json_decref(json);
	return err;
}

/* One line, whatever is in it; a blank between two columns even where one is too long. */
static void print_column(const char *text, int width)
{
	const char *shown = text && *text ? text : "-";
	const int len = (int)strlen(shown);

	terminal_print(stdout, shown);
	(void)printf("%*s", len < width ? width - len : 1, "");
}

static int print_row(void *arg, const struct audit_row *row)
{
	struct listing *listing = arg;
	char time[RFC3339_SIZE];
	int err = 0;

	if (listing->json) {
		err = print_json(listing, row);
	} else {
		if (listing->count == 0)
			(void)printf("%-25s%-24s%-24s%-20s%-18s%s\n", "TIME", "TYPE", "USER", "BY", "CLIENT", "DETAIL");
		clock_rfc3339(time, row->at_ms);
		print_column(time, 25);
		print_column(row->type, 24);
		print_column(row->username ? row->username : row->user, 24);
		print_column(row->actor, 20);
		print_column(row->client, 18);
		terminal_print(stdout, row->detail);
		(void)putchar('\n');
	}
	listing->count++;
	return err;
}

/* As many pages as it takes to find so many. */
static int list(
	struct db *db, const struct audit_filter *filter, struct audit_place place, int limit, struct listing *listing)
{
	do {
		const int seen = audit_list(db, filter, &place, limit, print_row, listing, &place);
		if (seen < 0)
			return seen;
		limit -= seen;
	} while (limit > 0 && place.id);
	return 0;
}

static int print_all(struct db *db, const struct cli *cli, const char *store, int limit)
{
	const struct audit_words words = {
		.user = cli->user, .type = cli->type, .since = cli->since, .until = cli->until};
	struct listing listing = {.json = cli->json};
	struct audit_filter filter;
	struct audit_place after;
	char why[AUDIT_QUERY_WHY];
	int err = audit_query(db, &words, clock_now_ms(), &filter, &after, why);

	if (err == ERR_INVALID)
		return cli_fail(CLI_USAGE, "%s", why);
	if (err == ERR_NOT_FOUND)
		return cli_fail(CLI_FAILED, "there is no user %s", cli->user);
	if (!err)
		err = list(db, &filter, after, limit, &listing);
	if (cli->json)
		(void)puts(listing.count > 0 ? "\n]" : "[]");
	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", store, err == ERR_STORE ? db_message(db) : err_text(err));
	if (fflush(stdout))
		return CLI_FAILED;
	if (!cli->json && (listing.count == 0 || listing.count == (size_t)limit))
		(void)fprintf(stderr, listing.count == 0 ? "none\n" : "there may be more: --limit, --since, --until\n");
	return CLI_DONE;
}

int cli_audit(const struct cli *cli, const struct config *config)
{
	char why[DB_MESSAGE_SIZE] = "", *end = NULL;
	long limit = cli->limit ? strtol(cli->limit, &end, 10) : LIST_DEFAULT;
	struct db *db = NULL;
	int err, code;

	if (limit < 1 || limit > LIST_MAX || (end && *end))
		return cli_fail(CLI_USAGE, "--limit is a number from 1 to %d", LIST_MAX);
	err = db_open_why(config->store, DB_READER, &db, why);
	if (err)
		return cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err));
	code = print_all(db, cli, config->store, (int)limit);
	db_close(db);
	return code;
}
