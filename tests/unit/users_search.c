/* Accounts as administrators look for them: found by how they begin, paged without gaps, counted, deleted. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/accounts/users_search.h"
#include "tests/support/scratch.h"

enum { CROWD = 300 };

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

TestSuite(users_search, .init = setup, .fini = teardown, .timeout = 30);

static struct user add(const char *username, const char *email)
{
	struct user user = {.password = "$argon2id$x"};

	(void)snprintf(user.username, sizeof(user.username), "%s", username);
	(void)snprintf(user.email, sizeof(user.email), "%s", email);
	cr_assert_eq(users_add(db, &user, 1000), 0);
	return user;
}

static int join(void *arg, const struct user *user)
{
	char *text = arg;

	(void)snprintf(text + strlen(text), 200 - strlen(text), "%s ", user->username);
	return 0;
}

/* The names of all pages of so many. */
static const char *search(const char *prefix, int limit)
{
	static char text[200];
	char cursor[USERS_CURSOR_SIZE] = "";

	text[0] = '\0';
	do {
		int got = users_search(db, prefix, cursor, limit, join, text, cursor);
		cr_assert_geq(got, 0);
		cr_assert_leq(got, limit);
	} while (cursor[0]);
	return text;
}

Test(users_search, found_by_the_beginning_of_name_or_address_in_any_case)
{
	add("carol", "al@example.com");
	add("Alice", "a@example.com");
	add("bob", "Alan@example.com");
	add("al", "");
	add("zed", "");
	for (int limit = 1; limit < 6; limit++) {
		cr_expect_str_eq(search(NULL, limit), "al Alice bob carol zed ");
		cr_expect_str_eq(search("", limit), "al Alice bob carol zed ");
		cr_expect_str_eq(search("aL", limit), "al Alice carol bob ", "names first, then addresses");
		cr_expect_str_eq(search("al@", limit), "carol ");
		cr_expect_str_eq(search("alice", limit), "Alice ");
		cr_expect_str_eq(search("zz", limit), "");
		cr_expect_str_eq(search("%", limit), "", "no wildcard");
	}
}

Test(users_search, what_is_no_cursor_is_refused)
{
	static const char *const bad[] = {"x", "name", "alice", "email", "Name:a"};
	char text[200] = "", next[USERS_CURSOR_SIZE] = "as it was", longer[LIMIT_EMAIL + 20];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(users_search(db, NULL, bad[i], 1, join, text, next), ERR_INVALID, "%s", bad[i]);
	cr_expect_str_eq(next, "as it was");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(users_search(db, longer, "", 1, join, text, next), 0, "nobody has so long a name");
	memcpy(longer, "name:", 5);
	cr_expect_eq(users_search(db, NULL, longer, 1, join, text, next), ERR_INVALID);
}

struct crowd {
	bool seen[CROWD];
	int more; /* accounts added in between */
};

static int mark(void *arg, const struct user *user)
{
	struct crowd *crowd = arg;
	int n = -1;

	if (sscanf(user->username, "user-%3d", &n) == 1 && strlen(user->username) == 8) {
		cr_assert_not(crowd->seen[n], "%d twice", n);
		crowd->seen[n] = true;
	}
	return 0;
}

Test(users_search, pages_have_no_gap_and_no_repeat_while_accounts_are_added)
{
	struct crowd crowd = {.more = 0};
	char cursor[USERS_CURSOR_SIZE] = "", name[32];

	cr_assert_eq(db_begin(db), 0);
	for (int i = 0; i < CROWD; i++) {
		(void)snprintf(name, sizeof(name), "user-%03d", i * 7 % CROWD);
		add(name, "");
	}
	do {
		cr_assert_geq(users_search(db, "user", cursor, 7, mark, &crowd, cursor), 0);
		(void)snprintf(name, sizeof(name), "user-%03d.%d", crowd.more * 13 % CROWD, crowd.more);
		crowd.more++;
		add(name, "");
	} while (cursor[0]);
	cr_assert_eq(db_commit(db), 0);
	for (int i = 0; i < CROWD; i++)
		cr_assert(crowd.seen[i], "%d is missing", i);
}

