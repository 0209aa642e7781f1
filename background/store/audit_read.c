/*
 * One walk through one of three indexes, all of which end in (at_ms, id), and each row held against the filter here.
 * Whose account it is about is looked up for those that fit alone: the rest would take ten times as long.
 */
#include "background/store/audit_read.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"

#define COLUMNS                                                                                                        \
	"SELECT a.id, a.at_ms, a.type, a.user_id, a.session_id, a.client, a.request_id, a.actor, a.detail "            \
	"FROM audit a WHERE (a.at_ms, a.id) < ($1, $2) AND a.at_ms >= $3"
#define NEWEST_FIRST " ORDER BY a.at_ms DESC, a.id DESC"

static const char by_time[] = COLUMNS NEWEST_FIRST " LIMIT $4";
static const char by_type[] = COLUMNS " AND a.type = $4" NEWEST_FIRST " LIMIT $5";
static const char by_user[] = COLUMNS " AND a.user_id = $4" NEWEST_FIRST " LIMIT $5";

void audit_place_text(const struct audit_place *place, char ret_text[AUDIT_PLACE_SIZE])
{
	(void)snprintf(ret_text, AUDIT_PLACE_SIZE, "%" PRId64 "-%" PRId64, place->at_ms, place->id);
}

/* Digits alone up to `end`; a minus or a blank, which strtoll takes, is none. */
static int read_number(const char *text, char end, const char **ret_end, int64_t *ret_number)
{
	char *stop = NULL;

	if (text[0] < '0' || text[0] > '9')
		return ERR_INVALID;
	errno = 0;
	*ret_number = strtoll(text, &stop, 10);
	*ret_end = stop;
	return errno == 0 && *stop == end ? 0 : ERR_INVALID;
}

int audit_place_parse(const char *text, struct audit_place *ret_place)
{
	struct audit_place place;
	const char *end = NULL;

	if (read_number(text, '-', &end, &place.at_ms) || read_number(end + 1, '\0', &end, &place.id) || place.id == 0)
		return ERR_INVALID;
	*ret_place = place;
	return 0;
}

static bool is_prefix(const char *type)
{
	const size_t len = strlen(type);

	return len > 0 && type[len - 1] == '*';
}

static bool type_matches(const char *pattern, const char *type)
{
	return is_prefix(pattern) ? strncmp(pattern, type, strlen(pattern) - 1) == 0 : strcmp(pattern, type) == 0;
}

static bool matches(const struct audit_filter *filter, const struct audit_row *row)
{
	return (!filter->of_user || filter->user_id == row->user_id) &&
	       (!filter->type || type_matches(filter->type, row->type)) &&
	       (!filter->client || strcmp(filter->client, row->client) == 0) &&
	       (!filter->request_id || strcmp(filter->request_id, row->request_id) == 0);
}

static int read_row(struct db_statement *s, struct audit_row *ret_row)
{
	struct audit_row row = {
		.id = db_int(s, 0),
		.at_ms = db_int(s, 1),
		.type = db_text(s, 2),
		.user_id = db_int(s, 3),
		.session_id = db_int(s, 4),
		.client = db_text(s, 5),
		.request_id = db_text(s, 6),
		.actor = db_text(s, 7),
		.detail = db_text(s, 8),
	};

	if (!row.type || !row.client || !row.request_id || !row.actor || !row.detail)
		return ERR_MEMORY; /* the columns hold no null */
	*ret_row = row;
	return 0;
}

/* With the account that it is about; what the callback returns, or an error. */
static int give(struct db *db, struct audit_row *one, int (*row)(void *arg, const struct audit_row *row), void *arg)
{
	static const char sql[] = "SELECT public_id, username, deleted_ms FROM users WHERE id = $1";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, one->user_id);
	err = db_step(s);
	if (err == 1) {
		one->user = db_text(s, 0);
		one->username = db_int(s, 2) == 0 ? db_text(s, 1) : NULL;
	}
	if (err >= 0)
		err = row(arg, one);
	db_finish(s);
	return err;
}

/* A statement of the index that narrows most, ready for its first step. */
static int begin(struct db *db, const struct audit_filter *filter, const struct audit_place *after,
	struct db_statement **ret_statement)
{
	const bool typed = filter->type && !is_prefix(filter->type);
	const char *sql = filter->of_user ? by_user : typed ? by_type : by_time;
	struct audit_place from = after->id ? *after : (struct audit_place){INT64_MAX, INT64_MAX};
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	if (filter->until_ms && filter->until_ms <= from.at_ms)
		from = (struct audit_place){filter->until_ms, 0}; /* ids begin at 1, so nothing of that very time */
	db_bind_int(s, 1, from.at_ms);
	db_bind_int(s, 2, from.id);
	db_bind_int(s, 3, filter->since_ms);
	if (filter->of_user)
		db_bind_int(s, 4, filter->user_id);
	else if (typed)
		db_bind_text(s, 4, filter->type);
	db_bind_int(s, filter->of_user || typed ? 5 : 4, LIMIT_AUDIT_LOOK);
	*ret_statement = s;
	return 0;
}

int audit_list(struct db *db, const struct audit_filter *filter, const struct audit_place *after, int limit,
	int (*row)(void *arg, const struct audit_row *row), void *arg, struct audit_place *ret_next)
{
	struct audit_place last = {0};
	struct db_statement *s = NULL;
	int seen = 0, looked = 0, stop = 0;
	int err;

	assert(limit > 0);
	err = begin(db, filter, after, &s);
	if (err)
		return err;
	while (!stop && seen < limit && (err = db_step(s)) == 1) {
		struct audit_row one;
		err = read_row(s, &one);
		if (err)
			break;
		looked++;
		last = (struct audit_place){one.at_ms, one.id};
		if (!matches(filter, &one))
			continue;
		seen++;
		stop = give(db, &one, row, arg);
	}
	db_finish(s);
	if (err < 0 || stop < 0)
		return err < 0 ? err : stop;
	*ret_next = stop || seen == limit || looked == LIMIT_AUDIT_LOOK ? last : (struct audit_place){0};
	return seen;
}

int audit_count(struct db *db, const char *type, int64_t since_ms, int64_t most, int64_t *ret_count)
{
	static const char sql[] =
		"SELECT COUNT(*) FROM (SELECT 1 FROM audit WHERE type = $1 AND at_ms >= $2 LIMIT $3) a";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, type);
	db_bind_int(s, 2, since_ms);
	db_bind_int(s, 3, most);
	err = db_step(s);
	if (err == 1) {
		*ret_count = db_int(s, 0);
		err = 0;
	}
	db_finish(s);
	return err;
}
