/* The audit trail: rows that nobody can change, and how they are found again. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "background/store/audit.h"
#include "background/store/audit_read.h"
#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/users.h"
#include "tests/support/scratch.h"

enum { SEEN = 64, MANY = LIMIT_AUDIT_LOOK + 100 };

static struct scratch scratch;
static struct store *store;
static struct db *db;

static void setup(void)
{
	char why[256] = "";

	cr_assert(sodium_init() >= 0);
	clock_start();
	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	db = store_writer(store);
}

static void teardown(void)
{
	store_close(store);
	scratch_remove(&scratch);
}

TestSuite(audit, .init = setup, .fini = teardown, .timeout = 30);

static void add(const char *type, int64_t user_id, int64_t at_ms)
{
	char request_id[32];
	struct audit_entry entry = {.type = type,
		.user_id = user_id,
		.client = user_id % 2 ? "192.0.2.1" : "2001:db8::1",
		.request_id = request_id,
		.at_ms = at_ms};

	(void)snprintf(request_id, sizeof(request_id), "r%lld", (long long)at_ms);
	cr_assert_eq(audit_add(db, &entry), 0);
}

struct seen {
	size_t count;
	int64_t ids[SEEN], times[SEEN];
	int stop_with;
};

static int see(void *arg, const struct audit_row *row)
{
	struct seen *seen = arg;

	cr_assert_lt(seen->count, SEEN);
	seen->ids[seen->count] = row->id;
	seen->times[seen->count++] = row->at_ms;
	return seen->stop_with;
}

/* All that fits, `limit` at a time. */
static struct seen list(const struct audit_filter *filter, int limit)
{
	struct seen seen = {.count = 0};
	struct audit_place place = {0};
	int got;

	do {
		got = audit_list(db, filter, &place, limit, see, &seen, &place);
		cr_assert_geq(got, 0, "%s", db_message(db));
		cr_assert_leq(got, limit);
	} while (place.id);
	return seen;
}

Test(audit, a_row_can_neither_be_changed_nor_removed_nor_replaced)
{
	static const char *const attempts[] = {
		"UPDATE audit SET type = 'user.logout'",
		"UPDATE audit SET id = 7",
		"DELETE FROM audit",
		"DELETE FROM audit WHERE id = 1",
		("INSERT OR REPLACE INTO audit (id, at_ms, type, user_id, session_id, client, request_id) "
		 "VALUES (1, 0, 'x', 0, 0, '', '')"),
	};
	struct seen seen;

	add("user.login", 1, 1000);
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		cr_expect_eq(db_execute(db, attempts[i]), ERR_INVALID, "%s", attempts[i]);
		cr_expect_not_null(strstr(db_message(db), "never"), "%s", db_message(db));
	}
	seen = list(&(struct audit_filter){.type = "user.login"}, 10);
	cr_assert_eq(seen.count, 1);
	cr_assert_eq(seen.times[0], 1000);
	cr_assert_eq(db_protect(db, "audit"), 0, "again is fine");
	cr_assert_eq(db_execute(db, "UPDATE store_probe SET count = 1"), 0, "other tables are as they were");
}

Test(audit, what_protects_it_is_kept_with_the_store)
{
	char why[256] = "";

	add("user.login", 1, 1000);
	store_close(store);
	cr_assert_eq(store_open(scratch.url, &store, why), 0, "%s", why);
	db = store_writer(store);
	cr_assert_eq(db_execute(db, "DELETE FROM audit"), ERR_INVALID);
}

Test(audit, the_newest_come_first_also_after_the_clock_was_set_back)
{
	struct seen seen;

	add("user.login", 1, 5000);
	add("user.login", 2, 6000);
	add("user.login", 3, 4000); /* the clock was set back */
	add("user.login", 4, 5000);
	seen = list(&(struct audit_filter){.since_ms = 0}, 1);
	cr_assert_eq(seen.count, 4);
	cr_assert_eq(seen.ids[0], 2);
	cr_assert_eq(seen.ids[1], 4, "of two at one time the later row");
	cr_assert_eq(seen.ids[2], 1);
	cr_assert_eq(seen.ids[3], 3);
	seen = list(&(struct audit_filter){.since_ms = 5000, .until_ms = 6000}, 10);
	cr_assert_eq(seen.count, 2, "since is included, until is not");
}

Test(audit, each_part_of_a_filter_narrows)
{
	static const char *const types[] = {"user.login", "user.logout", "key.rotated", "userland"};
	struct seen seen;

	for (int i = 0; i < 16; i++)
		add(types[i % 4], i / 4, 1000 + i);
	cr_assert_eq(list(&(struct audit_filter){.type = "user.login"}, 3).count, 4);
	cr_assert_eq(list(&(struct audit_filter){.type = "user.*"}, 3).count, 8, "the dot is part of it");
	cr_assert_eq(list(&(struct audit_filter){.type = "*"}, 3).count, 16);
	cr_assert_eq(list(&(struct audit_filter){.type = "user"}, 3).count, 0);
	cr_assert_eq(list(&(struct audit_filter){.of_user = true, .user_id = 2}, 3).count, 4);
	cr_assert_eq(list(&(struct audit_filter){.of_user = true, .user_id = 0}, 3).count, 4);
	cr_assert_eq(list(&(struct audit_filter){.of_user = true, .user_id = 2, .type = "user.*"}, 1).count, 2);
	cr_assert_eq(list(&(struct audit_filter){.client = "192.0.2.1"}, 3).count, 8);
	seen = list(&(struct audit_filter){.request_id = "r1007"}, 3);
	cr_assert_eq(seen.count, 1);
	cr_assert_eq(seen.times[0], 1007);
	cr_assert_eq(
		list(&(struct audit_filter){.type = "user.login", .since_ms = 1004, .until_ms = 1012}, 3).count, 2);
}

