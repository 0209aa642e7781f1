/* Idempotency keys: one event for each, and no other request under it. */
#include "background/store/idempotency.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/outbox_rows.h"

#define EVENT	      "00000000000000000000000001"
#define OTHER_EVENT   "00000000000000000000000002"
#define UNTOUCHED_END "untouched"

static struct outbox_store opened;
static struct db *db;
static const unsigned char digest[IDEMPOTENCY_DIGEST] = {1, 0, 3};
static const unsigned char other_digest[IDEMPOTENCY_DIGEST] = {1, 0, 4};

static void setup(void)
{
	outbox_store_make(&opened);
	db = opened.db;
}

static void teardown(void)
{
	outbox_store_remove(&opened);
}

TestSuite(idempotency, .init = setup, .fini = teardown);

static int take(const char *service, const char *key, const unsigned char *with, const char *event_id, int64_t now_ms)
{
	char id[ID_SIZE] = UNTOUCHED_END;

	int err = idempotency_take(db, service, key, with, event_id, now_ms, id);
	cr_assert_str_eq(id, err == ERR_EXISTS ? EVENT : UNTOUCHED_END);
	return err;
}

static int64_t forget(int64_t before_ms, int limit)
{
	int64_t count = -1;

	cr_assert_eq(idempotency_forget(db, before_ms, limit, &count), 0, "%s", db_message(db));
	return count;
}

Test(idempotency, a_key_stands_for_one_event)
{
	cr_assert_eq(take("shop", "k", digest, EVENT, 5), 0);
	cr_assert_eq(take("shop", "k", digest, OTHER_EVENT, 6), ERR_EXISTS);
	cr_assert_eq(take("shop", "k", digest, OTHER_EVENT, 7), ERR_EXISTS, "asking again changes nothing");
}

Test(idempotency, another_request_under_a_key_is_refused)
{
	cr_assert_eq(take("shop", "k", digest, EVENT, 5), 0);
	cr_assert_eq(take("shop", "k", other_digest, OTHER_EVENT, 6), ERR_DENIED);
	cr_assert_eq(take("shop", "k", digest, OTHER_EVENT, 7), ERR_EXISTS, "and takes nothing over");
}

Test(idempotency, keys_belong_to_their_service)
{
	cr_assert_eq(take("shop", "k", digest, EVENT, 5), 0);
	cr_assert_eq(take("forms", "k", other_digest, OTHER_EVENT, 5), 0);
	cr_assert_eq(take("shop", "K", other_digest, OTHER_EVENT, 5), 0, "a key is not folded");
}

Test(idempotency, a_key_goes_back_with_its_event)
{
	cr_assert_eq(db_begin(db), 0);
	cr_assert_eq(take("shop", "k", digest, OTHER_EVENT, 5), 0);
	db_rollback(db);
	cr_assert_eq(take("shop", "k", digest, EVENT, 6), 0);
}

Test(idempotency, old_keys_are_forgotten_oldest_first)
{
	char key[8];

	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cr_assert_eq(take("shop", key, digest, EVENT, 104 - i), 0);
	}
	cr_assert_eq(forget(100, 10), 0);
	cr_assert_eq(forget(103, 2), 2);
	cr_assert_eq(take("shop", "k4", digest, EVENT, 200), 0, "forgotten");
	cr_assert_eq(take("shop", "k2", digest, EVENT, 200), ERR_EXISTS);
	cr_assert_eq(forget(103, 2), 1);
	cr_assert_eq(take("shop", "k1", digest, EVENT, 200), ERR_EXISTS, "of 103 itself");
	cr_assert_eq(take("shop", "k2", digest, EVENT, 200), 0);
}
