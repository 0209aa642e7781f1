/* A store that can't write: who is told, what is undone, how it comes back, and that nothing acknowledged is lost. */
#include "background/store/committer.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

TestSuite(committer_trouble, .init = setup, .fini = teardown, .timeout = 60);

Test(committer_trouble, a_store_error_in_a_batch_undoes_it_whole)
{
	struct task tasks[3] = {{.id = 1}, {.sql = "INSERT INTO nowhere VALUES (1)"}, {.id = 2}};
	struct gate gate;

	gate_shut(&gate, opened.committer);
	for (size_t i = 0; i < 3; i++)
		task_post(&tasks[i], opened.committer);
	gate_open(&gate);
	/* not flushed by a job of its own: that might get into the batch */
	cr_assert(open_store_await_health(&opened, false));
	cr_assert(open_store_await_health(&opened, true));
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(tasks[i].err, ERR_STORE);
	cr_assert_eq(open_store_rows(&opened), 0);
	cr_assert_eq(open_store_errors(&opened, "kind=\"other\""), 1);
}

Test(committer_trouble, a_full_store_is_reported_and_recovers)
{
	struct task big = {.sql = "INSERT INTO t (pad) VALUES (zeroblob(4000000))"};
	int64_t id = 1;

	committer_stop(opened.committer);
	cr_assert_eq(db_execute(store_writer(opened.store), "PRAGMA max_page_count=200"), 0);
	cr_assert_eq(committer_start(opened.store, opened.metrics, &opened.committer), 0);
	cr_assert_eq(committer_run(opened.committer, task_run, &big), ERR_STORE);
	cr_assert_not(committer_healthy(opened.committer));
	cr_assert_eq(open_store_errors(&opened, "kind=\"full\""), 1);
	cr_assert_eq(open_store_rows(&opened), 0);
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0, "what fits is written at once");
	cr_assert(committer_healthy(opened.committer), "and shows that the store can write");
	cr_assert_eq(open_store_rows(&opened), 1);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

enum { POSTERS = 8 };
struct poster {
	pthread_t thread;
	int64_t base, refused, highest;
	atomic_int_fast64_t acknowledged; /* of ids base + 1 … */
	bool known[100000];
};
static struct poster posters[POSTERS];
static atomic_bool enough;

static void *poster_main(void *arg)
{
	struct poster *p = arg;

	for (int64_t i = 1; !atomic_load(&enough) && i < 100000; i++) {
		int64_t id = p->base + i;
		p->highest = i;
		int err = committer_run(opened.committer, job_insert, &id);
		if (err == 0) {
			p->known[i] = true;
			p->acknowledged++;
		} else {
			p->refused++;
			harness_sleep_ms(1);
		}
	}
	return NULL;
}

static int64_t all_acknowledged(void)
{
	int64_t sum = 0;

	for (int i = 0; i < POSTERS; i++)
		sum += posters[i].acknowledged;
	return sum;
}

static void await_acknowledged(int64_t more)
{
	int64_t until = all_acknowledged() + more;

	for (int i = 0; i < 20000 && all_acknowledged() < until; i++)
		harness_sleep_ms(1);
	cr_assert_geq(all_acknowledged(), until);
}

Test(committer_trouble, a_disk_that_fills_up_and_is_freed_loses_nothing_acknowledged)
{
	int64_t refused = 0;

	signal(SIGXFSZ, SIG_IGN);
	for (int i = 0; i < POSTERS; i++) {
		posters[i].base = (int64_t)(i + 1) * 1000000;
		cr_assert_eq(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
	}
	for (int round = 0; round < 3; round++) {
		await_acknowledged(200);
		limit_files(0);
		cr_assert(open_store_await_health(&opened, false));
		limit_files(RLIM_INFINITY);
		cr_assert(open_store_await_health(&opened, true));
	}
	await_acknowledged(200);
	atomic_store(&enough, true);
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(posters[i].thread, NULL);
		refused += posters[i].refused;
	}
	cr_assert_gt(refused, 0);
	cr_assert_geq(open_store_errors(&opened, "kind=\"io\""), 3);

	/* exactly what was acknowledged is there, also for a process that opens the store anew */
	committer_stop(opened.committer);
	opened.committer = NULL;
	store_close(opened.store);
	cr_assert_eq(store_open(opened.scratch.url, &opened.store, NULL), 0);
	static const char sql[] = "SELECT 1 FROM t WHERE id = $1";
	for (int i = 0; i < POSTERS; i++) {
		for (int64_t k = 1; k <= posters[i].highest; k++) {
			struct db_statement *s = NULL;
			cr_assert_eq(db_prepare(store_writer(opened.store), sql, &s), 0);
			db_bind_int(s, 1, posters[i].base + k);
			cr_assert_eq(db_step(s), posters[i].known[k] ? 1 : 0);
			db_finish(s);
		}
	}
}

