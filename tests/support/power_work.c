#include "tests/support/power_work.h"

#include <pthread.h>
#include <stdlib.h>

#include "background/store/outbox.h"
#include "background/telemetry/metrics.h"
#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/power_tape.h"

enum {
	THREADS = 4,
	EVENTS = POWER_WORK_LOGINS / POWER_WORK_RUNS,
	EACH = EVENTS / THREADS, /* logins of a thread in one run */
};

static const char *const effects[POWER_WORK_ROWS] = {"bus", "crm", "email"};

struct member {
	pthread_t thread;
	struct power_work *work;
	int first;
};

int power_work_add(struct db *db, void *arg)
{
	struct power_login *login = arg;
	struct event *event = outbox_rows_event(db, login->number);
	int err = 0;

	for (size_t i = 0; i < POWER_WORK_ROWS && err == 0; i++)
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
	struct power_login *login = arg;

	if (err == 0)
		login->added = power_tape_now();
}

static int mark(struct db *db, void *arg)
{
	struct power_login *login = arg;
	struct started started[] = {{.row = login->rows[0], .attempt = 1}, {.row = login->rows[1], .attempt = 1}};

	return outbox_mark_started(db, login->work->run, started, 2);
}

static void marked(void *arg, int err)
{
	struct power_login *login = arg;

	if (err == 0)
		login->marked = power_tape_now();
}

/* One is delivered, one has to wait: both or neither. */
static int settle(struct db *db, void *arg)
{
	struct power_login *login = arg;
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
	struct power_login *login = arg;

	if (err == 0)
		login->settled = power_tape_now();
}

static void *member_main(void *arg)
{
	struct member *member = arg;

	for (int i = 0; i < EACH; i++) {
		struct power_login *login = &member->work->logins[member->first + i];

		*login = (struct power_login){.work = member->work,
			.number = member->first + i + 1,
			.added = SIZE_MAX,
			.marked = SIZE_MAX,
			.settled = SIZE_MAX,
			.mark = {.run = mark, .done = marked, .arg = login},
			.settle = {.run = settle, .done = settled, .arg = login}};
		int err = committer_run_then(member->work->committer, power_work_add, added, login);
		if (err == 0)
			err = committer_post_unhurried(member->work->committer, &login->mark);
		if (err == 0)
			err = committer_post_unhurried(member->work->committer, &login->settle);
		if (err != 0 && (err != ERR_STORE || member->work->failing == 0))
			harness_fail("login %d is refused", login->number);
	}
	return NULL;
}

static void work_run(struct power_work *work, int run)
{
	struct member members[THREADS];
	char why[256] = "";
	int64_t back_ms = 0;
	int64_t rows = 0;

	if (store_open(work->scratch.url, &work->store, why) != 0)
		harness_fail("store: %s", why);
	if (outbox_begin_run(store_writer(work->store), 5000, &work->run, &back_ms, &rows) != 0)
		harness_fail("no run: %s", db_message(store_writer(work->store)));
	work->begun[run] = power_tape_now();
	/* a log that is copied back often */
	if (db_execute(store_writer(work->store), "PRAGMA wal_autocheckpoint=60") != 0 ||
		db_execute(store_writer(work->store), work->pragmas) != 0 ||
		committer_start(work->store, work->metrics, &work->committer) != 0)
		harness_fail("no committer");
	power_tape_fail_syncs(work->failing);
	for (int i = 0; i < THREADS; i++) {
		members[i] = (struct member){.work = work, .first = run * EVENTS + i * EACH};
		if (pthread_create(&members[i].thread, NULL, member_main, &members[i]) != 0)
			harness_fail("no thread");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(members[i].thread, NULL);
	committer_stop(work->committer);
	store_close(work->store);
	power_tape_fail_syncs(0);
}

struct power_work *power_work_record(const char *pragmas, int failing)
{
	struct power_work *work = calloc(1, sizeof(*work));

	if (work == NULL)
		harness_fail("out of memory");
	clock_start();
	work->pragmas = pragmas;
	work->failing = failing;
	work->metrics = metrics_new();
	scratch_make(&work->scratch);
	power_tape_record();
	for (int run = 0; run < POWER_WORK_RUNS; run++)
		work_run(work, run);
	power_tape_stop();
	metrics_free(work->metrics);
	scratch_remove(&work->scratch);
	return work;
}
