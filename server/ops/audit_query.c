#include "server/ops/audit_query.h"

#include <stdio.h>

#include "config/clock.h"
#include "server/accounts/users_search.h"
#include "server/ops/effects_json.h"
#include "server/ops/selection.h"

static int find_user(struct db *db, const char *word, struct audit_filter *filter)
{
	struct user user;
	int err = id_valid(word) ? users_number(db, word, &filter->user_id) : ERR_NOT_FOUND;

	if (err == ERR_NOT_FOUND) {
		err = users_find_by_username(db, word, &user);
		filter->user_id = err ? 0 : user.id;
	}
	filter->of_user = true;
	return err;
}

static int refuse(char ret_why[AUDIT_QUERY_WHY], const char *word, const char *form)
{
	(void)snprintf(ret_why, AUDIT_QUERY_WHY, "\"%s\" must be %s", word, form);
	return ERR_INVALID;
}

int audit_query(struct db *db, const struct audit_words *words, int64_t now_ms, struct audit_filter *ret_filter,
	struct audit_place *ret_after, char ret_why[AUDIT_QUERY_WHY])
{
	static const char time_form[] = "a time like 2026-01-02T03:04:05Z, a date, or a duration before now like 2h";
	struct audit_filter filter = {.type = words->type, .client = words->client, .request_id = words->request_id};
	struct audit_place after = {0};
	int err = 0;

	if (words->type && !words->type[0])
		return refuse(ret_why, "type", "a type like user.login, or the beginning of some like user.*");
	if (words->since && selection_time(words->since, now_ms, &filter.since_ms))
		return refuse(ret_why, "since", time_form);
	if (words->until && selection_time(words->until, now_ms, &filter.until_ms))
		return refuse(ret_why, "until", time_form);
	if (words->before && audit_place_parse(words->before, &after))
		return refuse(ret_why, "before", "the \"next\" of another page");
	if (words->user)
		err = find_user(db, words->user, &filter);
	if (err)
		return err;
	*ret_filter = filter;
	*ret_after = after;
	return 0;
}

/* A detail is ours, and JSON; one that is not is shown as a text. */
static json_t *detail_json(const char *detail)
{
	json_t *json = json_loads(detail, JSON_REJECT_DUPLICATES, NULL);

	return json ? json : effects_json_text(detail);
}

json_t *audit_json(const struct audit_row *row)
{
	char time[RFC3339_SIZE];
	json_t *user = row->user ? json_pack("{s:s, s:s?}", "id", row->user, "username", row->username) : json_null();

	clock_rfc3339(time, row->at_ms);
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)row->id, "time", time,
		"type", row->type, "user", user, "session",
		row->session_id ? json_integer(row->session_id) : json_null(), "client", effects_json_text(row->client),
		"request_id", effects_json_text(row->request_id), "actor", effects_json_text(row->actor), "detail",
		detail_json(row->detail));
}