Test(committer_trouble, an_idle_store_that_can_not_write_recovers_by_itself)
{
	int64_t id = 1;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(0);
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), ERR_STORE);
	cr_assert_not(committer_healthy(opened.committer));
	/* a probe that fails: it is counted */
	for (int i = 0; i < 5000 && open_store_errors(&opened, "kind=\"io\"") < 2; i++)
		harness_sleep_ms(1);
	cr_assert_geq(open_store_errors(&opened, "kind=\"io\""), 2);
	cr_assert_not(committer_healthy(opened.committer));
	limit_files(RLIM_INFINITY);
	cr_assert(open_store_await_health(&opened, true));
	cr_assert_eq(open_store_rows(&opened), 0);
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), 0);
}

Test(committer_trouble, a_batch_that_writes_nothing_is_no_sign_of_health)
{
	int64_t id = 1;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(0);
	cr_assert_eq(committer_run(opened.committer, job_insert, &id), ERR_STORE);
	cr_assert_eq(committer_run(opened.committer, job_nothing, NULL), ERR_STORE);
	cr_assert_not(committer_healthy(opened.committer));
	limit_files(RLIM_INFINITY);
	struct task denied = {.id = 2, .result = ERR_DENIED};
	cr_assert_eq(committer_run(opened.committer, task_run, &denied), ERR_DENIED, "its own error, beside the probe");
	cr_assert(committer_healthy(opened.committer));
	cr_assert_eq(open_store_rows(&opened), 0);
}

Test(committer_trouble, stopping_an_unhealthy_one_answers_everybody)
{
	static struct task tasks[20];

	signal(SIGXFSZ, SIG_IGN);
	limit_files(0);
	for (int i = 0; i < 20; i++) {
		tasks[i].id = i + 1;
		task_post(&tasks[i], opened.committer);
	}
	committer_stop(opened.committer);
	opened.committer = NULL;
	limit_files(RLIM_INFINITY);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(tasks[i].err, ERR_STORE);
	cr_assert_eq(open_store_rows(&opened), 0);
}

static int swallow(struct db *db, void *arg)
{
	(void)arg;
	/* what SQLite does by itself on some errors; a job that overlooks it must not pass for done */
	db_rollback(db);
	return 0;
}

Test(committer_trouble, a_transaction_lost_under_a_lone_job_is_noticed)
{
	cr_assert_eq(committer_run(opened.committer, swallow, NULL), ERR_STORE);
	cr_assert_not(committer_healthy(opened.committer));
}

Test(committer_trouble, a_transaction_lost_under_a_job_is_noticed)
{
	struct task before = {.id = 1};
	struct task after = {.id = 2};
	struct commit_job job = {.run = swallow};
	struct gate gate;

	gate_shut(&gate, opened.committer);
	task_post(&before, opened.committer);
	cr_assert_eq(committer_post(opened.committer, &job), 0);
	task_post(&after, opened.committer);
	gate_open(&gate);
	cr_assert(open_store_await_health(&opened, false));
	cr_assert(open_store_await_health(&opened, true));
	cr_assert_eq(before.err, ERR_STORE);
	cr_assert_eq(after.err, ERR_STORE);
	cr_assert_eq(open_store_rows(&opened), 0);
}

static void read_status(int fd, int64_t *ret_last)
{
	int64_t last = 0;

	while (read(fd, &last, sizeof(last)) == (ssize_t)sizeof(last))
		*ret_last = last;
}

Test(committer_trouble, what_was_acknowledged_survives_a_kill)
{
	int pipes[2];
	int64_t last = 0;
	int status = 0;

	committer_stop(opened.committer);
	opened.committer = NULL;
	store_close(opened.store);
	cr_assert_eq(pipe(pipes), 0);
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		struct committer *own = NULL;
		if (store_open(opened.scratch.url, &opened.store, NULL) != 0 ||
			committer_start(opened.store, opened.metrics, &own) != 0)
			_exit(1);
		for (int64_t id = 1;; id++)
			if (committer_run(own, job_insert, &id) != 0 || write(pipes[1], &id, sizeof(id)) != sizeof(id))
				_exit(2);
	}
	close(pipes[1]);
	while (last < 100 && read(pipes[0], &last, sizeof(last)) == (ssize_t)sizeof(last)) {
	}
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status));
	read_status(pipes[0], &last);
	close(pipes[0]);
	cr_assert_geq(last, 100);
	cr_assert_eq(store_open(opened.scratch.url, &opened.store, NULL), 0);
	int64_t rows = open_store_rows(&opened);
	cr_assert(rows == last || rows == last + 1, "%lld rows, %lld acknowledged", (long long)rows, (long long)last);
}
