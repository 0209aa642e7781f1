/* What the cache of tokens remembers, what it no longer believes, and what it lets go. */
#include "server/auth/access_cache.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/token/rotation.h"
#include "tests/support/scratch.h"

enum { NOW_S = 1700000000, TTL_S = 900, SESSION = 7, USER = 3 };
#define TOKEN "eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiI3In0.c2lnbmF0dXJl"
#define BODY  "{\"id\":\"alice\"}"

static struct scratch scratch;
static struct store *store;
static struct metrics *metrics;
static struct keys *keys;
static struct access_cache *cache;
static struct access_moment moment;

static void make_cache(int64_t entries)
{
	access_cache_free(cache);
	cr_assert_eq(access_cache_new(entries, store_changes(store), metrics, &cache), 0);
}

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	json_object_seed(0);
	clock_start();
	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, NULL), 0);
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	cr_assert_eq(keys_load(store_writer(store), TOKEN_EDDSA, INT64_C(1000) * NOW_S, &keys), 0);
	make_cache(64);
	moment = (struct access_moment){.keys = keys, .wall_s = NOW_S, .now_ms = INT64_C(1000) * NOW_S};
}

static void teardown(void)
{
	access_cache_free(cache);
	keys_free(keys);
	store_close(store);
	metrics_free(metrics);
	scratch_remove(&scratch);
}

TestSuite(access_cache, .init = setup, .fini = teardown, .timeout = 60);

static enum access_find look(const char *token, struct access *ret_access)
{
	return access_cache_find(cache, &moment, token, ret_access);
}

static enum access_find found(const char *token)
{
	struct access access;

	return look(token, &access);
}

/* As whoever has verified the token and read what the store says of its session. */
static struct access keep(const char *token, const char *answer)
{
	struct access access;

	(void)look(token, &access);
	access.claims = (struct token_claims){
		.session_id = SESSION, .issued_s = moment.wall_s, .expires_s = moment.wall_s + TTL_S};
	access.key = keys_current_at(keys, moment.now_ms);
	access.mark = access_cache_mark(cache);
	access.owner = (struct session_owner){.live = true,
		.session_id = SESSION,
		.user_id = USER,
		.expires_ms = INT64_C(1000) * (moment.wall_s + 10 * TTL_S)};
	access_cache_keep(cache, &access, moment.wall_s, ACCESS_ME, answer);
	return access;
}

static bool answers(const char *token, enum access_answer which, const char *expected)
{
	char text[LIMIT_ACCESS_ANSWER] = "";
	size_t len = access_cache_answer(cache, &moment, token, which, text);

	cr_assert_eq(len, strlen(text));
	return expected ? strcmp(text, expected) == 0 : len == 0;
}

static void change(const char *sql)
{
	cr_assert_eq(db_execute(store_writer(store), sql), 0);
	changes_publish(store_changes(store));
}

static double metric(const char *name)
{
	char line[128], *at;
	struct buf out;
	double value;

	buf_init(&out, LIMIT_METRICS);
	metrics_render(metrics, &out);
	(void)snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(out.data, line);
	cr_assert_not_null(at, "%s", name);
	value = strtod(at + strlen(line), NULL);
	buf_release(&out);
	return value;
}

Test(access_cache, remembers_what_it_was_told)
{
	struct access kept, access;

	cr_expect_eq(found(TOKEN), ACCESS_MISS);
	kept = keep(TOKEN, BODY);
	cr_assert_eq(look(TOKEN, &access), ACCESS_HIT);
	cr_expect_eq(access.claims.session_id, SESSION);
	cr_expect_eq(access.owner.user_id, USER);
	cr_expect_eq(access.key, kept.key);
	cr_expect(answers(TOKEN, ACCESS_ME, BODY));
	cr_expect(answers(TOKEN, ACCESS_INTROSPECT, NULL));
	access_cache_keep(cache, &access, NOW_S, ACCESS_INTROSPECT, "{}");
	cr_expect(answers(TOKEN, ACCESS_INTROSPECT, "{}"));
	cr_expect(answers(TOKEN, ACCESS_ME, BODY), "the one answer has pushed the other out");
	cr_expect_eq(found(TOKEN "x"), ACCESS_MISS);
	cr_expect_eq(metric("tokenfirst_token_cache_entries"), 1);
	/* the first look and that of keep(), and the last one; the other looks, and three answers */
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"miss\"}"), 3);
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"hit\"}"), 4);
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"stale\"}"), 0);
}

