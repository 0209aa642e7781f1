/* The janitor removes what is old, leaves what is not, and says what went. */
#include "background/store/janitor.h"

#include <criterion/criterion.h>
#include <stdatomic.h>

#include "background/store/idempotency.h"
#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/open_store.h"
#include "tests/support/outbox_rows.h"

enum { WAIT_MS = 10000 };

static struct open_store opened;
static struct janitor *janitor;
static struct db *reader;
static atomic_int dead_gone;

static void setup(void)
{
	open_store_make(&opened);
	cr_assert_eq(store_reader(opened.store, &reader), 0);
}

static void teardown(void)
{
	janitor_stop(janitor);
	db_close(reader);
	open_store_remove(&opened);
}

TestSuite(janitor, .init = setup, .fini = teardown, .timeout = 60);

static void removed(void *arg, const struct outbox_tally *tally)
{
	(void)arg;
	for (size_t i = 0; i < tally->count; i++)
		atomic_fetch_add(&dead_gone, (int)tally->items[i].rows);
}

/* A sweep that pretends: looks that find something every other time. */
struct rows {
	atomic_int rounds, looks, writes;
	int left;
	int err; /* of the next look */
};
static struct rows rows;

static int rows_look(void *arg, struct db *db)
{
	struct rows *r = arg;
	int err = r->err;

	cr_expect_not_null(db);
	atomic_fetch_add(&r->looks, 1);
	r->err = 0;
	if (err != 0)
		return err;
	if (r->left == 0) {
		atomic_fetch_add(&r->rounds, 1);
		return JANITOR_DONE;
	}
	return r->left-- % 2 == 0 ? JANITOR_WRITE : JANITOR_AGAIN;
}

static int rows_write(struct db *db, void *arg)
{
	struct rows *r = arg;

	cr_expect(db_in_transaction(db));
	atomic_fetch_add(&r->writes, 1);
	return 0;
}

static void start(int64_t delivered_ms, int64_t dead_ms, int64_t interval_ms)
{
	const struct janitor_options options = {.store = opened.store,
		.committer = opened.committer,
		.metrics = opened.metrics,
		.delivered_ms = delivered_ms,
		.dead_ms = dead_ms,
		.interval_ms = interval_ms,
		.removed = removed,
		.sweep = {.look = rows_look, .write = rows_write, .arg = &rows}};

	cr_assert_eq(janitor_start(&options, &janitor), 0);
}

static uint64_t removed_rows(void)
{
	struct counter *counter = metrics_counter(opened.metrics, "tokenfirst_retention_removed_total",
		"Rows of events and effects that were removed because they had been settled for long enough.", NULL);
	return atomic_load(&counter->value);
}

static int64_t events(void)
{
	static const char sql[] = "SELECT count(*) FROM events";
	return outbox_rows_number(reader, sql);
}

static bool await_events(int64_t count)
{
	for (int64_t i = 0; i < WAIT_MS && events() != count; i++)
		harness_sleep_ms(1);
	return events() == count;
}

struct filling {
	int first, count;
	enum effect_state state;
	int64_t at_ms;
};

/* Events with one "crm" each, settled at that time. */
static int fill(struct db *db, void *arg)
{
	const struct filling *filling = arg;

	for (int i = 0; i < filling->count; i++) {
		struct event *event = outbox_rows_event_at(db, filling->first + i, filling->at_ms);
		struct settlement one = outbox_rows_settlement(outbox_rows_add(db, event, "crm", 1), 1, filling->state);
		size_t stale = 0;
		one.now_ms = filling->at_ms;
		event_unref(event);
		if (filling->state != EFFECT_PENDING && outbox_settle(db, &one, 1, &stale) != 0)
			return ERR_STORE;
	}
	return 0;
}

static void add(int first, int count, enum effect_state state, int64_t age_ms)
{
	struct filling filling = {.first = first, .count = count, .state = state, .at_ms = clock_now_ms() - age_ms};

	cr_assert_eq(committer_run(opened.committer, fill, &filling), 0);
}

