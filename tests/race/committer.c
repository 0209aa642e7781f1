/*
 * Many threads run and post jobs, some of which fail, while others read, ask for health and
 * render the metrics. Built with ThreadSanitizer this shows races; in any build it shows
 * jobs that got lost, ran twice or were answered wrongly. Exit 0: none.
 */
#include "background/store/committer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "background/effects/event.h"
#include "background/store/outbox.h"
#include "background/telemetry/metrics.h"
#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/scratch.h"

enum { RUNNERS = 8, POSTERS = 4, JOBS = 400 };

static struct store *store;
static struct metrics *metrics;
static struct committer *committer;
static struct histogram *cost_seconds;
static struct counter *cost_skipped;
static atomic_int expected, answered, posted;
static atomic_bool finished;

struct login {
	struct commit_job job;
	struct event *event;
	bool fails;
};

static struct event *make_event(int64_t number)
{
	char id[ID_SIZE];

	snprintf(id, sizeof(id), "%026lld", (long long)number);
	struct event *event = event_new(id, "user.login", "subject", "{}", 1, "", clock_now_ms());
	if (event == NULL)
		harness_fail("no memory");
	event_cost_begin(event, 2, cost_seconds, cost_skipped);
	return event;
}

static int write_login(struct db *db, void *arg)
{
	struct login *login = arg;
	int64_t row = 0;

	int err = outbox_add_event(db, login->event, "");
	if (err == 0)
		err = outbox_add_effect(db, login->event,
			&(struct new_effect){
				.effect = "crm", .delivery = "durable", .due_ms = login->event->created_ms},
			&row);
	if (err == 0 && login->fails)
		err = ERR_DENIED;
	return err;
}

static void check(const struct login *login, int err)
{
	if (err != (login->fails ? ERR_DENIED : 0))
		harness_fail("a job was answered %d", err);
	if (err == 0)
		atomic_fetch_add(&expected, 1);
}

static void *run_main(void *arg)
{
	int64_t base = *(int64_t *)arg;

	for (int i = 0; i < JOBS; i++) {
		struct login login = {.event = make_event(base + i), .fails = i % 7 == 0};
		check(&login, committer_run(committer, write_login, &login));
		event_cost_add(login.event, 10);
		event_unref(login.event);
	}
	return NULL;
}

/* On the committer's thread: the last reference may be dropped there or by the poster. */
static void posted_done(void *arg, int err)
{
	struct login *login = arg;

	check(login, err);
	event_cost_add(login->event, 10);
	event_unref(login->event);
	free(login);
	atomic_fetch_add(&answered, 1);
}

static void *post_main(void *arg)
{
	int64_t base = *(int64_t *)arg;

	for (int i = 0; i < JOBS; i++) {
		struct login *login = calloc(1, sizeof(*login));
		if (login == NULL)
			harness_fail("no memory");
		struct event *event = make_event(base + i);
		login->event = event_ref(event);
		login->fails = i % 5 == 0;
		login->job = (struct commit_job){.run = write_login, .done = posted_done, .arg = login};
		if (committer_post(committer, &login->job) != 0)
			harness_fail("a job was not taken");
		atomic_fetch_add(&posted, 1);
		event_cost_add(event, 10);
		event_unref(event);
	}
	return NULL;
}

static int ignore_row(void *arg, const struct outbox_row *row)
{
	(void)arg;
	return row->row <= 0;
}

static int keep_count(void *arg, const char *effect, const char *kind, int64_t count)
{
	(void)effect;
	(void)kind;
	*(int64_t *)arg = count;
	return 0;
}

static void *read_main(void *arg)
{
	struct db *db = NULL;
	struct buf text;
	int64_t last = 0;

	(void)arg;
	if (store_reader(store, &db) != 0)
		harness_fail("no reader");
	buf_init(&text, 1 << 20);
	while (!atomic_load(&finished)) {
		int64_t now = last;
		if (outbox_counts(db, keep_count, &now) != 0 || now < last)
			harness_fail("pending went from %lld to %lld", (long long)last, (long long)now);
		last = now;
		if (outbox_due(db, "crm", OUTBOX_FIRST, 1, INT64_MAX, 16, ignore_row, NULL) < 0 ||
			!committer_healthy(committer))
			harness_fail("the store is not well");
		buf_reset(&text);
		metrics_render(metrics, &text);
	}
	buf_release(&text);
	db_close(db);
	return NULL;
}

static int64_t count_pending(void)
{
	int64_t count = 0;

	if (outbox_counts(store_writer(store), keep_count, &count) != 0)
		harness_fail("can't count");
	return count;
}

int main(void)
{
	struct scratch scratch;
	pthread_t threads[RUNNERS + POSTERS];
	pthread_t reader;
	int64_t bases[RUNNERS + POSTERS];
	char why[256] = "";

	clock_start();
	scratch_make(&scratch);
	metrics = metrics_new();
	if (metrics == NULL || store_open(scratch.url, &store, why) != 0)
		harness_fail("store: %s", why);
	cost_seconds = metrics_histogram(metrics, "cost_seconds", "Cost.", &histogram_seconds, NULL);
	cost_skipped = metrics_counter(metrics, "cost_skipped_total", "Skipped.", NULL);
	if (committer_start(store, metrics, &committer) != 0 || pthread_create(&reader, NULL, read_main, NULL) != 0)
		harness_fail("can't start");
	for (int i = 0; i < RUNNERS + POSTERS; i++) {
		bases[i] = (int64_t)(i + 1) * 100000;
		if (pthread_create(&threads[i], NULL, i < RUNNERS ? run_main : post_main, &bases[i]) != 0)
			harness_fail("no thread");
	}
	for (int i = 0; i < RUNNERS + POSTERS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&finished, true);
	pthread_join(reader, NULL);
	/* with some of the posted jobs still queued: stop runs them */
	committer_stop(committer);
	if (atomic_load(&answered) != atomic_load(&posted))
		harness_fail("%d posted, %d answered", atomic_load(&posted), atomic_load(&answered));
	int64_t rows = count_pending();
	if (rows != atomic_load(&expected))
		harness_fail("%d acknowledged, %lld stored", atomic_load(&expected), (long long)rows);
	store_close(store);
	metrics_free(metrics);
	scratch_remove(&scratch);
	printf("race/committer: %lld rows, all accounted for\n", (long long)rows);
	return 0;
}