/* Who reads the store all the same had no hit. */
Test(access_cache, claims_alone_are_no_hit)
{
	struct access kept = keep(TOKEN, BODY), access;

	cr_expect_eq(access_cache_find_claims(cache, &moment, "x", &access), ACCESS_MISS);
	cr_assert_eq(access_cache_find_claims(cache, &moment, TOKEN, &access), ACCESS_STALE);
	cr_expect_eq(access.claims.session_id, SESSION);
	cr_expect_eq(access.key, kept.key);
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"miss\"}"), 2, "that of keep(), and that of x");
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"stale\"}"), 1);
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"hit\"}"), 0);
	cr_expect_eq(found(TOKEN), ACCESS_HIT);
}

/* The claims go on being good; whom they stand for has to be read, and the answers are gone. */
Test(access_cache, each_table_makes_it_stale)
{
	static const char *const changes[] = {
		"INSERT INTO users (id, public_id, username, username_key, password, admin, disabled, created_ms, "
		"updated_ms) VALUES (3, 'a', 'a', 'a', '', 0, 0, 0, 0)",
		"INSERT INTO sessions (id, user_id, generation, created_ms, refreshed_ms, expires_ms, revoked_ms, "
		"client, user_agent) VALUES (7, 3, 1, 0, 0, 0, 0, '', '')",
		"INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES (3, x'00', 0, 0)",
		"UPDATE users SET disabled = 1 WHERE id = 3",
		"UPDATE sessions SET revoked_ms = 1 WHERE id = 7",
		"DELETE FROM totp WHERE user_id = 3",
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct access access;

		(void)keep(TOKEN, BODY);
		cr_assert_eq(found(TOKEN), ACCESS_HIT);
		change(changes[i]);
		cr_expect_eq(look(TOKEN, &access), ACCESS_STALE, "%s", changes[i]);
		cr_expect_eq(access.claims.session_id, SESSION);
		cr_expect(answers(TOKEN, ACCESS_ME, NULL), "%s", changes[i]);
	}
	(void)keep(TOKEN, BODY);
	change("UPDATE users SET disabled = 0 WHERE id = 1003");
	cr_expect_eq(found(TOKEN), ACCESS_HIT, "nobody else's row matters");
}

/* A reading that took long must not take the place of one that began after it. */
Test(access_cache, an_older_reading_is_not_kept)
{
	struct access old = keep(TOKEN, BODY);

	change("INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES (3, x'00', 0, 0)");
	(void)keep(TOKEN, "{}");
	access_cache_keep(cache, &old, NOW_S, ACCESS_ME, BODY);
	cr_expect(answers(TOKEN, ACCESS_ME, "{}"));
}

Test(access_cache, every_use_asks_the_clock)
{
	(void)keep(TOKEN, BODY);
	moment.wall_s = NOW_S + TTL_S - 1;
	cr_expect(answers(TOKEN, ACCESS_ME, BODY));
	moment.wall_s++;
	cr_expect_eq(found(TOKEN), ACCESS_MISS, "exp");
	cr_expect(answers(TOKEN, ACCESS_ME, NULL));
	moment.wall_s = NOW_S - LIMIT_TOKEN_SKEW_S - 1;
	cr_expect_eq(found(TOKEN), ACCESS_MISS, "iat, by a clock that was set back");
	moment.wall_s = NOW_S;
	moment.now_ms = INT64_C(1000) * (NOW_S + 10 * TTL_S) - 1;
	cr_expect_eq(found(TOKEN), ACCESS_HIT);
	moment.now_ms++;
	cr_expect_eq(found(TOKEN), ACCESS_STALE, "the session's end");
	cr_expect(answers(TOKEN, ACCESS_ME, NULL));
}

static void rotate(bool leaked)
{
	struct rotation rotation;
	struct db *writer = store_writer(store);

	cr_assert_eq(rotation_init(&rotation, TOKEN_EDDSA, 0, INT64_C(1000) * TTL_S, true, moment.now_ms), 0);
	if (leaked)
		rotation_leaked(&rotation);
	cr_assert_eq(db_begin(writer), 0);
	cr_assert_eq(rotation_write(writer, &rotation), 0);
	cr_assert_eq(db_commit(writer), 0);
	cr_assert_eq(keys_reload(keys, writer, moment.now_ms), 0);
	rotation_release(&rotation);
}

Test(access_cache, a_key_is_good_as_long_as_it_is_published)
{
	(void)keep(TOKEN, BODY);
	rotate(false);
	cr_expect(answers(TOKEN, ACCESS_ME, BODY), "it goes on verifying until its last token has expired");
	rotate(true);
	cr_expect(answers(TOKEN, ACCESS_ME, NULL));
	cr_expect_eq(found(TOKEN), ACCESS_MISS);
}

