/*
 * The outbox as operators see it. Rows are found by a walk in the order of their ids, through an index that holds what
 * is pending or dead where only that is asked for, and each is held against the filter here: one way to match for
 * listing, counting and changing.
 *
 * A change looks at a bounded number of rows, whether they match or not, before it lets the transaction go on.
 */
#include "background/store/outbox_admin.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "background/store/outbox_internal.h"
#include "config/limits.h"

enum direction { UP, DOWN };

#define CANDIDATES "SELECT f.id, f.effect, f.state, f.part, f.cause, f.created_ms FROM effects f"
#define OF_EVENT   " JOIN events e ON e.id = f.event WHERE e.event_id = $1"
/* the bracket repeats what effects_open holds, so that it is used whatever the parameter says */
#define OPEN " WHERE f.state = $1 AND (f.state = 0 OR f.state = 2)"

static const char *const walks_event[] = {
	[UP] = CANDIDATES OF_EVENT " AND f.id > $2 ORDER BY f.id LIMIT $3",
	[DOWN] = CANDIDATES OF_EVENT " AND f.id < $2 ORDER BY f.id DESC LIMIT $3",
};
static const char *const walks_open[] = {
	[UP] = CANDIDATES OPEN " AND f.id > $2 ORDER BY f.id LIMIT $3",
	[DOWN] = CANDIDATES OPEN " AND f.id < $2 ORDER BY f.id DESC LIMIT $3",
};
static const char *const walks_all[] = {
	[UP] = CANDIDATES " WHERE f.id > $1 ORDER BY f.id LIMIT $2",
	[DOWN] = CANDIDATES " WHERE f.id < $1 ORDER BY f.id DESC LIMIT $2",
};

struct candidate {
	int64_t row, created_ms;
	enum effect_state state;
	int part;
	const char *effect, *cause;
};

static bool is_open(enum effect_state state)
{
	return state == EFFECT_PENDING || state == EFFECT_DEAD;
}

static bool effect_matches(const struct outbox_filter *filter, const char *effect)
{
	if (filter->effect == NULL)
		return true;
	size_t len = strlen(filter->effect);
	return strncmp(effect, filter->effect, len) == 0 &&
	       (effect[len] == '\0' || (effect[len] == '.' && !filter->whole_name));
}

static bool matches(const struct outbox_filter *filter, const struct candidate *one)
{
	bool by_part = filter->event_id != NULL && filter->effect != NULL && filter->part >= 0;

	return (filter->any_state || one->state == filter->state) && effect_matches(filter, one->effect) &&
	       (!by_part || one->part == filter->part) &&
	       (filter->cause == NULL || strcmp(filter->cause, one->cause) == 0) &&
	       one->created_ms >= filter->since_ms && (filter->until_ms == 0 || one->created_ms < filter->until_ms);
}

/*
 * Calls with each row behind `from` that matches; `take` returns 1 to end the walk before that row, 2 behind it. At
 * most `look` rows are looked at. 1: there may be more; 0: that was all. `ret_last` is the last one done with.
 */
static int walk(struct db *db, const struct outbox_filter *filter, enum direction direction, int64_t from, int64_t look,
	int (*take)(void *arg, const struct candidate *one), void *arg, int64_t *ret_last)
{
	struct db_statement *s = NULL;
	int64_t looked = 0;
	int index = 1;
	int took = 0;

	const char *const *walks = walks_all;
	if (filter->event_id != NULL)
		walks = walks_event;
	else if (!filter->any_state && is_open(filter->state))
		walks = walks_open;
	int err = db_prepare(db, walks[direction], &s);
	if (err != 0)
		return err;
	if (walks == walks_event)
		db_bind_text(s, index++, filter->event_id);
	else if (walks == walks_open)
		db_bind_int(s, index++, filter->state);
	db_bind_int(s, index++, from);
	db_bind_int(s, index, look);
	while (took == 0 && (err = db_step(s)) == 1) {
		struct candidate one = {
			.row = db_int(s, 0),
			.effect = db_text(s, 1),
			.state = (enum effect_state)db_int(s, 2),
			.part = (int)db_int(s, 3),
			.cause = db_text(s, 4),
			.created_ms = db_int(s, 5),
		};
		if (one.effect == NULL || one.cause == NULL) {
			err = ERR_MEMORY; /* the columns hold no null */
			break;
		}
		looked++;
		took = matches(filter, &one) ? take(arg, &one) : 0;
		if (took < 0)
			err = took;
		else if (took != 1)
			*ret_last = one.row;
	}
	db_finish(s);
	if (err < 0)
		return err;
	return took != 0 || looked == look;
}

