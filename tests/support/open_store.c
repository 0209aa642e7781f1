#include "tests/support/open_store.h"

#include "config/clock.h"
#include "tests/support/harness.h"

void open_store_make(struct open_store *opened)
{
	char why[256] = "";

	clock_start();
	scratch_make(&opened->scratch);
	if (store_open(opened->scratch.url, &opened->store, why) != 0)
		harness_fail("store: %s", why);
	if (db_execute(store_writer(opened->store), "CREATE TABLE t (id INTEGER PRIMARY KEY, pad TEXT)") != 0)
		harness_fail("table: %s", db_message(store_writer(opened->store)));
	opened->metrics = metrics_new();
	if (opened->metrics == NULL || committer_start(opened->store, opened->metrics, &opened->committer) != 0)
		harness_fail("no committer");
}

void open_store_remove(struct open_store *opened)
{
	committer_stop(opened->committer);
	store_close(opened->store);
	metrics_free(opened->metrics);
	scratch_remove(&opened->scratch);
}

int64_t open_store_rows(struct open_store *opened)
{
	static const char sql[] = "SELECT count(*) FROM t";
	struct db *reader = NULL;
	struct db_statement *s = NULL;

	if (store_reader(opened->store, &reader) != 0 || db_prepare(reader, sql, &s) != 0 || db_step(s) != 1)
		harness_fail("can't count");
	int64_t rows = db_int(s, 0);
	db_finish(s);
	db_close(reader);
	return rows;
}

uint64_t open_store_errors(struct open_store *opened, const char *label)
{
	struct counter *counter = metrics_counter(opened->metrics, "tokenfirst_store_errors_total",
		"Transactions that the store could not write.", label);
	return atomic_load(&counter->value);
}

bool open_store_await_health(struct open_store *opened, bool healthy)
{
	for (int i = 0; i < 10000 && committer_healthy(opened->committer) != healthy; i++)
		harness_sleep_ms(1);
	return committer_healthy(opened->committer) == healthy;
}

int job_nothing(struct db *db, void *arg)
{
	(void)db;
	(void)arg;
	return 0;
}

int job_insert(struct db *db, void *arg)
{
	static const char sql[] = "INSERT INTO t (id) VALUES ($1)";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, *(int64_t *)arg);
	return db_run(s);
}

int task_run(struct db *db, void *arg)
{
	struct task *task = arg;

	int err = task->sql != NULL ? db_execute(db, task->sql) : job_insert(db, &task->id);
	return err != 0 ? err : task->result;
}

void task_done(void *arg, int err)
{
	struct task *task = arg;

	task->err = err;
	if (task->order != NULL)
		task->done_as = atomic_fetch_add(task->order, 1) + 1;
}

void task_post(struct task *task, struct committer *committer)
{
	task->err = 99;
	task->job = (struct commit_job){.run = task_run, .done = task_done, .arg = task, .single = task->single};
	if (committer_post(committer, &task->job) != 0)
		harness_fail("a job was not taken");
}

static int gate_run(struct db *db, void *arg)
{
	struct gate *gate = arg;

	(void)db;
	sem_post(&gate->entered);
	while (sem_wait(&gate->open) != 0) {
	}
	return 0;
}

void gate_shut(struct gate *gate, struct committer *committer)
{
	sem_init(&gate->entered, 0, 0);
	sem_init(&gate->open, 0, 0);
	gate->job = (struct commit_job){.run = gate_run, .arg = gate};
	if (committer_post(committer, &gate->job) != 0)
		harness_fail("the gate was not taken");
	while (sem_wait(&gate->entered) != 0) {
	}
}

void gate_open(struct gate *gate)
{
	sem_post(&gate->open);
}
