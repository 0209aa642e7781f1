/*
 * The promises of committer.h: order, isolation of jobs, durability. What happens when the store can't write:
 * committer_trouble.c.
 */
#include "background/store/committer.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "config/limits.h"
#include "tests/support/harness.h"
#include "tests/support/open_store.h"

static struct open_store opened;

static void setup(void)
{
	open_store_make(&opened);
}

static void teardown(void)
{
	open_store_remove(&opened);
}

TestSuite(committer, .init = setup, .fini = teardown, .timeout = 60);

/* Everything posted before has been done when this returns. */
static void flush(void)
{
	cr_assert_eq(committer_run(opened.committer, job_nothing, NULL), 0);
}

Test(committer, a_job_is_durable_when_its_caller_goes_on)
{
	int64_t id = 1;

	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0);
	cr_assert_eq(open_store_rows(&opened), 1);
	cr_assert(committer_healthy(opened.committer));
}

Test(committer, an_error_of_a_lone_job_is_its_callers)
{
	int64_t id = 1;

	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0);
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), ERR_EXISTS);
	struct task denied = {.id = 2, .result = ERR_DENIED};
	cr_assert_eq(committer_run(opened.committer, task_run, &denied), ERR_DENIED);
	cr_assert_eq(open_store_rows(&opened), 1, "what a job wrote before it failed is undone");
	cr_assert(committer_healthy(opened.committer));
	id = 3;
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0);
}

Test(committer, an_error_in_a_batch_undoes_that_job_alone)
{
	struct task tasks[4] = {{.id = 1}, {.id = 2, .result = ERR_STALE}, {.id = 1}, {.id = 4}};
	struct gate gate;

	gate_shut(&gate, opened.committer);
	for (size_t i = 0; i < 4; i++)
		task_post(&tasks[i], opened.committer);
	gate_open(&gate);
	flush();
	cr_assert_eq(tasks[0].err, 0);
	cr_assert_eq(tasks[1].err, ERR_STALE);
	cr_assert_eq(tasks[2].err, ERR_EXISTS);
	cr_assert_eq(tasks[3].err, 0);
	cr_assert_eq(open_store_rows(&opened), 2);
}

/* Its statement undoes itself, its first row with it. */
Test(committer, a_single_statement_that_fails_is_undone_alone)
{
	struct task tasks[5] = {
		{.id = 1},
		{.sql = "INSERT INTO t (id) VALUES (2), (1)", .single = true},
		{.id = 3, .single = true},
		{.id = 3, .single = true},
		{.id = 4},
	};
	struct gate gate;

	gate_shut(&gate, opened.committer);
	for (size_t i = 0; i < 5; i++)
		task_post(&tasks[i], opened.committer);
	gate_open(&gate);
	flush();
	cr_assert_eq(tasks[0].err, 0);
	cr_assert_eq(tasks[1].err, ERR_EXISTS);
	cr_assert_eq(tasks[2].err, 0);
	cr_assert_eq(tasks[3].err, ERR_EXISTS);
	cr_assert_eq(tasks[4].err, 0);
	cr_assert_eq(open_store_rows(&opened), 3);
	task_post(&tasks[1], opened.committer);
	flush();
	cr_assert_eq(tasks[1].err, ERR_EXISTS, "alone in its batch, too");
	cr_assert_eq(open_store_rows(&opened), 3);
	cr_assert(committer_healthy(opened.committer));
}

struct looking {
	struct task task; /* first: the job's argument is both */
	int64_t seen;	  /* rows that were committed when `done` ran */
};

static void look(void *arg, int err)
{
	struct looking *looking = arg;

	looking->seen = open_store_rows(&opened);
	task_done(arg, err);
}

Test(committer, done_runs_in_order_and_before_the_next_batch)
{
	enum { TASKS = LIMIT_COMMIT_JOBS * 2 + 10 };
	static struct looking all[TASKS];
	static atomic_int order;
	struct gate gate;

	gate_shut(&gate, opened.committer);
	for (int i = 0; i < TASKS; i++) {
		all[i].task.id = i + 1;
		all[i].task.order = &order;
		task_post(&all[i].task, opened.committer);
		if (i == 0 || i == TASKS - 1)
			all[i].task.job.done = look;
	}
	gate_open(&gate);
	flush();
	for (int i = 0; i < TASKS; i++) {
		cr_assert_eq(all[i].task.err, 0);
		cr_assert_eq(all[i].task.done_as, i + 1);
	}
	cr_assert_eq(all[0].seen, LIMIT_COMMIT_JOBS, "its whole batch is durable, and nothing of a later one has run");
	cr_assert_eq(all[TASKS - 1].seen, TASKS);
	cr_assert_eq(open_store_rows(&opened), TASKS);
}

Test(committer, jobs_share_commits)
{
	static struct task tasks[50];
	struct histogram_snapshot snapshot;
	struct gate gate;

	gate_shut(&gate, opened.committer);
	for (int i = 0; i < 50; i++) {
		tasks[i].id = i + 1;
		task_post(&tasks[i], opened.committer);
	}
	gate_open(&gate);
	flush();
	struct histogram *rows = metrics_histogram(opened.metrics, "tokenfirst_outbox_commit_rows",
		"Jobs that shared one transaction and its sync.", &histogram_counts, NULL);
	histogram_snapshot(rows, &snapshot);
	cr_assert_leq(snapshot.cumulative[histogram_counts.count], 3, "the gate, the fifty, the flush");
	cr_assert_geq(snapshot.sum, 51);
	struct histogram *seconds = metrics_histogram(opened.metrics, "tokenfirst_outbox_commit_seconds",
		"Transactions of the store's writer, from begin to durable.", &histogram_seconds, NULL);
	histogram_snapshot(seconds, &snapshot);
	cr_assert_geq(snapshot.cumulative[histogram_seconds.count], 2);
	cr_assert_gt(metrics_gauge(opened.metrics, "tokenfirst_store_wal_bytes", "Size of the store's write-ahead log.",
			     1, NULL)
			     ->value,
		0);
}