static int take_keys(struct db *db, void *arg)
{
	static const unsigned char digest[IDEMPOTENCY_DIGEST];
	char id[ID_SIZE];

	(void)arg;
	int err = idempotency_take(db, "shop", "old", digest, "x", clock_now_ms() - LIMIT_IDEMPOTENCY_MS - 1000, id);
	return err != 0 ? err : idempotency_take(db, "shop", "new", digest, "x", clock_now_ms(), id);
}

Test(janitor, removes_what_is_old_and_nothing_else)
{
	add(1, 1200, EFFECT_DELIVERED, 100000);
	add(2001, 10, EFFECT_DEAD, 100000);
	add(3001, 20, EFFECT_DEAD, 300000);
	add(4001, 5, EFFECT_PENDING, 300000);
	add(5001, 7, EFFECT_DELIVERED, 1000);
	start(60000, 200000, 1);
	cr_assert(await_events(10 + 5 + 7));
	harness_sleep_ms(50);
	cr_assert_eq(events(), 10 + 5 + 7);
	janitor_stop(janitor);
	janitor = NULL;
	cr_assert_eq(removed_rows(), 2 * (1200 + 20));
	cr_assert_eq(atomic_load(&dead_gone), 20);
	cr_assert_eq(outbox_rows_count(reader, "crm", CAUSE_CONDEMNED), 10);
	cr_assert_eq(outbox_rows_count(reader, "crm", "pending"), 5);
	cr_assert(outbox_rows_add_up(reader));
}

Test(janitor, goes_on_where_it_ended)
{
	add(1, 5, EFFECT_DELIVERED, 100000);
	add(1001, 1, EFFECT_PENDING, 100000);
	start(60000, 200000, 1);
	cr_assert(await_events(1));
	add(2001, 5, EFFECT_DELIVERED, 100000);
	add(3001, 1, EFFECT_PENDING, 100000);
	cr_assert(await_events(2));
}

Test(janitor, forgets_old_idempotency_keys)
{
	static const char sql[] = "SELECT count(*) FROM idempotency_keys";

	cr_assert_eq(committer_run(opened.committer, take_keys, NULL), 0);
	cr_assert_eq(outbox_rows_number(reader, sql), 2);
	start(60000, 200000, 1);
	for (int64_t i = 0; i < WAIT_MS && outbox_rows_number(reader, sql) == 2; i++)
		harness_sleep_ms(1);
	cr_assert_eq(outbox_rows_number(reader, sql), 1);
}

Test(janitor, has_somebody_else_s_rows_swept)
{
	rows = (struct rows){.left = 10, .err = ERR_STORE};
	start(60000, 200000, 1);
	for (int64_t i = 0; i < WAIT_MS && atomic_load(&rows.rounds) < 3; i++)
		harness_sleep_ms(1);
	cr_assert_geq(atomic_load(&rows.rounds), 3, "a round that failed is not the last one");
	cr_assert_eq(atomic_load(&rows.writes), 5);
	janitor_stop(janitor);
	rows.left = 1000000;
	start(60000, 200000, 1);
	int64_t begun = atomic_load(&rows.looks);
	for (int64_t i = 0; i < WAIT_MS && atomic_load(&rows.looks) < begun + 5; i++)
		harness_sleep_ms(1);
	int64_t stopped_us = harness_mono_us();
	janitor_stop(janitor);
	janitor = NULL;
	cr_assert_lt(harness_mono_us() - stopped_us, 5 * 1000000, "it goes on to the end");
}

Test(janitor, is_stopped_while_it_waits_and_while_it_works)
{
	int64_t begun_us = harness_mono_us();

	start(60000, 200000, 3600000);
	janitor_stop(janitor);
	add(1, 3000, EFFECT_DELIVERED, 100000);
	add(4001, 1, EFFECT_PENDING, 100000);
	start(60000, 200000, 1);
	while (events() == 3001)
		harness_sleep_ms(1);
	janitor_stop(janitor);
	janitor = NULL;
	cr_assert_lt(harness_mono_us() - begun_us, 30 * 1000000);
	cr_assert_gt(events(), 1, "it did not go on to the end");
	janitor_stop(NULL);
}
