/* What a worker has to write gathers with the committer until it is written. */
#include "background/delivery/settle_batch.h"

#include <criterion/criterion.h>
#include <semaphore.h>

#include "tests/support/open_store.h"
#include "tests/support/outbox_rows.h"

enum { RUN = 3, ROWS = 2 * LIMIT_SETTLE_BATCH, BATCHES = 8 };

static struct open_store opened;
static struct settle_line line;
static struct settle_batch *came[BATCHES];
static int came_count;
static sem_t done;
static int64_t rows[ROWS];

/* On the committer's thread. */
static void note(void *arg, struct settle_batch *batch)
{
	(void)arg;
	came[came_count++] = batch;
	sem_post(&done);
}

static int add_rows(struct db *db, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ROWS; i++)
		rows[i] = outbox_rows_alone(db, "crm", 1000);
	return 0;
}

static void setup(void)
{
	open_store_make(&opened);
	cr_assert_eq(committer_run(opened.committer, add_rows, NULL), 0);
	settle_line_init(&line);
	line.committer = opened.committer;
	line.run = RUN;
	line.done = note;
	sem_init(&done, 0, 0);
	came_count = 0;
}

static void teardown(void)
{
	for (int i = 0; i < came_count; i++)
		settle_batch_free(came[i]);
	settle_line_release(&line);
	open_store_remove(&opened);
}

TestSuite(settle_batch, .init = setup, .fini = teardown);

static void post(struct settle_batch *batch)
{
	if (batch != NULL)
		cr_assert_eq(settle_batch_post(batch, false), 0);
}

/* Whether a batch had to be posted for it. */
static bool mark(size_t i, int attempt)
{
	const struct started started = {.row = rows[i], .attempt = attempt};
	struct settle_batch *unposted = NULL;

	settle_line_mark(&line, &started, &unposted);
	post(unposted);
	return unposted != NULL;
}

static bool end(size_t i, int attempt, enum effect_state state, int64_t unsent_run)
{
	struct settlement settlement = outbox_rows_settlement(rows[i], attempt, state);
	struct settle_batch *unposted = NULL;

	settlement.unsent_run = unsent_run;
	cr_assert_eq(settle_line_add(&line, NULL, &settlement, &unposted), 0);
	post(unposted);
	return unposted != NULL;
}

static void await_batch(void)
{
	while (sem_wait(&done) != 0) {
	}
	settle_line_heard(&line);
}

static int64_t number(const char *sql)
{
	struct db *db = NULL;

	cr_assert_eq(store_reader(opened.store, &db), 0);
	int64_t value = outbox_rows_number(db, sql);
	db_close(db);
	return value;
}

Test(settle_batch, all_until_it_is_written_is_one_job)
{
	struct gate gate;

	gate_shut(&gate, opened.committer);
	cr_assert(mark(0, 1));
	cr_assert_not(mark(1, 1));
	cr_assert_not(end(0, 1, EFFECT_DELIVERED, 0));
	cr_assert_not(end(2, 1, EFFECT_DEAD, 0));
	cr_assert_eq(line.awaited, 1);
	gate_open(&gate);
	await_batch();
	cr_assert_eq(line.awaited, 0);
	cr_assert_eq(came_count, 1);
	cr_assert_eq(came[0]->err, 0);
	cr_assert_eq(came[0]->count, 2);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 1 AND attempts = 1 AND started_run = 0"), 1);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 2 AND attempts = 1"), 1);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE started_run = 3 AND state = 0 AND attempts = 1"), 1);
	/* the next one needs another */
	cr_assert(end(1, 1, EFFECT_DELIVERED, 0));
	await_batch();
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 1 AND started_run = 0"), 2);
}

/* Its mark says that it was in flight when an earlier run ended; an outcome of nothing sent does not. */
Test(settle_batch, a_mark_goes_only_before_an_outcome_that_says_more)
{
	struct gate gate;

	gate_shut(&gate, opened.committer);
	mark(0, 1);
	mark(1, 1);
	cr_assert_eq(line.open->begun_count, 2);
	end(0, 1, EFFECT_PENDING, RUN);
	cr_assert_eq(line.open->begun_count, 2);
	end(1, 1, EFFECT_PENDING, 0);
	cr_assert_eq(line.open->begun_count, 1);
	cr_assert_eq(line.open->begun[0].row, rows[0]);
	gate_open(&gate);
	await_batch();
	cr_assert_eq(came[0]->stale, 0);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE started_run <> 0"), 0);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE attempts = 1 AND again = 1"), 2);
}

Test(settle_batch, a_full_one_is_followed_by_another)
{
	struct gate gate;
	int posted = 0;

	gate_shut(&gate, opened.committer);
	for (size_t i = 0; i < ROWS; i++)
		posted += end(i, 1, EFFECT_DELIVERED, 0);
	cr_assert_eq(posted, 2);
	for (size_t i = 0; i < LIMIT_SETTLE_BATCH + 1; i++)
		posted += mark(i, 2);
	cr_assert_eq(posted, 4);
	cr_assert_eq(line.awaited, 2);
	gate_open(&gate);
	await_batch();
	await_batch();
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 1"), ROWS);
	/* marks alone are heard of by nobody */
	cr_assert_eq(committer_run(opened.committer, job_nothing, NULL), 0);
	cr_assert_eq(came_count, 2);
}

static int break_store(struct db *db, void *arg)
{
	(void)db;
	(void)arg;
	return ERR_STORE;
}

/* Marks are not written late: a newer outcome may have been written meanwhile. */
Test(settle_batch, what_could_not_be_written_can_be_posted_again)
{
	struct gate gate;
	struct commit_job broken = {.run = break_store};

	gate_shut(&gate, opened.committer);
	mark(1, 1);
	end(0, 1, EFFECT_DELIVERED, 0);
	cr_assert_eq(committer_post(opened.committer, &broken), 0);
	gate_open(&gate);
	await_batch();
	cr_assert_eq(came[0]->err, ERR_STORE);
	cr_assert_eq(came[0]->begun_count, 0);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 1"), 0);
	struct settle_batch *again = came[--came_count];
	cr_assert_eq(settle_batch_post(again, true), 0);
	cr_assert_eq(line.awaited, 1);
	await_batch();
	cr_assert_eq(came[0]->err, 0);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE state = 1"), 1);
	cr_assert_eq(number("SELECT COUNT(*) FROM effects WHERE started_run <> 0"), 0);
}

Test(settle_batch, one_that_nobody_takes_is_the_callers)
{
	const struct settlement settlement = outbox_rows_settlement(rows[0], 1, EFFECT_DELIVERED);
	static struct commit_job jobs[LIMIT_COMMIT_QUEUE];
	struct settle_batch *unposted = NULL;
	static struct gate gate; /* the committer may still be at it when this returns */

	cr_assert_eq(settle_line_add(&line, NULL, &settlement, &unposted), 0);
	cr_assert_not_null(unposted);
	cr_assert_eq(line.awaited, 1);
	gate_shut(&gate, opened.committer);
	for (size_t i = 0; i < LIMIT_COMMIT_QUEUE; i++) {
		jobs[i].run = job_nothing;
		cr_assert_eq(committer_post(opened.committer, &jobs[i]), 0);
	}
	cr_assert_eq(settle_batch_post(unposted, false), ERR_LIMIT);
	cr_assert_eq(line.awaited, 0);
	cr_assert_null(line.open);
	gate_open(&gate);
	settle_batch_free(unposted);
}
