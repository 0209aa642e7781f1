/*
 * Sessions end while their tokens are used: a use that began after the end was told must find it, whatever is in memory.
 * With the real store, its writer and its readers. For ThreadSanitizer, and with results that have to be right without it.
 */
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/users.h"
#include "server/app.h"
#include "server/auth/access.h"
#include "tests/support/open_store.h"

enum { READERS = 3, SESSIONS = 150, AT_ONCE = 6, USES = 20, TTL_S = 900 };

struct seat {
	char token[LIMIT_TOKEN];
	atomic_bool open, ended; /* told to its users: it may be used; its end is durable */
};

static struct app app;
static struct user alice;
static struct seat seats[SESSIONS];
static atomic_bool enough;
static atomic_size_t newest; /* of those that were opened */
static atomic_int tried, used, late, at_once;

static void fail(const char *what)
{
	(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

static int add_user(struct db *writer, void *arg)
{
	return users_add(writer, arg, clock_now_ms());
}

static int add_session(struct db *writer, void *arg)
{
	const int64_t now_ms = clock_now_ms();
	const struct session session = {.id = *(const int64_t *)arg,
		.user_id = alice.id,
		.generation = 1,
		.created_ms = now_ms,
		.refreshed_ms = now_ms,
		.expires_ms = now_ms + INT64_C(1000) * TTL_S,
		.client = "",
		.user_agent = ""};

	return sessions_add(writer, &session);
}

struct end {
	int64_t session_id;
	atomic_bool *ended;
};

static int write_end(struct db *writer, void *arg)
{
	const struct end *end = arg;

	return sessions_revoke(writer, end->session_id, clock_now_ms());
}

/*
 * On the committer's thread: the first who is told. It has the others try the token before it returns, so that what the
 * committer does only afterwards is seen to come too late.
 */
static void tell_end(void *arg, int err)
{
	const struct end *end = arg;
	const int before = atomic_load(&tried);

	if (err)
		fail("a session can't be ended");
	atomic_store(end->ended, true);
	while (atomic_load(&tried) < before + 2 * READERS * (AT_ONCE + 1))
		sched_yield();
}

/* One use as a request makes it: at once, or by a crew's thread that keeps what it has found out. */
static bool use(struct db *db, const char *token)
{
	char text[LIMIT_ACCESS_ANSWER];
	struct session_account account;
	struct access access;

	if (access_answer(&app, token, ACCESS_ME, text)) {
		atomic_fetch_add(&at_once, 1);
		return true;
	}
	int err = access_check_account(&app, db, token, &access, &account);
	if (!err)
		access_keep(&app, &access, ACCESS_ME, "{}");
	else if (err != ERR_DENIED)
		fail("a token can't be checked");
	return !err;
}

static void *reader(void *arg)
{
	struct db *db = NULL;

	(void)arg;
	if (store_reader(app.store, &db))
		fail("no reader");
	while (!atomic_load(&enough)) {
		const size_t last = atomic_load(&newest);
		for (size_t i = last < AT_ONCE ? 0 : last - AT_ONCE; i <= last; i++) {
			if (!atomic_load(&seats[i].open))
				continue;
			bool ended = atomic_load(&seats[i].ended);
			bool good = use(db, seats[i].token);
			atomic_fetch_add(&tried, 1);
			atomic_fetch_add(&used, good);
			atomic_fetch_add(&late, good && ended);
		}
		sched_yield();
	}
	db_close(db);
	return NULL;
}

static void make_token(struct seat *seat, int64_t session_id)
{
	const int64_t now_s = clock_wall_ms() / 1000;
	struct token_claims claims = {.session_id = session_id, .issued_s = now_s, .expires_s = now_s + TTL_S};
	struct buf token;

	memcpy(claims.subject, alice.public_id, sizeof(claims.subject));
	id_new(claims.token_id, clock_now_ms());
	buf_init(&token, LIMIT_TOKEN);
	if (token_issue(&app.issuer, keys_current(app.keys), &claims, &token) || token.len >= sizeof(seat->token))
		fail("no token");
	memcpy(seat->token, token.data, token.len + 1);
	buf_release(&token);
}

/* Each session is used for a while, then ended; the latest of those before it go on being tried. */
static void run_sessions(void)
{
	for (int64_t i = 0; i < SESSIONS; i++) {
		struct seat *seat = &seats[i];
		int64_t id = i + 1;
		int before = atomic_load(&used);

		make_token(seat, id);
		if (committer_run(app.committer, add_session, &id))
			fail("no session");
		atomic_store(&seat->open, true);
		atomic_store(&newest, (size_t)i);
		while (atomic_load(&used) < before + USES)
			sched_yield();
		struct end end = {id, &seat->ended};
		if (committer_run_then(app.committer, write_end, tell_end, &end))
			fail("a session can't be ended");
	}
}

int main(void)
{
	static struct config config = {.token = {.issuer = (char *)"issuer", .audience = (char *)"app"}};
	struct open_store opened;
	pthread_t readers[READERS];

	if (sodium_init() < 0)
		return 1;
	json_object_seed(0);
	clock_start();
	open_store_make(&opened);
	app.config = &config;
	app.store = opened.store;
	app.committer = opened.committer;
	(void)snprintf(alice.username, sizeof(alice.username), "alice");
	if (token_issuer_init(&app.issuer, &config) || committer_run(app.committer, add_user, &alice) ||
		access_cache_new(64, store_changes(app.store), opened.metrics, &app.access_cache))
		fail("can't start");
	/* keys are made by whoever has the writer */
	committer_stop(opened.committer);
	if (keys_load(store_writer(app.store), TOKEN_EDDSA, clock_now_ms(), &app.keys) ||
		committer_start(app.store, opened.metrics, &opened.committer))
		fail("no keys");
	app.committer = opened.committer;
	for (size_t i = 0; i < READERS; i++) {
		if (pthread_create(&readers[i], NULL, reader, NULL))
			fail("no thread");
	}
	run_sessions();
	atomic_store(&enough, true);
	for (size_t i = 0; i < READERS; i++)
		(void)pthread_join(readers[i], NULL);
	(void)printf("%d uses were good, %d of them answered at once, %d after the session's end was told\n",
		atomic_load(&used), atomic_load(&at_once), atomic_load(&late));
	access_cache_free(app.access_cache);
	keys_free(app.keys);
	token_issuer_release(&app.issuer);
	open_store_remove(&opened);
	return atomic_load(&late) == 0 && atomic_load(&at_once) > SESSIONS ? 0 : 1;
}