static uint64_t commits(void)
{
	struct histogram_snapshot snapshot;
	struct histogram *rows = metrics_histogram(opened.metrics, "tokenfirst_outbox_commit_rows",
		"Jobs that shared one transaction and its sync.", &histogram_counts, NULL);

	histogram_snapshot(rows, &snapshot);
	return snapshot.cumulative[histogram_counts.count];
}

Test(committer, unhurried_jobs_share_the_sync_of_the_next_that_is_awaited)
{
	static struct task tasks[3];

	for (int i = 0; i < 3; i++) {
		tasks[i].id = i + 1;
		tasks[i].job = (struct commit_job){.run = task_run, .done = task_done, .arg = &tasks[i]};
		cr_assert_eq(committer_post_unhurried(opened.committer, &tasks[i].job), 0);
	}
	flush();
	cr_assert_eq(open_store_rows(&opened), 3, "they ran before the job that came after them");
	cr_assert_eq(commits(), 1);
}

Test(committer, an_unhurried_job_is_done_without_company_too)
{
	static struct task task = {.id = 1};
	int64_t until_us = harness_mono_us() + 10 * 1000 * 1000;

	task.job = (struct commit_job){.run = task_run, .done = task_done, .arg = &task};
	cr_assert_eq(committer_post_unhurried(opened.committer, &task.job), 0);
	while (open_store_rows(&opened) == 0 && harness_mono_us() < until_us)
		harness_sleep_ms(1);
	cr_assert_eq(open_store_rows(&opened), 1);
	cr_assert_eq(commits(), 1);
}

Test(committer, run_then_calls_done_before_it_returns)
{
	struct looking one = {.task = {.id = 1, .err = 99}};

	cr_assert_eq(committer_run_then(opened.committer, task_run, look, &one), 0);
	cr_assert_eq(one.task.err, 0);
	cr_assert_eq(one.seen, 1, "after the commit");
	cr_assert_eq(committer_run_then(opened.committer, task_run, task_done, &one), ERR_EXISTS);
	cr_assert_eq(one.task.err, ERR_EXISTS);
}

static void free_task(void *arg, int err)
{
	(void)err;
	free(arg);
}

Test(committer, done_may_free_its_job)
{
	for (int i = 0; i < 100; i++) {
		struct task *task = calloc(1, sizeof(*task));
		cr_assert_not_null(task);
		task->id = i + 1;
		task->job = (struct commit_job){.run = task_run, .done = free_task, .arg = task};
		cr_assert_eq(committer_post(opened.committer, &task->job), 0);
	}
	flush();
	cr_assert_eq(open_store_rows(&opened), 100);
}

Test(committer, its_queue_is_bounded)
{
	struct commit_job *jobs = calloc(LIMIT_COMMIT_QUEUE + 1, sizeof(*jobs));
	struct gate gate;

	cr_assert_not_null(jobs);
	gate_shut(&gate, opened.committer);
	for (int i = 0; i < LIMIT_COMMIT_QUEUE; i++) {
		jobs[i] = (struct commit_job){.run = job_nothing};
		cr_assert_eq(committer_post(opened.committer, &jobs[i]), 0);
	}
	jobs[LIMIT_COMMIT_QUEUE] = (struct commit_job){.run = job_nothing};
	cr_assert_eq(committer_post(opened.committer, &jobs[LIMIT_COMMIT_QUEUE]), ERR_LIMIT);
	cr_assert_eq(committer_run(opened.committer, job_nothing, NULL), ERR_LIMIT);
	gate_open(&gate);
	int err = ERR_LIMIT;
	for (int i = 0; i < 10000 && err == ERR_LIMIT; i++) {
		err = committer_run(opened.committer, job_nothing, NULL);
		if (err == ERR_LIMIT)
			harness_sleep_ms(1);
	}
	cr_assert_eq(err, 0, "room comes back");
	free(jobs);
}

/* Posts once more from `done`, until it is refused. */
struct chain {
	struct commit_job job;
	int runs;
	int refused;
};

static int chain_run(struct db *db, void *arg)
{
	struct chain *chain = arg;
	int64_t id = ++chain->runs;

	return job_insert(db, &id);
}

static void chain_done(void *arg, int err)
{
	struct chain *chain = arg;

	if (err == 0)
		chain->refused = committer_post(opened.committer, &chain->job);
}

Test(committer, stop_runs_what_is_queued_and_refuses_the_rest)
{
	static struct task tasks[300];
	struct chain chain = {0};

	chain.job = (struct commit_job){.run = chain_run, .done = chain_done, .arg = &chain};
	cr_assert_eq(committer_post(opened.committer, &chain.job), 0);
	for (int i = 0; i < 300; i++) {
		tasks[i].id = 1000000 + i;
		task_post(&tasks[i], opened.committer);
	}
	committer_stop(opened.committer);
	opened.committer = NULL;
	cr_assert_eq(chain.refused, ERR_CLOSED);
	cr_assert_eq(open_store_rows(&opened), 300 + chain.runs);
	committer_stop(NULL);
}
