/* Hash threads: results, bounds, time-outs, and that reused memory changes no hash. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "config/clock.h"
#include "server/password/arena.h"
#include "server/password/argon.h"
#include "server/password/password.h"

static struct config config;
static struct metrics *metrics;
static struct passwords *passwords;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	config.password.memory_kib = 64;
	config.password.passes = 1;
	config.password.slots = 1;
	config.password.queue = 2;
	config.password.queue_timeout_ms = 5000;
}

static void teardown(void)
{
	passwords_stop(passwords);
	metrics_free(metrics);
}

static void start(void)
{
	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
}

static uint64_t shed(const char *labels)
{
	struct counter *counter = metrics_counter(
		metrics, "tokenfirst_shed_total", "Requests refused or abandoned because a limit was reached.", labels);

	return atomic_load(&counter->value);
}

static int64_t depth(void)
{
	return gauge_get(metrics_gauge(
		metrics, "tokenfirst_password_queue_depth", "Password checks that wait for a hash thread.", 1, NULL));
}

TestSuite(password, .init = setup, .fini = teardown, .timeout = 20);

Test(password, its_own_hash_matches_and_another_password_does_not)
{
	char hash[PASSWORD_HASH_SIZE];
	struct password_check check;

	start();
	cr_assert_eq(password_hash(passwords, "correct horse", hash), 0);
	cr_assert_eq(strncmp(hash, "$argon2id$v=19$m=64,t=1,p=1$", 28), 0);
	cr_assert_eq(password_verify(passwords, hash, "correct horse", NULL, NULL, &check), 0);
	cr_assert(check.matches);
	cr_assert_not(check.needs_rehash);
	cr_assert_geq(check.wait_us, 0);
	cr_assert_gt(check.hash_us, 0);
	cr_assert_eq(password_verify(passwords, hash, "correct horsf", NULL, NULL, &check), 0);
	cr_assert_not(check.matches);
	cr_assert_not(check.needs_rehash);
}

Test(password, what_stands_for_nobody_is_a_hash_like_all_others)
{
	static const unsigned char key[32] = "no secret";
	const struct argon_cost cost = argon_cost_of(&config);
	char one[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];
	bool matches = true;

	start();
	password_stand_in(passwords, key, "alice", one);
	password_stand_in(passwords, key, "bob", other);
	cr_assert_str_neq(one, other, "each name has a salt of its own");
	password_stand_in(passwords, key, "alice", other);
	cr_assert_str_eq(one, other, "and always the same");
	cr_assert_not(argon_needs_rehash(&cost, one), "its parameters are today's");
	cr_assert_eq(argon_verify(&cost, one, "any", &matches), 0, "%s is checked in full", one);
	cr_assert_not(matches);
}

Test(password, unknown_user_never_matches)
{
	struct password_check check = {.matches = true};

	start();
	cr_assert_eq(password_verify(passwords, NULL, "correct horse", NULL, NULL, &check), 0);
	cr_assert_not(check.matches);
	cr_assert_gt(check.hash_us, 0);
}

Test(password, other_parameters_match_and_are_rehashed)
{
	struct password_check check;
	char hash[crypto_pwhash_STRBYTES];

	start();
	cr_assert_eq(crypto_pwhash_str(hash, "secret", 6, 2, 128 * 1024), 0);
	cr_assert_eq(password_verify(passwords, hash, "secret", NULL, NULL, &check), 0);
	cr_assert(check.matches);
	cr_assert(check.needs_rehash);
	cr_assert_eq(crypto_pwhash_str_alg(hash, "secret", 6, 3, 64 * 1024, crypto_pwhash_ALG_ARGON2I13), 0);
	cr_assert_eq(password_verify(passwords, hash, "secret", NULL, NULL, &check), 0);
	cr_assert(check.matches, "libsodium's argon2i is taken");
	cr_assert(check.needs_rehash);
}

/* Made by another implementation, the reference's command: echo -n password | argon2 somesaltsomesalt -id … -e */
Test(password, hashes_of_the_reference_implementation_match)
{
	static const char *const hashes[] = {
		"$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E",
		"$argon2id$v=19$m=256,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$OudWdfwYdYZlJsj5MMtA1v51HsC+pa0wUrr8pTaTc7M",
	};
	struct password_check check;

	start();
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		cr_assert_eq(password_verify(passwords, hashes[i], "password", NULL, NULL, &check), 0);
		cr_expect(check.matches, "%s", hashes[i]);
		cr_assert_eq(password_verify(passwords, hashes[i], "passwort", NULL, NULL, &check), 0);
		cr_expect_not(check.matches, "%s", hashes[i]);
	}
}