/* One set: the longest unused goes, and before it whatever has expired. */
Test(access_cache, is_bounded)
{
	char token[16];

	make_cache(LIMIT_ACCESS_WAYS);
	for (int i = 0; i < LIMIT_ACCESS_WAYS; i++) {
		(void)snprintf(token, sizeof(token), "%d", i);
		(void)keep(token, BODY);
	}
	cr_expect_eq(found("0"), ACCESS_HIT);
	(void)keep("new", BODY);
	cr_expect_eq(found("1"), ACCESS_MISS);
	cr_expect_eq(found("0"), ACCESS_HIT);
	cr_expect_eq(found("2"), ACCESS_HIT);
	cr_expect_eq(metric("tokenfirst_token_cache_evictions_total"), 1);
	cr_expect_eq(metric("tokenfirst_token_cache_entries"), LIMIT_ACCESS_WAYS);
	moment.wall_s += TTL_S;
	moment.now_ms += INT64_C(1000) * TTL_S;
	(void)keep("later", BODY);
	cr_expect_eq(found("later"), ACCESS_HIT);
	cr_expect_eq(metric("tokenfirst_token_cache_evictions_total"), 1, "what has expired is no loss");
}

Test(access_cache, many_tokens_share_it_evenly)
{
	enum { ENTRIES = 4096 };
	char token[16];
	int kept = 0;

	make_cache(ENTRIES);
	for (int i = 0; i < ENTRIES; i++) {
		(void)snprintf(token, sizeof(token), "%d", i);
		(void)keep(token, BODY);
	}
	for (int i = 0; i < ENTRIES; i++) {
		(void)snprintf(token, sizeof(token), "%d", i);
		kept += found(token) == ACCESS_HIT;
	}
	/* as many tokens as places, thrown at random on sets of four: four fifths find one */
	cr_expect_geq(kept, ENTRIES * 3 / 4);
	cr_expect_eq(metric("tokenfirst_token_cache_evictions_total"), ENTRIES - kept);
	cr_expect_eq(metric("tokenfirst_token_cache_entries"), kept);
}

/* No more than was said, whatever the number. */
Test(access_cache, numbers_are_rounded_down)
{
	enum { SETS = 5, TOKENS = 1000 };
	char token[16];

	make_cache(SETS * LIMIT_ACCESS_WAYS + LIMIT_ACCESS_WAYS - 1);
	for (int i = 0; i < TOKENS; i++) {
		(void)snprintf(token, sizeof(token), "%d", i);
		(void)keep(token, BODY);
	}
	cr_expect_eq(metric("tokenfirst_token_cache_entries"), SETS * LIMIT_ACCESS_WAYS);
	make_cache(LIMIT_ACCESS_WAYS - 1);
	(void)keep(TOKEN, BODY);
	cr_expect_eq(found(TOKEN), ACCESS_MISS);
}

/* Under one key a token always has the same name; another process gives it another one. */
Test(access_cache, names_are_its_own)
{
	struct access first, again, other;

	(void)look(TOKEN, &first);
	(void)look(TOKEN, &again);
	make_cache(64);
	(void)look(TOKEN, &other);
	cr_expect_eq(memcmp(first.name, again.name, ACCESS_NAME), 0);
	cr_expect_neq(memcmp(first.name, other.name, ACCESS_NAME), 0);
}

Test(access_cache, a_long_answer_is_made_anew_each_time)
{
	char text[LIMIT_ACCESS_ANSWER + 1];

	memset(text, 'x', sizeof(text));
	text[LIMIT_ACCESS_ANSWER] = '\0';
	(void)keep(TOKEN, text);
	cr_expect_eq(found(TOKEN), ACCESS_HIT);
	cr_expect(answers(TOKEN, ACCESS_ME, NULL));
	text[LIMIT_ACCESS_ANSWER - 1] = '\0';
	(void)keep(TOKEN, text);
	cr_expect(answers(TOKEN, ACCESS_ME, text));
}

Test(access_cache, without_entries_it_is_off)
{
	make_cache(0);
	(void)keep(TOKEN, BODY);
	cr_expect_eq(found(TOKEN), ACCESS_MISS);
	cr_expect(answers(TOKEN, ACCESS_ME, NULL));
	cr_expect_eq(metric("tokenfirst_token_cache_total{result=\"miss\"}"), 0);
}