struct listing {
	struct db *db;
	int limit, seen;
	int (*entry)(void *arg, const struct outbox_entry *entry);
	void *arg;
};

static int list_one(void *arg, const struct candidate *candidate)
{
	static const char sql[] =
		"SELECT e.event_id, e.type, e.subject, f.effect, f.recipient, f.delivery, f.cause, f.reason, f.reply,"
		" f.log, f.part, f.attempts, f.spent, f.state, f.created_ms, f.due_ms, f.settled_ms, f.replayed_ms,"
		" e.user_id FROM effects f JOIN events e ON e.id = f.event WHERE f.id = $1";
	struct listing *listing = arg;
	struct db_statement *s = NULL;

	int err = db_prepare(listing->db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, candidate->row);
	err = db_step(s);
	if (err == 1) {
		struct outbox_entry one = {
			.row = candidate->row,
			.event_id = db_text(s, 0),
			.type = db_text(s, 1),
			.subject = db_text(s, 2),
			.effect = db_text(s, 3),
			.recipient = db_text(s, 4),
			.delivery = db_text(s, 5),
			.cause = db_text(s, 6),
			.reason = db_text(s, 7),
			.reply = db_text(s, 8),
			.log = db_text(s, 9),
			.part = (int)db_int(s, 10),
			.attempts = (int)db_int(s, 11),
			.spent = (int)db_int(s, 12),
			.state = (enum effect_state)db_int(s, 13),
			.created_ms = db_int(s, 14),
			.due_ms = db_int(s, 15),
			.settled_ms = db_int(s, 16),
			.replayed_ms = db_int(s, 17),
			.user_id = db_int(s, 18),
		};
		listing->seen++;
		if (one.event_id == NULL || one.type == NULL || one.subject == NULL || one.effect == NULL ||
			one.recipient == NULL || one.delivery == NULL || one.cause == NULL || one.reason == NULL ||
			one.log == NULL)
			err = ERR_MEMORY; /* of these columns none holds a null */
		else
			err = listing->entry(listing->arg, &one) != 0 || listing->seen >= listing->limit ? 2 : 0;
	}
	db_finish(s);
	return err;
}

int outbox_list(struct db *db, const struct outbox_filter *filter, int64_t before_row, int limit,
	int (*entry)(void *arg, const struct outbox_entry *entry), void *arg)
{
	struct listing listing = {.db = db, .limit = limit, .entry = entry, .arg = arg};
	int64_t last = 0;

	if (limit <= 0)
		return 0;
	int err = walk(db, filter, DOWN, before_row > 0 ? before_row : INT64_MAX, INT64_MAX, list_one, &listing, &last);
	return err < 0 ? err : listing.seen;
}

bool outbox_tally_add(struct outbox_tally *tally, const char *effect, const char *cause, int64_t rows)
{
	size_t i = 0;

	while (i < tally->count &&
		(strcmp(tally->items[i].effect, effect) != 0 || strcmp(tally->items[i].cause, cause) != 0))
		i++;
	if (i == LIMIT_OUTBOX_FOLD)
		return false;
	if (i == tally->count) {
		snprintf(tally->items[i].effect, sizeof(tally->items[i].effect), "%s", effect);
		snprintf(tally->items[i].cause, sizeof(tally->items[i].cause), "%s", cause);
		tally->items[i].rows = 0;
		tally->count++;
	}
	tally->items[i].rows += rows;
	return true;
}

void outbox_tally_sum(struct outbox_tally *sum, const struct outbox_tally *part)
{
	sum->rows += part->rows;
	for (size_t i = 0; i < part->count; i++)
		(void)outbox_tally_add(sum, part->items[i].effect, part->items[i].cause, part->items[i].rows);
}

struct change {
	struct outbox_tally tally;
	int limit;
	int64_t rows[LIMIT_OUTBOX_BATCH];
};

static int choose(void *arg, const struct candidate *one)
{
	struct change *change = arg;

	if (!outbox_tally_add(&change->tally, one->effect, one->state == EFFECT_DEAD ? one->cause : "", 1))
		return 1;
	change->rows[change->tally.rows++] = one->row;
	return change->tally.rows == change->limit ? 2 : 0;
}

