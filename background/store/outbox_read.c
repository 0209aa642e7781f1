/* Reading the outbox: nothing here writes, any connection will do. */
#include "background/store/outbox.h"

#include <stdlib.h>
#include <string.h>

/*
 * `state = 0` stands in the text, not in a parameter: only so the partial index effects_due is used. $1 is the run that
 * asks; a row that another one has in flight was so when that ended.
 */
#define DUE_ROWS                                                                                                       \
	"SELECT f.id, f.attempts, f.due_ms, f.log, f.event, e.event_id, e.type, e.subject, e.data, e.traceparent,"     \
	" e.created_ms, e.user_id, f.part, f.recipient, f.spent, f.again,"                                             \
	" f.crashes + CASE WHEN f.started_run IN (0, $1, 0 - $1) THEN 0 ELSE 1 END,"                                   \
	" CASE WHEN f.started_run < 0 AND f.started_run <> 0 - $1 THEN 1 ELSE 0 END,"                                  \
	" CASE WHEN f.replayed_ms > 0 THEN f.replayed_ms ELSE e.created_ms END"                                        \
	" FROM effects f JOIN events e ON e.id = f.event WHERE f.effect = $2 AND f.state = 0 "
#define IN_ORDER " ORDER BY f.due_ms, f.id LIMIT "

static const char due_first[] = DUE_ROWS "AND f.again = 0" IN_ORDER "$3";
static const char due_again[] = DUE_ROWS "AND f.again = 1 AND f.due_ms <= $3" IN_ORDER "$4";

/* false: out of memory, as the columns hold no null. */
static bool read_due(struct db_statement *s, struct outbox_row *row)
{
	*row = (struct outbox_row){
		.row = db_int(s, 0),
		.part = (int)db_int(s, 12),
		.recipient = db_text(s, 13),
		.attempts = (int)db_int(s, 1),
		.spent = (int)db_int(s, 14),
		.again = db_int(s, 15) != 0,
		.crashes = (int)db_int(s, 16),
		.crashed_alone = db_int(s, 17) != 0,
		.since_ms = db_int(s, 18),
		.due_ms = db_int(s, 2),
		.log = db_text(s, 3),
		.event_row = db_int(s, 4),
		.event_id = db_text(s, 5),
		.type = db_text(s, 6),
		.subject = db_text(s, 7),
		.data = db_text(s, 8),
		.traceparent = db_text(s, 9),
		.created_ms = db_int(s, 10),
		.user_id = db_int(s, 11),
	};
	return row->recipient != NULL && row->log != NULL && row->event_id != NULL && row->type != NULL &&
	       row->subject != NULL && row->data != NULL && row->traceparent != NULL;
}

int outbox_due(struct db *db, const char *effect, enum outbox_class class, int64_t run, int64_t now_ms, int limit,
	int (*row)(void *arg, const struct outbox_row *row), void *arg)
{
	struct db_statement *s = NULL;
	struct outbox_row one;
	int seen = 0;

	int err = db_prepare(db, class == OUTBOX_FIRST ? due_first : due_again, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, run);
	db_bind_text(s, 2, effect);
	if (class == OUTBOX_AGAIN)
		db_bind_int(s, 3, now_ms);
	db_bind_int(s, class == OUTBOX_AGAIN ? 4 : 3, limit > 0 ? limit : 0);
	while ((err = db_step(s)) == 1) {
		if (!read_due(s, &one)) {
			err = ERR_MEMORY;
			break;
		}
		seen++;
		if (row(arg, &one) != 0) {
			err = 0;
			break;
		}
	}
	db_finish(s);
	return err != 0 ? err : seen;
}

/* For a bound statement that yields at most one time: 1 and the time, 0, or an error. */
static int one_time(struct db_statement *s, int64_t *ret_ms)
{
	int err = db_step(s);
	if (err == 1)
		*ret_ms = db_int(s, 0);
	db_finish(s);
	return err;
}

int outbox_next_due(struct db *db, const char *effect, int64_t now_ms, int64_t *ret_due_ms)
{
	static const char sql[] = "SELECT due_ms FROM effects WHERE effect = $1 AND state = 0 AND again = 1"
				  " AND due_ms > $2 ORDER BY due_ms LIMIT 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, effect);
	db_bind_int(s, 2, now_ms);
	return one_time(s, ret_due_ms);
}