Test(password, hashes_that_cost_too_much_or_are_none_never_match)
{
	static const char *const refused[] = {
		"",
		"x",
		"$2b$12$EXRkfkdmXn2gzds2SSitu.MW9.gAVqa9eLS1//RYtYCmB1eLHg.9q",
		"$argon2id$v=19$m=1048577,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
		"$argon2id$v=19$m=64,t=21,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
		"$argon2id$v=19$m=99999999999999999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFB",
		"$argon2id$v=19$m=64,t=1,p=1$not base64$",
		"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFB",
		"$argon2id$v=19$m=-1,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
	};
	struct argon_cost cost = {.memory_bytes = 64 * 1024, .passes = 1};
	struct password_check check;
	bool matches;

	start();
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		check.matches = true;
		cr_expect_eq(argon_verify(&cost, refused[i], "secret", &matches), ERR_INVALID, "%s", refused[i]);
		cr_expect_eq(password_verify(passwords, refused[i], "secret", NULL, NULL, &check), 0);
		cr_expect_not(check.matches, "%s", refused[i]);
		cr_expect_gt(check.hash_us, 0, "it costs what every check costs");
	}
}

Test(password, what_is_configured_is_never_too_costly)
{
	struct argon_cost cost = {.memory_bytes = 8 * 1024, .passes = 30};
	char hash[PASSWORD_HASH_SIZE];
	bool matches = false;

	cr_assert_eq(argon_hash(&cost, "secret", hash), 0);
	cr_assert_eq(argon_verify(&cost, hash, "secret", &matches), 0);
	cr_assert(matches);
	cost.passes = 1;
	cr_assert_eq(argon_verify(&cost, hash, "secret", &matches), ERR_INVALID);
}

Test(password, reused_memory_changes_no_hash)
{
	static const unsigned char salt[crypto_pwhash_SALTBYTES + 1] = "somesaltsomesalt";
	unsigned char stock[32], used[32];
	struct arena *arena = NULL;
	char text[32];

	cr_assert_eq(arena_new(256 * 1024, &arena), 0);
	for (size_t kib = 8; kib <= 512; kib *= 2) {
		for (unsigned long long passes = 1; passes <= 3; passes++) {
			(void)snprintf(text, sizeof(text), "password %zu %llu", kib, passes);
			cr_assert_eq(crypto_pwhash(stock, sizeof(stock), text, strlen(text), salt, passes, kib * 1024,
					     crypto_pwhash_ALG_ARGON2ID13),
				0);
			arena_activate(arena);
			cr_assert_eq(crypto_pwhash(used, sizeof(used), text, strlen(text), salt, passes, kib * 1024,
					     crypto_pwhash_ALG_ARGON2ID13),
				0);
			arena_activate(NULL);
			cr_expect_arr_eq(stock, used, sizeof(stock), "%s", text);
			if (kib == 64)
				arena_wipe(arena);
		}
	}
	/* 8 to 256 KiB fit it, 512 does not; arena_plain.c never counts */
	cr_assert(arena_uses(arena) == 6 * 3 || arena_uses(arena) == 0, "%zu", arena_uses(arena));
	arena_free(arena);
}

static bool gone(const void *arg)
{
	return *(const bool *)arg;
}

