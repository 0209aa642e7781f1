/* Accounts and sessions as rows: names are unique in any case, and disabling or a new password ends sessions. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/accounts/users.h"

static char folder[64], url[128];
static struct store *store;
static struct db *db;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	(void)snprintf(folder, sizeof(folder), "/tmp/tokenfirst-users-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(url, sizeof(url), "sqlite:%s/store.db", folder);
	cr_assert_eq(store_open(url, &store, NULL), 0);
	db = store_writer(store);
}

static void teardown(void)
{
	static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"};
	char path[128];

	store_close(store);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(users, .init = setup, .fini = teardown, .timeout = 20);

static int add(const char *username, const char *email, struct user *ret_user)
{
	struct user user = {.admin = false};
	int err;

	(void)snprintf(user.username, sizeof(user.username), "%s", username);
	(void)snprintf(user.email, sizeof(user.email), "%s", email);
	(void)snprintf(user.password, sizeof(user.password), "hash of %s", username);
	err = users_add(db, &user, 5000);
	if (!err && ret_user)
		*ret_user = user;
	return err;
}

Test(users, found_in_any_case_by_name_address_and_id)
{
	struct user added, found;

	cr_assert_eq(add("Alice", "Alice@Example.com", &added), 0);
	cr_assert_gt(added.id, 0);
	cr_assert(id_valid(added.public_id));
	cr_assert_eq(users_find_by_username(db, "aLICE", &found), 0);
	cr_expect_eq(found.id, added.id);
	cr_expect_str_eq(found.public_id, added.public_id);
	cr_expect_str_eq(found.username, "Alice");
	cr_expect_str_eq(found.email, "Alice@Example.com");
	cr_expect_str_eq(found.password, "hash of Alice");
	cr_expect_eq(found.created_ms, 5000);
	cr_expect_not(found.admin);
	cr_expect_not(found.disabled);
	cr_assert_eq(users_find_by_email(db, "alice@EXAMPLE.com", &found), 0);
	cr_expect_eq(found.id, added.id);
	cr_assert_eq(users_find_by_public_id(db, added.public_id, &found), 0);
	cr_expect_eq(found.id, added.id);
}

Test(users, not_found_leaves_the_result_alone)
{
	struct user user = {.id = 99};
	char longer[400];

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(users_find_by_username(db, "nobody", &user), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_username(db, longer, &user), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_email(db, longer, &user), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_email(db, "", &user), ERR_NOT_FOUND);
	cr_expect_eq(users_find_by_public_id(db, "", &user), ERR_NOT_FOUND);
	cr_expect_eq(user.id, 99);
}

Test(users, names_and_addresses_are_taken_once)
{
	cr_assert_eq(add("alice", "alice@example.com", NULL), 0);
	cr_expect_eq(add("ALICE", "other@example.com", NULL), ERR_EXISTS);
	cr_expect_eq(add("bob", "ALICE@example.com", NULL), ERR_EXISTS);
	cr_expect_eq(add("bob", "", NULL), 0);
	cr_expect_eq(add("carol", "", NULL), 0, "any number of users have no address");
}

static void add_session(int64_t id, int64_t user_id)
{
	struct session session = {
		.id = id,
		.user_id = user_id,
		.generation = 1,
		.created_ms = 1000,
		.refreshed_ms = 1000,
		.expires_ms = 9000,
		.client = "127.0.0.1",
		.user_agent = "",
	};

	cr_assert_eq(sessions_add(db, &session), 0);
}

static bool live(int64_t id, int64_t now_ms)
{
	struct session_owner owner;

	cr_assert_eq(sessions_owner(db, id, now_ms, &owner), 0);
	return owner.live;
}

Test(users, a_session_lives_until_it_expires_or_is_revoked)
{
	struct session_owner owner = {.user_id = -1};
	struct user user;
	int64_t last = -1;

	cr_assert_eq(sessions_last_id(db, &last), 0);
	cr_expect_eq(last, 0);
	cr_assert_eq(add("alice", "", &user), 0);
	add_session(7, user.id);
	cr_assert_eq(sessions_last_id(db, &last), 0);
	cr_expect_eq(last, 7);
	cr_expect_eq(sessions_owner(db, 8, 2000, &owner), ERR_NOT_FOUND);
	cr_expect_eq(owner.user_id, -1);
	cr_assert_eq(sessions_owner(db, 7, 2000, &owner), 0);
	cr_expect_eq(owner.user_id, user.id);
	cr_expect_str_eq(owner.public_id, user.public_id);
	cr_expect(owner.live);
	cr_expect(live(7, 8999));
	cr_expect_not(live(7, 9000));
	cr_expect_eq(sessions_revoke(db, 7, 3000), 0);
	cr_expect_not(live(7, 2000));
	cr_expect_eq(sessions_revoke(db, 7, 4000), 0, "twice is fine");
	cr_expect_eq(sessions_revoke(db, 8, 4000), ERR_NOT_FOUND);
}

Test(users, disabling_revokes_sessions_of_that_user_only)
{
	struct user alice, bob, found;

	cr_assert_eq(add("alice", "", &alice), 0);
	cr_assert_eq(add("bob", "", &bob), 0);
	add_session(1, alice.id);
	add_session(2, bob.id);
	cr_assert_eq(users_set_disabled(db, alice.id, true, 2000), 0);
	cr_assert_eq(sessions_revoke_all(db, alice.id, 0, 2000, NULL), 0);
	cr_assert_eq(users_find_by_username(db, "alice", &found), 0);
	cr_expect(found.disabled);
	cr_expect_not(live(1, 2000));
	cr_expect(live(2, 2000));
	cr_assert_eq(users_set_disabled(db, alice.id, false, 3000), 0);
	cr_expect_not(live(1, 3000), "a revoked session stays revoked");
	add_session(3, alice.id);
	cr_expect(live(3, 3000));
	cr_expect_eq(users_set_disabled(db, 4711, true, 2000), ERR_NOT_FOUND);
}

Test(users, a_new_password_ends_older_proofs_and_an_upgrade_does_not)
{
	struct user alice, found;
	int64_t revoked = -1;

	cr_assert_eq(add("alice", "", &alice), 0);
	add_session(1, alice.id);
	cr_expect_eq(users_upgrade_password(db, alice.id, "another hash", "new", 2000), ERR_STALE);
	cr_expect_eq(users_upgrade_password(db, alice.id, "hash of alice", "better", 2000), 0);
	cr_assert_eq(users_find_by_username(db, "alice", &found), 0);
	cr_expect_str_eq(found.password, "better");
	cr_expect(live(1, 2000));
	cr_expect_eq(users_set_password(db, alice.id, "newest", 3000), 0);
	add_session(2, alice.id);
	cr_expect_eq(sessions_revoke_all(db, alice.id, 2, 3000, &revoked), 0);
	cr_expect_eq(revoked, 1);
	cr_assert_eq(users_find_by_username(db, "alice", &found), 0);
	cr_expect_str_eq(found.password, "newest");
	cr_expect_not(live(1, 3000));
	cr_expect(live(2, 3000), "the one that was to be kept");
	cr_expect_eq(users_confirm(db, &alice), ERR_STALE, "its credentials are others now");
	cr_expect_eq(users_confirm(db, &found), 0);
	cr_expect_eq(users_set_password(db, 4711, "newest", 3000), ERR_NOT_FOUND);
}

Test(users, usernames)
{
	static const char *const good[] = {"alice", "A", "a.b_c-d+e@example.com", "0"};
	static const char *const bad[] = {"", "a b", "a\r\nb", "na\xc3\xafve", "a/b", "a\"b", "a<b", "tab\t", "a\x7f"};
	char text[LIMIT_USERNAME + 2];
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(username_acceptable(good[i], &why), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		cr_expect_eq(username_acceptable(bad[i], &why), ERR_INVALID, "%s", bad[i]);
		cr_expect_not_null(why);
	}
	memset(text, 'a', sizeof(text));
	text[LIMIT_USERNAME] = '\0';
	cr_expect_eq(username_acceptable(text, &why), 0);
	text[LIMIT_USERNAME] = 'a';
	text[LIMIT_USERNAME + 1] = '\0';
	cr_expect_eq(username_acceptable(text, &why), ERR_INVALID);
}

Test(users, addresses)
{
	static const char *const good[] = {"alice@example.com", "a+b@x", "o'hara@a-b.example", "a.b@1.2.3.example",
		"!#$%&'*+-/=?^_`{|}~@example.com"};
	static const char *const bad[] = {"", "alice", "@example.com", "alice@", "a@b@c",
		"alice@example.com\r\nRCPT TO:<b@c>", "alice@example.com>", "<alice@example.com>", "a b@example.com",
		".a@example.com", "a.@example.com", "a..b@example.com", "a@.example.com", "a@example..com",
		"a@example.com.", "a@-example.com", "a@example-.com", "a@[127.0.0.1]", "\"a\"@example.com",
		"\xc3\xa4@example.com", "a@ex_ample.com", "a,b@example.com"};
	char text[400];
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(email_acceptable(good[i], &why), 0, "%s: %s", good[i], why);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		cr_expect_eq(email_acceptable(bad[i], &why), ERR_INVALID, "%s", bad[i]);
		cr_expect_not_null(why);
	}
	/* the local part's limit, a label's, and that of the whole */
	(void)snprintf(text, sizeof(text), "%064d@x", 1);
	cr_expect_eq(email_acceptable(text, &why), 0);
	(void)snprintf(text, sizeof(text), "%065d@x", 1);
	cr_expect_eq(email_acceptable(text, &why), ERR_INVALID);
	(void)snprintf(text, sizeof(text), "a@%063d", 1);
	cr_expect_eq(email_acceptable(text, &why), 0);
	(void)snprintf(text, sizeof(text), "a@%064d", 1);
	cr_expect_eq(email_acceptable(text, &why), ERR_INVALID);
	(void)snprintf(text, sizeof(text), "%061d@%063d.%063d.%063d.x", 1, 1, 1, 1);
	cr_expect_eq(strlen(text), 255);
	cr_expect_eq(email_acceptable(text, &why), ERR_INVALID);
	cr_expect_eq(email_acceptable(text + 1, &why), 0);
}