static int oldest_of(struct db *db, const char *effect, enum outbox_class class, int64_t *ret_due_ms)
{
	static const char sql[] =
		"SELECT due_ms FROM effects WHERE effect = $1 AND state = 0 AND again = $2 ORDER BY due_ms LIMIT 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, effect);
	db_bind_int(s, 2, class == OUTBOX_AGAIN);
	return one_time(s, ret_due_ms);
}

int outbox_oldest_due(struct db *db, const char *effect, int64_t *ret_due_ms)
{
	int64_t at[OUTBOX_CLASSES] = {INT64_MAX, INT64_MAX};

	int first = oldest_of(db, effect, OUTBOX_FIRST, &at[OUTBOX_FIRST]);
	if (first < 0)
		return first;
	int again = oldest_of(db, effect, OUTBOX_AGAIN, &at[OUTBOX_AGAIN]);
	if (again < 0)
		return again;
	if (first == 0 && again == 0)
		return 0;
	*ret_due_ms = at[OUTBOX_FIRST] < at[OUTBOX_AGAIN] ? at[OUTBOX_FIRST] : at[OUTBOX_AGAIN];
	return 1;
}

int outbox_counts(
	struct db *db, int (*count)(void *arg, const char *effect, const char *kind, int64_t count), void *arg)
{
	static const char sql[] = "SELECT effect, kind, count FROM counters WHERE count <> 0 ORDER BY effect, kind";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	while ((err = db_step(s)) == 1) {
		const char *effect = db_text(s, 0);
		const char *kind = db_text(s, 1);
		err = effect == NULL || kind == NULL ? ERR_MEMORY : count(arg, effect, kind, db_int(s, 2));
		if (err != 0)
			break;
	}
	db_finish(s);
	return err;
}

static char *copy_text(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

int outbox_find_event(struct db *db, const char *event_id, struct outbox_event *ret_event)
{
	static const char sql[] =
		"SELECT id, user_id, created_ms, type, subject, unrecorded FROM events WHERE event_id = $1";
	struct db_statement *s = NULL;
	struct outbox_event found = {0};

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, event_id);
	err = db_step(s);
	if (err == 1) {
		found.row = db_int(s, 0);
		found.user_id = db_int(s, 1);
		found.created_ms = db_int(s, 2);
		found.type = copy_text(db_text(s, 3));
		found.subject = copy_text(db_text(s, 4));
		found.unrecorded = copy_text(db_text(s, 5));
		err = found.type == NULL || found.subject == NULL || found.unrecorded == NULL ? ERR_MEMORY : 0;
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	if (err != 0)
		outbox_event_release(&found);
	else
		*ret_event = found;
	return err;
}

void outbox_event_release(struct outbox_event *event)
{
	free(event->type);
	free(event->subject);
	free(event->unrecorded);
	memset(event, 0, sizeof(*event));
}

int outbox_event_effects(
	struct db *db, int64_t event_row, int (*effect)(void *arg, const struct outbox_effect *effect), void *arg)
{
	static const char sql[] = "SELECT effect, delivery, cause, reason, reply, log, state, attempts, due_ms,"
				  " settled_ms, part, recipient FROM effects WHERE event = $1 ORDER BY id";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, event_row);
	while ((err = db_step(s)) == 1) {
		struct outbox_effect one = {
			.effect = db_text(s, 0),
			.recipient = db_text(s, 11),
			.delivery = db_text(s, 1),
			.cause = db_text(s, 2),
			.reason = db_text(s, 3),
			.reply = db_text(s, 4),
			.log = db_text(s, 5),
			.part = (int)db_int(s, 10),
			.state = (enum effect_state)db_int(s, 6),
			.attempts = (int)db_int(s, 7),
			.due_ms = db_int(s, 8),
			.settled_ms = db_int(s, 9),
		};
		if (one.effect == NULL || one.recipient == NULL || one.delivery == NULL || one.cause == NULL ||
			one.reason == NULL || one.log == NULL) {
			err = ERR_MEMORY; /* the columns hold no null */
			break;
		}
		err = effect(arg, &one);
		if (err != 0)
			break;
	}
	db_finish(s);
	return err;
}
