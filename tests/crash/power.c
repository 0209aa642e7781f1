/*
 * The power goes at any moment. What logins, marks and settlements wrote through the real committer, outbox and schema is
 * recorded (power_vfs.h), and of hundreds of cuts the disk that each leaves is opened again by the real store: everything
 * that was acknowledged before the cut must be there, whole, and nothing half. A disk whose syncs are left out must fail
 * the same test.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background/store/committer.h"
#include "background/store/outbox.h"
#include "background/telemetry/metrics.h"
#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/long_form.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/power_tape.h"
#include "tests/support/power_vfs.h"
#include "tests/support/scratch.h"

enum {
	THREADS = 4,
	EACH = 30, /* logins of a thread in one recording */
	EVENTS = THREADS * EACH,
	ROWS = 3,    /* effects of an event */
	RUNS = 2,    /* the store is closed and opened again between them */
	IMAGES = 40, /* of one recording */
	SHORT_IMAGES = 300,
	LONG_IMAGES = 10000,
	CONTROL_IMAGES = 100,
	FAILURES_SHOWN = 5,
};

TestSuite(power, .timeout = 1500);

static const char *const effects[ROWS] = {"bus", "crm", "email"};

/* Places in time, SIZE_MAX: never. */
struct login {
	int number;
	int64_t rows[ROWS];
	size_t added, marked, settled; /* acknowledged */
	struct commit_job mark, settle;
};

struct work {
	struct scratch scratch;
	struct store *store;
	struct metrics *metrics;
	struct committer *committer;
	const char *pragmas;
	struct login logins[RUNS * EVENTS];
};

struct member {
	pthread_t thread;
	struct work *work;
	int first;
};

static int add(struct db *db, void *arg)
{
	struct login *login = arg;
	struct event *event = outbox_rows_event(db, login->number);
	int err = 0;

	for (size_t i = 0; i < ROWS && err == 0; i++)
		err = outbox_add_effect(db, event,
			&(struct new_effect){.effect = effects[i],
				.delivery = "durable",
				.due_ms = 1000,
				.dead_cause = i == 2 && login->number % 5 == 0 ? CAUSE_BACKLOG_FULL : NULL},
			&login->rows[i]);
	event_unref(event);
	return err;
}

static void added(void *arg, int err)
{
	struct login *login = arg;

	if (err == 0)
		login->added = power_tape_now();
}

static int mark(struct db *db, void *arg)
{
	struct login *login = arg;
	struct started started[] = {{.row = login->rows[0], .attempt = 1}, {.row = login->rows[1], .attempt = 1}};

	return outbox_mark_started(db, 1, started, 2);
}

static void marked(void *arg, int err)
{
	struct login *login = arg;

	if (err == 0)
		login->marked = power_tape_now();
}

/* One is delivered, one has to wait: both or neither. */
static int settle(struct db *db, void *arg)
{
	struct login *login = arg;
	struct settlement both[] = {
		{.row = login->rows[0], .attempt = 1, .state = EFFECT_DELIVERED, .effect = effects[0]},
		{.row = login->rows[1], .attempt = 1, .state = EFFECT_PENDING, .effect = effects[1], .due_ms = 9000}};
	size_t stale = 0;

	for (size_t i = 0; i < 2; i++) {
		both[i].now_ms = 5000;
		both[i].cause = both[i].reason = "";
		both[i].log = "[1]";
	}
	if (login->number % 7 == 0) {
		both[1].state = EFFECT_DEAD;
		both[1].cause = CAUSE_CONDEMNED;
	}
	int err = outbox_settle(db, both, 2, &stale);
	return err == 0 && stale > 0 ? ERR_STALE : err;
}

static void settled(void *arg, int err)
{
	struct login *login = arg;

	if (err == 0)
		login->settled = power_tape_now();
}

static void *member_main(void *arg)
{
	struct member *member = arg;

	for (int i = 0; i < EACH; i++) {
		struct login *login = &member->work->logins[member->first + i];

		*login = (struct login){.number = member->first + i + 1,
			.added = SIZE_MAX,
			.marked = SIZE_MAX,
			.settled = SIZE_MAX,
			.mark = {.run = mark, .done = marked, .arg = login},
			.settle = {.run = settle, .done = settled, .arg = login}};
		if (committer_run_then(member->work->committer, add, added, login) != 0 ||
			committer_post_unhurried(member->work->committer, &login->mark) != 0 ||
			committer_post_unhurried(member->work->committer, &login->settle) != 0)
			harness_fail("login %d is refused", login->number);
	}
	return NULL;
}

