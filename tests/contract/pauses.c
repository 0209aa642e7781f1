/* Targets that are held back. */
#include "background/store/pauses.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/outbox_rows.h"

static struct outbox_store opened;
static struct db *db;

static void setup(void)
{
	outbox_store_make(&opened);
	db = opened.db;
}

static void teardown(void)
{
	outbox_store_remove(&opened);
}

TestSuite(pauses, .init = setup, .fini = teardown);

struct seen {
	int count, stop_after;
	char text[256];
};

static int note(void *arg, const char *target, const char *reason, int64_t since_ms)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%s:%s:%lld ", target, reason, (long long)since_ms);
	return ++seen->count == seen->stop_after ? 42 : 0;
}

static struct seen list(struct db *from)
{
	struct seen seen = {0};

	cr_assert_eq(pause_list(from, note, &seen), 0);
	return seen;
}

Test(pauses, are_kept)
{
	struct db *reader = NULL;

	cr_assert_str_eq(list(db).text, "");
	cr_assert_eq(pause_add(db, "hooks.shop", "HTTP 410", 5), 0);
	cr_assert_eq(pause_add(db, "crm", "by alice", 6), 0);
	cr_assert_eq(store_reader(opened.store, &reader), 0);
	cr_assert_str_eq(list(reader).text, "crm:by alice:6 hooks.shop:HTTP 410:5 ");
	db_close(reader);
}

Test(pauses, the_first_reason_and_time_stay)
{
	cr_assert_eq(pause_add(db, "crm", "HTTP 410", 5), 0);
	cr_assert_eq(pause_add(db, "crm", "by alice", 6), 0);
	cr_assert_str_eq(list(db).text, "crm:HTTP 410:5 ");
}

Test(pauses, are_removed)
{
	cr_assert_eq(pause_remove(db, "crm"), ERR_NOT_FOUND);
	cr_assert_eq(pause_add(db, "crm", "HTTP 410", 5), 0);
	cr_assert_eq(pause_add(db, "bus", "HTTP 410", 5), 0);
	cr_assert_eq(pause_remove(db, "crm"), 0);
	cr_assert_eq(pause_remove(db, "crm"), ERR_NOT_FOUND);
	cr_assert_str_eq(list(db).text, "bus:HTTP 410:5 ");
	cr_assert_eq(pause_add(db, "crm", "again", 7), 0);
	cr_assert_str_eq(list(db).text, "bus:HTTP 410:5 crm:again:7 ");
}

Test(pauses, a_callback_may_end_the_walk)
{
	struct seen seen = {.stop_after = 1};

	cr_assert_eq(pause_add(db, "crm", "", 5), 0);
	cr_assert_eq(pause_add(db, "bus", "", 5), 0);
	cr_assert_eq(pause_list(db, note, &seen), 42);
	cr_assert_eq(seen.count, 1);
}
