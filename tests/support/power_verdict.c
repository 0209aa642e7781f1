#include "tests/support/power_verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool power_verdict_said(const struct power_verdict *v)
{
	return v->text[0] != '\0';
}

/* The first column of the only row. */
static void text_of(struct db *db, const char *sql, struct power_verdict *v, char *ret_text, size_t size)
{
	struct db_statement *s = NULL;

	if (db_prepare(db, sql, &s) != 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "%s", db_message(db));
		return;
	}
	int step = db_step(s);
	if (step < 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "%s", db_message(db));
	} else {
		snprintf(ret_text, size, "%s", step == 1 ? db_text(s, 0) : "");
	}
	db_finish(s);
}

void power_check_sound(struct db *db, struct power_verdict *v)
{
	static const char integrity[] = "PRAGMA integrity_check";
	static const char keys[] = "SELECT count(*) FROM pragma_foreign_key_check";
	char text[128] = "";

	if (!power_verdict_said(v))
		text_of(db, integrity, v, text, sizeof(text));
	if (!power_verdict_said(v) && strcmp(text, "ok") != 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "integrity_check: %s", text);
	}
	if (!power_verdict_said(v))
		text_of(db, keys, v, text, sizeof(text));
	if (!power_verdict_said(v) && strcmp(text, "0") != 0) {
		v->half = true;
		snprintf(v->text, sizeof(v->text), "%s rows without what they belong to", text);
	}
}

void power_check_counters(struct db *db, struct power_verdict *v)
{
	static const char sql[] =
		"WITH counted AS (SELECT effect, CASE state WHEN 0 THEN 'pending' ELSE cause END AS kind, count(*) AS "
		"count"
		" FROM effects WHERE state IN (0, 2) GROUP BY 1, 2),"
		" kept AS (SELECT effect, kind, count FROM counters WHERE count <> 0)"
		" SELECT count(*) FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)"
		" UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))";
	char text[32] = "";

	if (!power_verdict_said(v))
		text_of(db, sql, v, text, sizeof(text));
	if (!power_verdict_said(v) && strcmp(text, "0") != 0) {
		v->half = true;
		snprintf(v->text, sizeof(v->text), "%s counters differ from the rows", text);
	}
}

struct found {
	bool there[POWER_WORK_LOGINS], marked[POWER_WORK_LOGINS], settled[POWER_WORK_LOGINS];
};

static void find_row(struct db_statement *s, int place, struct found *found, struct power_verdict *v)
{
	int64_t number = db_int(s, 0);
	bool delivered = db_int(s, 3) != 0;
	bool logged = db_int(s, 4) != 0;

	if (number < 1 || number > POWER_WORK_LOGINS || db_int(s, 2) != POWER_WORK_ROWS || delivered != logged) {
		v->half = true;
		snprintf(v->text, sizeof(v->text), "event %lld: %lld effects, first %s, second %s", (long long)number,
			(long long)db_int(s, 2), delivered ? "settled" : "not", logged ? "settled" : "not");
	} else if (db_int(s, 1) != place) { /* commits come in order: none can be missing before one that is there */
		v->half = true;
		snprintf(v->text, sizeof(v->text), "event row %d is missing, a later one is there", place);
	} else {
		found->there[number - 1] = true;
		found->settled[number - 1] = delivered;
		found->marked[number - 1] = db_int(s, 5) == 2;
	}
}

static void find_rows(struct db *db, struct found *found, struct power_verdict *v)
{
	static const char sql[] =
		"SELECT CAST(e.event_id AS INTEGER), e.id, count(f.id),"
		" sum(f.effect = 'bus' AND f.state = 1), sum(f.effect = 'crm' AND f.log = '[1]'), sum(f.attempts = 1)"
		" FROM events e LEFT JOIN effects f ON f.event = e.id GROUP BY e.id ORDER BY e.id";
	struct db_statement *s = NULL;
	int step = -1;

	if (db_prepare(db, sql, &s) == 0) {
		for (int place = 1; (step = db_step(s)) == 1 && !power_verdict_said(v); place++)
			find_row(s, place, found, v);
		db_finish(s);
	}
	if (step < 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "%s", db_message(db));
	}
}

/* A run that has begun is not begun again under its number. */
static void check_runs(struct db *db, const struct power_work *work, size_t cut, struct power_verdict *v)
{
	static const char sql[] = "SELECT number FROM outbox_run WHERE id = 1";
	char text[32] = "";

	if (!power_verdict_said(v))
		text_of(db, sql, v, text, sizeof(text));
	for (int i = 0; i < POWER_WORK_RUNS && !power_verdict_said(v); i++) {
		if (work->begun[i] > cut || strtol(text, NULL, 10) > i)
			continue;
		v->lost = true;
		snprintf(v->text, sizeof(v->text), "run %d is lost", i + 1);
	}
}

void power_check_promises(
	struct db *db, const struct power_work *work, size_t cut, struct power_verdict *v, size_t *ret_acknowledged)
{
	struct found found = {0};

	if (power_verdict_said(v))
		return;
	find_rows(db, &found, v);
	check_runs(db, work, cut, v);
	for (size_t i = 0; i < POWER_WORK_LOGINS && !power_verdict_said(v); i++) {
		const struct power_login *login = &work->logins[i];

		*ret_acknowledged += (size_t)(login->added <= cut) + (login->marked <= cut) + (login->settled <= cut);
		if ((login->added <= cut && !found.there[i]) || (login->marked <= cut && !found.marked[i]) ||
			(login->settled <= cut && !found.settled[i])) {
			v->lost = true;
			snprintf(v->text, sizeof(v->text), "login %d is lost: %s, %s, %s", login->number,
				found.there[i] ? "there" : "not there", found.marked[i] ? "marked" : "not marked",
				found.settled[i] ? "settled" : "not settled");
		}
	}
}

void power_check_use(struct db *db, struct power_verdict *v)
{
	struct power_login login = {.number = POWER_WORK_LOGINS + 1};

	if (power_verdict_said(v))
		return;
	if (db_begin(db) != 0 || power_work_add(db, &login) != 0 || db_commit(db) != 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "takes no login: %s", db_message(db));
	}
}
