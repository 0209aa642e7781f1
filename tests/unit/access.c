/* Whom a token stands for, when the store changes just while that is being read. */
#include "server/auth/access.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/db_sqlite.h"
#include "config/clock.h"
#include "server/accounts/users.h"
#include "server/app.h"
#include "tests/support/open_store.h"

enum { SESSION = 7, TTL_S = 900 };

static struct config config = {.token = {.issuer = (char *)"issuer", .audience = (char *)"app"}};
static struct open_store opened;
static struct app app;
static struct db *reader;
static struct user alice;
static char token[LIMIT_TOKEN];

static void add_rows(struct db *writer)
{
	const int64_t now_ms = clock_now_ms();
	const struct session session = {.id = SESSION,
		.user_id = 1,
		.generation = 1,
		.created_ms = now_ms,
		.refreshed_ms = now_ms,
		.expires_ms = now_ms + INT64_C(1000) * TTL_S,
		.client = "",
		.user_agent = ""};

	(void)snprintf(alice.username, sizeof(alice.username), "alice");
	cr_assert_eq(users_add(writer, &alice, now_ms), 0);
	cr_assert_eq(sessions_add(writer, &session), 0);
	cr_assert_eq(keys_load(writer, TOKEN_EDDSA, now_ms, &app.keys), 0);
}

static void make_token(void)
{
	const int64_t now_s = clock_wall_ms() / 1000;
	struct token_claims claims = {.session_id = SESSION, .issued_s = now_s, .expires_s = now_s + TTL_S};
	struct buf text;

	memcpy(claims.subject, alice.public_id, sizeof(claims.subject));
	id_new(claims.token_id, clock_now_ms());
	buf_init(&text, LIMIT_TOKEN);
	cr_assert_eq(token_issue(&app.issuer, keys_current(app.keys), &claims, &text), 0);
	(void)snprintf(token, sizeof(token), "%.*s", (int)text.len, text.data);
	buf_release(&text);
}

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	json_object_seed(0);
	clock_start();
	open_store_make(&opened);
	/* the writer is the test's until the committer starts again */
	committer_stop(opened.committer);
	add_rows(store_writer(opened.store));
	cr_assert_eq(committer_start(opened.store, opened.metrics, &opened.committer), 0);
	app.config = &config;
	cr_assert_eq(token_issuer_init(&app.issuer, &config), 0);
	app.store = opened.store;
	cr_assert_eq(access_cache_new(64, store_changes(opened.store), opened.metrics, &app.access_cache), 0);
	cr_assert_eq(store_reader(opened.store, &reader), 0);
	make_token();
}

static void teardown(void)
{
	db_close(reader);
	access_cache_free(app.access_cache);
	keys_free(app.keys);
	token_issuer_release(&app.issuer);
	open_store_remove(&opened);
}

TestSuite(access, .init = setup, .fini = teardown, .timeout = 60);

static int revoke(struct db *writer, void *arg)
{
	(void)arg;
	return sessions_revoke(writer, SESSION, clock_now_ms());
}

/* Called by SQLite in mid-statement, whose view of the store is fixed by then: the session ends, and its end is told. */
static int end_meanwhile(void *arg)
{
	int *calls = arg;

	if ((*calls)++ == 0)
		cr_assert_eq(committer_run(opened.committer, revoke, NULL), 0);
	return 0;
}

static int check(bool account)
{
	struct session_account all;
	struct access access;
	int err;

	if (!account)
		return access_check(&app, reader, token, &access);
	err = access_check_account(&app, reader, token, &access, &all);
	if (!err)
		access_keep(&app, &access, ACCESS_ME, "{}");
	return err;
}

/* A reading that was overtaken is an answer of its time, and no answer for any later use. */
static void expect_overtaken(bool account)
{
	char text[LIMIT_ACCESS_ANSWER];
	int calls = 0;

	/* prepares the statement; what it has found out must not be found in memory again */
	cr_assert_eq(check(account), 0);
	access_cache_free(app.access_cache);
	cr_assert_eq(access_cache_new(64, store_changes(opened.store), opened.metrics, &app.access_cache), 0);
	sqlite3_progress_handler(reader->handle, 1, end_meanwhile, &calls);
	cr_expect_eq(check(account), 0, "the statement had begun before the session's end");
	sqlite3_progress_handler(reader->handle, 0, NULL, NULL);
	cr_assert_gt(calls, 0, "nothing came in between");
	cr_expect_eq(access_answer(&app, token, ACCESS_ME, text), 0);
	cr_expect_eq(check(account), ERR_DENIED);
}

Test(access, a_check_that_was_overtaken_is_not_believed_later)
{
	expect_overtaken(false);
}

Test(access, nor_is_an_account_that_was_read_with_it)
{
	expect_overtaken(true);
}

Test(access, is_of_the_sessions_owner_alone)
{
	struct access access;

	cr_assert_eq(check(true), 0);
	cr_assert_eq(access_check(&app, reader, token, &access), 0);
	cr_expect_str_eq(access.owner.public_id, alice.public_id);
	/* of somebody else, signed all the same */
	id_new(alice.public_id, clock_now_ms());
	make_token();
	cr_expect_eq(check(false), ERR_DENIED);
	cr_expect_eq(check(true), ERR_DENIED);
}