Test(audit, a_page_that_finds_little_says_where_to_go_on)
{
	static const struct audit_filter rare = {.client = "192.0.2.1"};
	struct audit_place place = {0};
	struct seen seen = {.count = 0};

	cr_assert_eq(db_begin(db), 0);
	add("user.login", 1, 1);
	for (int i = 0; i < MANY; i++)
		add("user.login", 2, 1000 + i);
	cr_assert_eq(db_commit(db), 0);
	cr_assert_eq(audit_list(db, &rare, &place, 10, see, &seen, &place), 0);
	cr_assert_neq(place.id, 0, "not all has been looked at");
	cr_assert_eq(audit_list(db, &rare, &place, 10, see, &seen, &place), 1);
	cr_assert_eq(place.id, 0);
	cr_assert_eq(seen.ids[0], 1);
}

Test(audit, a_callback_ends_the_walk)
{
	struct seen seen = {.stop_with = 1};
	struct audit_place place = {0};

	add("user.login", 1, 1000);
	add("user.login", 1, 2000);
	cr_assert_eq(audit_list(db, &(struct audit_filter){.since_ms = 0}, &place, 10, see, &seen, &place), 1);
	cr_assert_eq(place.at_ms, 2000);
	seen = (struct seen){.stop_with = ERR_MEMORY};
	cr_assert_eq(audit_list(db, &(struct audit_filter){.since_ms = 0}, &place, 10, see, &seen, &place), ERR_MEMORY);
	cr_assert_eq(place.at_ms, 2000, "untouched on failure");
}

Test(audit, counted_by_type_and_time_up_to_a_bound)
{
	int64_t count = -1;

	for (int i = 0; i < 10; i++)
		add(i % 2 ? "user.login" : "user.login_failed", 1, 1000 + i);
	cr_assert_eq(audit_count(db, "user.login", 0, 100, &count), 0);
	cr_assert_eq(count, 5);
	cr_assert_eq(audit_count(db, "user.login", 1005, 100, &count), 0);
	cr_assert_eq(count, 3);
	cr_assert_eq(audit_count(db, "user.login", 0, 2, &count), 0);
	cr_assert_eq(count, 2);
}

static int see_user(void *arg, const struct audit_row *row)
{
	(void)arg;
	cr_assert_str_eq(row->username, "alice");
	cr_assert(id_valid(row->user));
	return 0;
}

Test(audit, a_row_names_its_user_as_long_as_the_account_is_there)
{
	struct user alice = {.username = "alice", .password = "x"};
	struct audit_place place = {0};

	cr_assert_eq(users_add(db, &alice, 1000), 0);
	add("user.login", alice.id, 1000);
	cr_assert_eq(audit_list(db, &(struct audit_filter){.since_ms = 0}, &place, 10, see_user, NULL, &place), 1);
}

Test(audit, places_are_read_as_they_are_written)
{
	static const char *const bad[] = {"", "-", "1", "1-", "-1", "1-0", "1-2x", "1--2", "+1-2", " 1-2", "1- 2",
		"x-1", "99999999999999999999-1", "1-99999999999999999999"};
	const struct audit_place widest = {INT64_MAX, INT64_MAX};
	struct audit_place place = {7, 7};
	char text[AUDIT_PLACE_SIZE];

	audit_place_text(&widest, text);
	cr_assert_eq(audit_place_parse(text, &place), 0);
	cr_assert_eq(place.at_ms, INT64_MAX);
	cr_assert_eq(place.id, INT64_MAX);
	cr_assert_eq(audit_place_parse("0-1", &place), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(audit_place_parse(bad[i], &place), ERR_INVALID, "%s", bad[i]);
}

Test(audit, a_detail_is_ascii_whatever_a_stranger_says)
{
	char detail[AUDIT_DETAIL_SIZE], text[LIMIT_AUDIT_DETAIL + 100];
	json_t *json;

	audit_detail(detail, json_pack("{s:s}", "user_agent", "a\"b\\c\r\n\x1b[2J\xe2\x80\xae\x7f\xc3\xa4"));
	for (const char *c = detail; *c; c++)
		cr_assert(*c >= 0x20 && (unsigned char)*c < 0x80, "%s", detail);
	json = json_loads(detail, 0, NULL);
	cr_assert_str_eq(
		json_string_value(json_object_get(json, "user_agent")), "a\"b\\c\r\n\x1b[2J\xe2\x80\xae\x7f\xc3\xa4");
	json_decref(json);

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	audit_detail(detail, json_pack("{s:s}", "k", text));
	cr_assert_not_null(strstr(detail, "omitted_bytes"), "%s", detail);
	text[LIMIT_AUDIT_DETAIL - strlen("{\"k\":\"\"}")] = '\0';
	audit_detail(detail, json_pack("{s:s}", "k", text));
	cr_assert_eq(strlen(detail), LIMIT_AUDIT_DETAIL, "it just fits");
	audit_detail(detail, NULL);
	cr_assert_str_eq(detail, "{}");
}

Test(audit, a_detail_that_is_too_long_is_refused)
{
	char text[LIMIT_AUDIT_DETAIL + 2];
	struct audit_entry entry = {.type = "x", .client = "", .request_id = "", .detail = text};

	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(audit_add(db, &entry), ERR_INVALID);
	text[LIMIT_AUDIT_DETAIL] = '\0';
	cr_assert_eq(audit_add(db, &entry), 0);
}