static void work_run(struct work *work, int run)
{
	struct member members[THREADS];
	char why[256] = "";

	if (store_open(work->scratch.url, &work->store, why) != 0)
		harness_fail("store: %s", why);
	/* a log that is copied back often */
	if (db_execute(store_writer(work->store), "PRAGMA wal_autocheckpoint=60") != 0 ||
		db_execute(store_writer(work->store), work->pragmas) != 0 ||
		committer_start(work->store, work->metrics, &work->committer) != 0)
		harness_fail("no committer");
	for (int i = 0; i < THREADS; i++) {
		members[i] = (struct member){.work = work, .first = run * EVENTS + i * EACH};
		if (pthread_create(&members[i].thread, NULL, member_main, &members[i]) != 0)
			harness_fail("no thread");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(members[i].thread, NULL);
	committer_stop(work->committer);
	store_close(work->store);
}

/* Everything that is written is recorded, from before there was a file. */
static struct work *work_record(const char *pragmas)
{
	struct work *work = calloc(1, sizeof(*work));

	if (work == NULL)
		harness_fail("out of memory");
	clock_start();
	work->pragmas = pragmas;
	work->metrics = metrics_new();
	scratch_make(&work->scratch);
	power_tape_record();
	for (int run = 0; run < RUNS; run++)
		work_run(work, run);
	power_tape_stop();
	metrics_free(work->metrics);
	scratch_remove(&work->scratch);
	return work;
}

/* What is wrong with an image; "" nothing. */
struct verdict {
	char text[256];
	bool lost;    /* something acknowledged is missing */
	bool half;    /* something is there in part */
	bool corrupt; /* it does not open, or not sound */
};

static bool said(struct verdict *v)
{
	return v->text[0] != '\0';
}

/* The first column of the only row. */
static void text_of(struct db *db, const char *sql, struct verdict *v, char *ret_text, size_t size)
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

static void check_sound(struct db *db, struct verdict *v)
{
	static const char integrity[] = "PRAGMA integrity_check";
	static const char keys[] = "SELECT count(*) FROM pragma_foreign_key_check";
	char text[128] = "";

	text_of(db, integrity, v, text, sizeof(text));
	if (!said(v) && strcmp(text, "ok") != 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "integrity_check: %s", text);
	}
	if (!said(v))
		text_of(db, keys, v, text, sizeof(text));
	if (!said(v) && strcmp(text, "0") != 0) {
		v->half = true;
		snprintf(v->text, sizeof(v->text), "%s rows without what they belong to", text);
	}
}

/* The counters are what counting the rows gives. */
static void check_counters(struct db *db, struct verdict *v)
{
	static const char sql[] =
		"WITH counted AS (SELECT effect, CASE state WHEN 0 THEN 'pending' ELSE cause END AS kind, count(*) AS "
		"count"
		" FROM effects WHERE state IN (0, 2) GROUP BY 1, 2),"
		" kept AS (SELECT effect, kind, count FROM counters WHERE count <> 0)"
		" SELECT count(*) FROM (SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM kept)"
		" UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM counted))";
	char text[32] = "";

	text_of(db, sql, v, text, sizeof(text));
	if (!said(v) && strcmp(text, "0") != 0) {
		v->half = true;
		snprintf(v->text, sizeof(v->text), "%s counters differ from the rows", text);
	}
}

struct found {
	bool there[RUNS * EVENTS], marked[RUNS * EVENTS], settled[RUNS * EVENTS];
};