static int change_rows(struct db *db, const char *sql, const struct change *change, int64_t now_ms)
{
	struct db_statement *s = NULL;

	for (int64_t i = 0; i < change->tally.rows; i++) {
		int err = db_prepare(db, sql, &s);
		if (err != 0)
			return err;
		db_bind_int(s, 1, now_ms);
		db_bind_int(s, 2, change->rows[i]);
		err = db_run(s);
		if (err != 0)
			return err;
	}
	return 0;
}

/* Finds rows, then runs `sql` on each, then moves the counters: to pending if they are owed again. */
static int apply(struct db *db, const struct outbox_filter *filter, int64_t after_row, int limit, int64_t now_ms,
	const char *sql, bool owed, struct outbox_tally *ret_tally)
{
	struct change change = {.limit = limit < LIMIT_OUTBOX_BATCH ? limit : LIMIT_OUTBOX_BATCH};

	assert(!filter->any_state && limit > 0);
	change.tally.last_row = after_row;
	int err = walk(db, filter, UP, after_row, LIMIT_OUTBOX_LOOK, choose, &change, &change.tally.last_row);
	if (err < 0)
		return err;
	change.tally.more = err == 1;
	err = change_rows(db, sql, &change, now_ms);
	for (size_t i = 0; i < change.tally.count && err == 0; i++) {
		const char *effect = change.tally.items[i].effect;
		const char *cause = change.tally.items[i].cause;
		int64_t rows = change.tally.items[i].rows;
		err = outbox_count_change(db, effect, cause[0] != '\0' ? cause : KIND_PENDING, -rows);
		if (err == 0 && owed)
			err = outbox_count_change(db, effect, KIND_PENDING, rows);
	}
	if (err == 0)
		*ret_tally = change.tally;
	return err;
}

int outbox_replay(struct db *db, const struct outbox_filter *filter, int64_t after_row, int limit, int64_t now_ms,
	struct outbox_tally *ret_tally)
{
	/* `attempts` stays: a settlement is fenced by it, and what is still on its way must not fit a later attempt */
	static const char sql[] =
		"UPDATE effects SET state = 0, again = 0, due_ms = $1, replayed_ms = $1, spent = attempts,"
		" settled_ms = 0, cause = '', reason = '', reply = NULL WHERE id = $2";

	assert(filter->state == EFFECT_DEAD);
	return apply(db, filter, after_row, limit, now_ms, sql, true, ret_tally);
}

int outbox_discard(struct db *db, const struct outbox_filter *filter, int64_t after_row, int limit, int64_t now_ms,
	struct outbox_tally *ret_tally)
{
	static const char sql[] = "UPDATE effects SET state = 3, settled_ms = $1, started_run = 0 WHERE id = $2";

	assert(is_open(filter->state));
	return apply(db, filter, after_row, limit, now_ms, sql, false, ret_tally);
}

struct counting {
	const struct outbox_filter *filter;
	struct outbox_tally *tally;
};

/* Beyond the room for pairs the sum alone is told. */
static void count_rows(struct outbox_tally *tally, const char *effect, const char *cause, int64_t rows)
{
	tally->rows += rows;
	if (!outbox_tally_add(tally, effect, cause, rows))
		tally->more = true;
}

static int count_counter(void *arg, const char *effect, const char *kind, int64_t count)
{
	const struct counting *counting = arg;
	const struct outbox_filter *filter = counting->filter;
	bool pending = strcmp(kind, KIND_PENDING) == 0;
	const char *cause = pending ? "" : kind;

	if (pending == (filter->state == EFFECT_PENDING) && effect_matches(filter, effect) &&
		(filter->cause == NULL || strcmp(filter->cause, cause) == 0))
		count_rows(counting->tally, effect, cause, count);
	return 0;
}

static int count_candidate(void *arg, const struct candidate *one)
{
	const struct counting *counting = arg;

	count_rows(counting->tally, one->effect, one->state == EFFECT_DEAD ? one->cause : "", 1);
	return 0;
}

int outbox_tally(struct db *db, const struct outbox_filter *filter, struct outbox_tally *ret_tally)
{
	struct outbox_tally tally = {0};
	struct counting counting = {.filter = filter, .tally = &tally};
	int64_t last = 0;
	int err = 0;

	if (!filter->any_state && is_open(filter->state) && filter->event_id == NULL && filter->since_ms == 0 &&
		filter->until_ms == 0)
		err = outbox_counts(db, count_counter, &counting);
	else
		err = walk(db, filter, UP, 0, INT64_MAX, count_candidate, &counting, &last);
	if (err < 0)
		return err;
	*ret_tally = tally;
	return 0;
}