Test(password, no_hash_for_a_client_that_left)
{
	struct password_check check;
	bool left = true;

	start();
	cr_assert_eq(password_verify(passwords, NULL, "x", gone, &left, &check), ERR_CLOSED);
	cr_assert_eq(shed("reason=\"client_gone\""), 1);
	left = false;
	cr_assert_eq(password_verify(passwords, NULL, "x", gone, &left, &check), 0);
	cr_assert_eq(shed("reason=\"client_gone\""), 1);
}

/* The one hash thread is held within `gone`, where tests can hold it. */
struct gate {
	sem_t entered, open;
};

static bool hold(const void *arg)
{
	struct gate *gate = (struct gate *)(uintptr_t)arg;

	sem_post(&gate->entered);
	sem_wait(&gate->open);
	return false;
}

struct caller {
	pthread_t thread;
	struct gate *gate; /* NULL: none */
	int err;
};

static void *call(void *arg)
{
	struct caller *caller = arg;
	struct password_check check;

	caller->err = password_verify(passwords, NULL, "x", caller->gate ? hold : NULL, caller->gate, &check);
	return NULL;
}

static void launch(struct caller *caller)
{
	cr_assert_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void await_depth(int64_t wanted)
{
	struct timespec pause = {.tv_nsec = 1000000};

	while (depth() != wanted)
		nanosleep(&pause, NULL);
}

static void gate_init(struct gate *gate)
{
	cr_assert_eq(sem_init(&gate->entered, 0, 0), 0);
	cr_assert_eq(sem_init(&gate->open, 0, 0), 0);
}

Test(password, a_full_queue_sheds_at_once)
{
	struct gate gate;
	struct caller held = {.gate = &gate}, waiting[2] = {{.gate = NULL}};
	struct password_check check;

	gate_init(&gate);
	start();
	launch(&held);
	sem_wait(&gate.entered);
	cr_assert_eq(depth(), 0, "one that has begun does not wait");
	launch(&waiting[0]);
	launch(&waiting[1]);
	await_depth(2);
	cr_assert_eq(password_verify(passwords, NULL, "x", NULL, NULL, &check), ERR_LIMIT);
	cr_assert_eq(shed("reason=\"password_queue\""), 1);
	sem_post(&gate.open);
	pthread_join(held.thread, NULL);
	pthread_join(waiting[0].thread, NULL);
	pthread_join(waiting[1].thread, NULL);
	cr_assert(held.err == 0 && waiting[0].err == 0 && waiting[1].err == 0);
	cr_assert_eq(depth(), 0);
}

Test(password, one_that_was_not_begun_in_time_is_never_hashed)
{
	struct gate gate, never;
	struct caller held = {.gate = &gate}, late = {.gate = &never};
	int asked = 0;

	gate_init(&gate);
	gate_init(&never);
	config.password.queue_timeout_ms = 30;
	start();
	launch(&held);
	sem_wait(&gate.entered);
	launch(&late);
	pthread_join(late.thread, NULL);
	cr_assert_eq(late.err, ERR_TIMEOUT);
	cr_assert_eq(depth(), 0);
	cr_assert_eq(shed("reason=\"password_timeout\""), 1);
	sem_post(&gate.open);
	pthread_join(held.thread, NULL);
	cr_assert_eq(held.err, 0, "one that has begun is waited for");
	sem_getvalue(&never.entered, &asked);
	cr_assert_eq(asked, 0);
}

static void *stop(void *arg)
{
	passwords_stop(arg);
	return NULL;
}

Test(password, stop_turns_waiting_callers_away_and_finishes_what_has_begun)
{
	struct gate gate;
	struct caller held = {.gate = &gate}, waiting = {.gate = NULL};
	pthread_t stopper;

	gate_init(&gate);
	start();
	launch(&held);
	sem_wait(&gate.entered);
	launch(&waiting);
	await_depth(1);
	cr_assert_eq(pthread_create(&stopper, NULL, stop, passwords), 0);
	pthread_join(waiting.thread, NULL);
	cr_assert_eq(waiting.err, ERR_CLOSED);
	sem_post(&gate.open);
	pthread_join(stopper, NULL);
	pthread_join(held.thread, NULL);
	cr_assert_eq(held.err, 0);
	passwords = NULL;
}

Test(password, commands_hash_on_their_own_thread)
{
	char hash[PASSWORD_HASH_SIZE];

	cr_assert_eq(password_hash_here(&config, "secret", hash), 0);
	cr_assert_eq(crypto_pwhash_str_verify(hash, "secret", 6), 0);
}

Test(password, rules)
{
	static const char *const bad[] = {"", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80", "abc\xe2\x82", "\xc3(", "\xf0\x8f\xbf\xbf"};
	static const char *const good[] = {"x", "correct horse", "p\xc3\xa4sswort", "\xe2\x82\xac", "\xf0\x9f\x94\x91",
		"\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "tab\tis fine"};
	char text[LIMIT_PASSWORD_CHARACTERS + 2];
	const char *why = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(password_acceptable(bad[i], &why), ERR_INVALID, "%zu", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(password_acceptable(good[i], &why), 0, "%s", good[i]);
	memset(text, 'x', sizeof(text));
	text[LIMIT_PASSWORD_CHARACTERS] = '\0';
	cr_expect_eq(password_acceptable(text, &why), 0);
	text[LIMIT_PASSWORD_CHARACTERS] = 'x';
	text[LIMIT_PASSWORD_CHARACTERS + 1] = '\0';
	cr_expect_eq(password_acceptable(text, &why), ERR_INVALID);
}

Test(password, a_cheaper_stored_hash_is_made_up_for)
{
	const struct argon_cost today = {.memory_bytes = 64 * 1024, .passes = 2};
	struct argon_cost owed;

	cr_assert(argon_owed(&today, "$argon2id$v=19$m=32,t=1,p=1$c2FsdA$aGFzaA", &owed));
	cr_expect_eq(owed.memory_bytes, 48 * 1024);
	cr_expect_eq(owed.passes, 2);
	cr_expect(!argon_owed(&today, "$argon2id$v=19$m=64,t=2,p=1$c2FsdA$aGFzaA", &owed));
	cr_expect(!argon_owed(&today, "$argon2id$v=19$m=128,t=2,p=1$c2FsdA$aGFzaA", &owed));
	cr_expect(!argon_owed(&today, "$argon2id$v=19$m=64", &owed));
	cr_expect_eq(argon_spend(&today, "password"), 0);
}

Test(password, one_password_in_two_writings)
{
	/* an accent of its own, and a ligature; composed, and two letters */
	static const char typed[] = "p\x61\xcc\x88ssword \xef\xac\x81n", other[] = "p\xc3\xa4ssword fin";
	char hash[PASSWORD_HASH_SIZE];
	struct password_check check;

	start();
	cr_assert_eq(password_hash(passwords, typed, hash), 0);
	cr_assert_eq(password_verify(passwords, hash, other, NULL, NULL, &check), 0);
	cr_expect(check.matches);
	cr_expect_not(check.needs_rehash);
	cr_assert_eq(password_hash_here(&config, other, hash), 0);
	cr_assert_eq(password_verify(passwords, hash, typed, NULL, NULL, &check), 0);
	cr_expect(check.matches);
	cr_assert_eq(password_verify(passwords, hash, "passwoerd fin", NULL, NULL, &check), 0);
	cr_expect_not(check.matches);
}

Test(password, a_hash_of_a_text_that_was_not_normal_matches_and_is_made_anew)
{
	static const char typed[] = "p\x61\xcc\x88ssword";
	const struct argon_cost cost = argon_cost_of(&config);
	char hash[PASSWORD_HASH_SIZE];
	struct password_check check;

	start();
	cr_assert_eq(argon_hash(&cost, typed, hash), 0);
	cr_assert_eq(password_verify(passwords, hash, typed, NULL, NULL, &check), 0);
	cr_expect(check.matches);
	cr_expect(check.needs_rehash);
}

Test(password, what_is_no_text_is_refused)
{
	char longer[LIMIT_PASSWORD + 2], hash[PASSWORD_HASH_SIZE];
	struct password_check check;

	start();
	memset(longer, 'x', sizeof(longer));
	longer[LIMIT_PASSWORD + 1] = '\0';
	cr_expect_eq(password_hash(passwords, "\xff", hash), ERR_INVALID);
	cr_expect_eq(password_hash_here(&config, "\xff", hash), ERR_INVALID);
	cr_expect_eq(password_verify(passwords, NULL, "a\xc3", NULL, NULL, &check), ERR_INVALID);
	cr_expect_eq(password_hash(passwords, longer, hash), ERR_INVALID);
}

/* The character that NFKC makes most of: 18 of one. */
Test(password, the_longest_text_is_hashed)
{
	char text[LIMIT_PASSWORD + 1], hash[PASSWORD_HASH_SIZE];
	struct password_check check;

	start();
	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "\xef\xb7\xba", 4);
	cr_assert_eq(password_hash(passwords, text, hash), 0);
	cr_assert_eq(password_verify(passwords, hash, text, NULL, NULL, &check), 0);
	cr_expect(check.matches);
}

static char first[] = "the first pepper of all", second[] = "the second pepper of all";

static void restart_with(char **peppers, size_t count)
{
	passwords_stop(passwords);
	passwords = NULL;
	config.password.peppers = peppers;
	config.password.pepper_count = count;
	start();
}

static struct password_check verified(const char *hash, const char *password)
{
	struct password_check check = {.matches = false};

	cr_assert_eq(password_verify(passwords, hash, password, NULL, NULL, &check), 0);
	return check;
}

Test(password, a_pepper_is_added_rotated_and_lost)
{
	char *one[] = {first}, *both[] = {second, first}, *other[] = {second};
	char plain[PASSWORD_HASH_SIZE], peppered[PASSWORD_HASH_SIZE], rotated[PASSWORD_HASH_SIZE];
	struct counter *missing;
	struct password_check check;

	restart_with(NULL, 0);
	cr_assert_eq(password_hash(passwords, "secret", plain), 0);

	restart_with(one, 1);
	cr_assert_eq(password_hash(passwords, "secret", peppered), 0);
	cr_expect_eq(strncmp(peppered, "$pepper$", 8), 0, "%s", peppered);
	cr_expect_null(strstr(peppered, first));
	check = verified(plain, "secret");
	cr_expect(check.matches && check.needs_rehash, "one without a pepper is made anew");
	check = verified(peppered, "secret");
	cr_expect(check.matches && !check.needs_rehash);
	cr_expect_not(verified(peppered, "secreT").matches);
	cr_assert_eq(password_hash_here(&config, "secret", rotated), 0);
	cr_expect(verified(rotated, "secret").matches);

	restart_with(both, 2);
	cr_assert_eq(password_hash(passwords, "secret", rotated), 0);
	cr_expect_neq(strncmp(rotated, peppered, 16), 0, "another id");
	check = verified(peppered, "secret");
	cr_expect(check.matches && check.needs_rehash);
	check = verified(rotated, "secret");
	cr_expect(check.matches && !check.needs_rehash);

	restart_with(other, 1);
	missing = metrics_counter(metrics, "tokenfirst_password_pepper_missing_total",
		"Checks of hashes whose pepper is not configured: they match nothing.", NULL);
	cr_expect_eq(atomic_load(&missing->value), 0);
	check = verified(peppered, "secret");
	cr_expect(!check.matches && !check.needs_rehash);
	cr_expect_gt(check.hash_us, 0);
	cr_expect_eq(atomic_load(&missing->value), 1);

	restart_with(NULL, 0);
	cr_expect_not(verified(rotated, "secret").matches);
	cr_expect(verified(plain, "secret").matches);
}