static void find_row(struct db_statement *s, int place, struct found *found, struct verdict *v)
{
	int64_t number = db_int(s, 0);
	bool delivered = db_int(s, 3) != 0;
	bool logged = db_int(s, 4) != 0;

	if (number < 1 || number > RUNS * EVENTS || db_int(s, 2) != ROWS || delivered != logged) {
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

static void find_rows(struct db *db, struct found *found, struct verdict *v)
{
	static const char sql[] =
		"SELECT CAST(e.event_id AS INTEGER), e.id, count(f.id),"
		" sum(f.effect = 'bus' AND f.state = 1), sum(f.effect = 'crm' AND f.log = '[1]'), sum(f.attempts = 1)"
		" FROM events e LEFT JOIN effects f ON f.event = e.id GROUP BY e.id ORDER BY e.id";
	struct db_statement *s = NULL;
	int step = -1;

	if (db_prepare(db, sql, &s) == 0) {
		for (int place = 1; (step = db_step(s)) == 1 && !said(v); place++)
			find_row(s, place, found, v);
		db_finish(s);
	}
	if (step < 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "%s", db_message(db));
	}
}

static void check_promises(
	struct db *db, const struct work *work, size_t cut, struct verdict *v, size_t *ret_acknowledged)
{
	struct found found = {0};

	find_rows(db, &found, v);
	for (size_t i = 0; i < RUNS * EVENTS && !said(v); i++) {
		const struct login *login = &work->logins[i];

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

/* The store is in use again: it takes a login. */
static void check_use(struct db *db, struct verdict *v)
{
	struct login login = {.number = RUNS * EVENTS + 1};

	if (db_begin(db) != 0 || add(db, &login) != 0 || db_commit(db) != 0) {
		v->corrupt = true;
		snprintf(v->text, sizeof(v->text), "takes no login: %s", db_message(db));
	}
}

static struct verdict judge(const struct work *work, const struct power_cut *cut, size_t *ret_acknowledged)
{
	struct verdict v = {.text = ""};
	struct store *store = NULL;
	struct scratch scratch;

	scratch_make(&scratch);
	power_tape_image(cut, scratch.folder);
	if (store_open(scratch.url, &store, v.text) != 0) {
		v.corrupt = true;
	} else {
		struct db *db = store_writer(store);

		check_sound(db, &v);
		if (!said(&v))
			check_promises(db, work, cut->after, &v, ret_acknowledged);
		if (!said(&v))
			check_counters(db, &v);
		if (!said(&v))
			check_use(db, &v);
		store_close(store);
	}
	scratch_remove(&scratch);
	return v;
}

struct tally {
	size_t images, acknowledged, lost, half, corrupt, operations, syncs;
};

static struct tally sweep(const char *name, const char *pragmas, size_t images)
{
	unsigned seed = (unsigned)harness_mono_us();
	struct tally tally = {0};

	if (access("/dev/shm", W_OK) == 0) /* syncs are noted, so it need not be a disk */
		setenv("TMPDIR", "/dev/shm", 1);
	power_vfs_install();
	fprintf(stderr, "seed %u\n", seed);
	while (tally.images < images) {
		struct work *work = work_record(pragmas);

		tally.operations += power_tape_now();
		tally.syncs += power_tape_syncs();
		for (size_t i = 0; i < IMAGES && tally.images < images; i++, tally.images++) {
			struct power_cut cut = power_tape_cut(&seed);
			struct verdict v = judge(work, &cut, &tally.acknowledged);

			tally.lost += v.lost;
			tally.half += v.half;
			tally.corrupt += v.corrupt;
			if (said(&v) && tally.lost + tally.half + tally.corrupt <= FAILURES_SHOWN)
				fprintf(stderr, "%s: cut after %zu of %zu, %d %% kept, seed %u: %s\n", name, cut.after,
					power_tape_now(), cut.kept, cut.seed, v.text);
		}
		free(work);
	}
	long_form_print(
		"power loss, %s: %zu images of %zu operations with %zu syncs, %zu promises checked: %zu lost, %zu half "
		"done, %zu corrupt",
		name, tally.images, tally.operations, tally.syncs, tally.acknowledged, tally.lost, tally.half,
		tally.corrupt);
	return tally;
}

Test(power, nothing_acknowledged_is_lost_and_nothing_is_half_done)
{
	struct tally tally = sweep("as it is", "", long_form() ? LONG_IMAGES : SHORT_IMAGES);

	cr_assert_eq(tally.lost, 0);
	cr_assert_eq(tally.half, 0);
	cr_assert_eq(tally.corrupt, 0);
	cr_assert_gt(tally.acknowledged, tally.images * 10, "the cuts come before the work");
}

Test(power, without_syncs_the_same_test_fails)
{
	struct tally tally = sweep("control, synchronous=OFF", "PRAGMA synchronous=OFF", CONTROL_IMAGES);

	cr_assert_gt(tally.lost, 0, "a test that can't fail");
	long_form_print("power loss, control: it fails without syncs, as it must");
}

/* Sound, and yet not durable: the difference that the test must see. */
Test(power, with_syncs_at_checkpoints_alone_it_fails_too)
{
	struct tally tally = sweep("control, synchronous=NORMAL", "PRAGMA synchronous=NORMAL", CONTROL_IMAGES);

	cr_assert_gt(tally.lost, 0, "a test that can't fail");
	cr_assert_eq(tally.corrupt, 0);
}