Test(users_search, a_page_looks_at_so_many_rows_only)
{
	char cursor[USERS_CURSOR_SIZE] = "", name[32], email[64], text[200] = "";
	int pages = 0, seen = 0;

	cr_assert_eq(db_begin(db), 0);
	for (int i = 0; i < LIMIT_SEARCH_LOOK; i++) {
		(void)snprintf(name, sizeof(name), "a%05d", i);
		(void)snprintf(email, sizeof(email), "a%05d@example.com", i);
		add(name, email);
	}
	add("zed", "azed@example.com");
	cr_assert_eq(db_commit(db), 0);
	strcpy(cursor, "email:");
	do {
		int got = users_search(db, "a", cursor, 10, join, text, cursor);
		cr_assert_geq(got, 0);
		seen += got;
		pages++;
	} while (cursor[0]);
	cr_assert_eq(pages, 2, "the first has looked at as many as it may, in vain");
	cr_assert_eq(seen, 1);
	cr_assert_str_eq(text, "zed ");
}

static void add_session(int64_t id, int64_t user_id, int64_t expires_ms)
{
	struct session session = {
		.id = id, .user_id = user_id, .expires_ms = expires_ms, .client = "", .user_agent = ""};

	cr_assert_eq(sessions_add(db, &session), 0);
}

Test(users_search, counted)
{
	struct user alice = add("alice", ""), bob = add("bob", ""), gone = add("gone", "gone@example.com");
	struct users_total total;
	int64_t count = -1;

	add_session(1, alice.id, 5000);
	add_session(2, alice.id, 1500);
	add_session(3, alice.id, 5000);
	add_session(4, bob.id, 5000);
	cr_assert_eq(sessions_revoke(db, 3, 1100), 0);
	cr_assert_eq(users_count_sessions(db, alice.id, 2000, &count), 0);
	cr_expect_eq(count, 1);
	cr_assert_eq(users_set_disabled(db, bob.id, true, 2000), 0);
	cr_assert_eq(db_execute(db, "UPDATE users SET locked_ms = 1 WHERE username = 'alice'"), 0);
	cr_assert_eq(users_delete(db, gone.id, 2000), 0);
	cr_assert_eq(users_total(db, 2000, &total), 0);
	cr_expect_eq(total.accounts, 2);
	cr_expect_eq(total.disabled, 1);
	cr_expect_eq(total.locked, 1);
	cr_expect_eq(total.sessions, 2);
	cr_expect(total.sessions_all);
}

Test(users_search, what_is_deleted_is_not_found_and_its_name_is_free)
{
	struct user alice = add("alice", "alice@example.com"), again, found;
	char stone[64];

	(void)snprintf(stone, sizeof(stone), "deleted:%s", alice.public_id);
	cr_assert_eq(users_delete(db, alice.id, 2000), 0);
	cr_expect_eq(users_delete(db, alice.id, 3000), ERR_NOT_FOUND, "once is enough");
	cr_expect_eq(users_find_by_username(db, "alice", &found), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_username(db, stone, &found), ERR_NOT_FOUND, "nor by the name of its stone");
	cr_expect_eq(users_find_by_email(db, "alice@example.com", &found), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_public_id(db, alice.public_id, &found), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_id(db, alice.id, &found), ERR_NOT_FOUND);
	cr_expect_eq(users_confirm(db, &alice), ERR_STALE);
	cr_expect_str_eq(search(NULL, 10), "");
	again = add("alice", "alice@example.com");
	cr_expect_neq(again.id, alice.id);
	cr_expect_str_eq(search(NULL, 10), "alice ");
}

Test(users_search, schemes_of_passwords)
{
	static const struct {
		const char *stored, *scheme;
	} cases[] = {
		{"", "none"},
		{"$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "argon2id"},
		{"$2b$12$abcdefghijklmnopqrstuu", "bcrypt"},
		{"$y$j9T$salt$hash", "yescrypt"},
		{"$6$salt$hash", "sha512-crypt"},
		{"$pepper$k1$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA", "argon2id"},
		{"$pepper$k1$wrap$31:$2b$12$abcdefghijklmnopqrstuu:$argon2id$v=19", "wrapped"},
		{"$pepper$", "unknown"},
		{"hash of alice", "unknown"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(users_password_scheme(cases[i].stored), cases[i].scheme);
}
