/*
 * The memory of hash threads, seen as the kernel shows it (/proc/self/smaps) and as anybody would who reads the
 * process' memory: kept out of core dumps and of swap, and empty when it should be.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/password/arena.h"
#include "server/password/password.h"
#include "tests/support/harness.h"

/* A size that no other mapping has. */
enum { KIB = 5 * 1024 + 12, BYTES = KIB * 1024, HUGE_PAGE = 2 << 20, PATIENCE_US = 10000000 };

struct mapping {
	const unsigned char *base; /* NULL: there is none */
	char flags[256];
};

/* That of BYTES which core dumps leave out. */
static struct mapping find(void)
{
	struct mapping found = {.base = NULL};
	FILE *maps = fopen("/proc/self/smaps", "re");
	char line[512];

	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long begin, end;

		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			found.base = end - begin == BYTES ? (const unsigned char *)begin : NULL;
		if (found.base && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd")) {
			memcpy(found.flags, line, strnlen(line, sizeof(found.flags) - 1));
			break;
		}
		if (strncmp(line, "VmFlags:", 8) == 0)
			found.base = NULL;
	}
	fclose(maps);
	return found;
}

static bool arenas_work(void)
{
	struct arena *arena = NULL;
	unsigned char key[32];
	static const unsigned char salt[crypto_pwhash_SALTBYTES] = {0};
	bool works;

	cr_assert_eq(arena_new(BYTES, &arena), 0);
	arena_activate(arena);
	cr_assert_eq(crypto_pwhash(key, sizeof(key), "x", 1, salt, 1, BYTES, crypto_pwhash_ALG_ARGON2ID13), 0);
	arena_activate(NULL);
	works = arena_uses(arena) > 0;
	arena_free(arena);
	return works;
}

static struct config config;
static struct metrics *metrics;
static struct passwords *passwords;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	if (!arenas_work())
		cr_skip_test("this build has no arenas");
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	config.password.memory_kib = KIB;
	config.password.passes = 1;
	config.password.slots = 1;
	config.password.queue = 8;
	config.password.queue_timeout_ms = 60000;
}

static void teardown(void)
{
	passwords_stop(passwords);
	metrics_free(metrics);
}

TestSuite(arena, .init = setup, .fini = teardown, .timeout = 60);

Test(arena, out_of_core_dumps_and_in_huge_pages)
{
	struct arena *arena = NULL;
	struct mapping mapping;

	cr_assert_eq(arena_new(BYTES, &arena), 0);
	mapping = find();
	cr_assert_not_null(mapping.base);
	cr_expect_eq((uintptr_t)mapping.base % HUGE_PAGE, 0, "only whole ones can be huge");
	if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) == 0)
		cr_expect_not_null(strstr(mapping.flags, " hg"), "%s", mapping.flags);
	cr_expect_null(strstr(mapping.flags, " lo"), "%s", mapping.flags);
	arena_free(arena);
	cr_expect_null(find().base, "nothing of it stays");
}

Test(arena, locked_where_that_is_allowed)
{
	struct arena *arena = NULL;

	cr_assert_eq(arena_new(BYTES, &arena), 0);
	if (arena_lock(arena) == 0)
		cr_expect_not_null(strstr(find().flags, " lo"), "%s", find().flags);
	else
		cr_expect(errno == ENOMEM || errno == EPERM, "%d", errno);
	arena_free(arena);
}

/* The one hash thread is held within `gone`, before its hash begins. */
struct gate {
	sem_t entered, open;
};

struct caller {
	pthread_t thread;
	struct gate *gate; /* NULL: none */
	int err;
};

static bool hold(const void *arg)
{
	struct gate *gate = (struct gate *)(uintptr_t)arg;

	sem_post(&gate->entered);
	sem_wait(&gate->open);
	return false;
}

static void *call(void *arg)
{
	struct caller *caller = arg;
	struct password_check check;

	caller->err =
		password_verify(passwords, NULL, "correct horse", caller->gate ? hold : NULL, caller->gate, &check);
	return NULL;
}

static void launch(struct caller *caller)
{
	if (caller->gate) {
		cr_assert_eq(sem_init(&caller->gate->entered, 0, 0), 0);
		cr_assert_eq(sem_init(&caller->gate->open, 0, 0), 0);
	}
	cr_assert_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void await_depth(int64_t wanted)
{
	const struct gauge *depth = metrics_gauge(
		metrics, "tokenfirst_password_queue_depth", "Password checks that wait for a hash thread.", 1, NULL);

	while (gauge_get(depth) != wanted)
		harness_sleep_ms(1);
}

static void join(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	cr_assert_eq(caller->err, 0);
}

static bool empty_soon(const struct mapping *mapping)
{
	int64_t until_us = harness_mono_us() + PATIENCE_US;

	while (!sodium_is_zero(mapping->base, BYTES)) {
		if (harness_mono_us() > until_us)
			return false;
		harness_sleep_ms(10);
	}
	return true;
}

/* Whether a hash's memory is empty while others wait, with nothing but their waiting after it. */
static bool empty_between_hashes(void)
{
	struct gate one, other;
	struct caller first = {.gate = &one}, second = {.gate = NULL}, third = {.gate = &other};
	struct mapping mapping;
	bool empty;

	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
	mapping = find();
	cr_assert_not_null(mapping.base);
	launch(&first);
	sem_wait(&one.entered);
	launch(&second);
	await_depth(1);
	launch(&third);
	await_depth(2);
	sem_post(&one.open);
	sem_wait(&other.entered); /* two hashes were made, and the thread was never without work */
	empty = sodium_is_zero(mapping.base, BYTES);
	sem_post(&other.open);
	join(&first);
	join(&second);
	join(&third);
	cr_expect(empty_soon(&mapping), "with nothing to do it is overwritten");
	return empty;
}

Test(arena, wiped_when_its_thread_has_nothing_to_do)
{
	config.password.wipe = WIPE_IDLE;
	cr_expect_not(empty_between_hashes(), "else the test could not see what hashes leave");
}

Test(arena, wiped_after_each_hash)
{
	config.password.wipe = WIPE_AFTER_EACH;
	cr_expect(empty_between_hashes());
}

/* stderr goes into a file from here on. */
static int capture(void)
{
	int file = memfd_create("log", MFD_CLOEXEC);

	cr_assert_geq(file, 0);
	cr_assert_geq(dup2(file, STDERR_FILENO), 0);
	return file;
}

Test(arena, that_it_may_not_be_locked_is_told_once_and_hinders_nothing)
{
	static const struct rlimit none = {0, 0};
	struct password_check check;
	char text[4096] = "";
	const char *told;
	int saved = dup(STDERR_FILENO), file;

	cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
	if (geteuid() == 0)
		cr_assert_eq(setresuid(65534, 65534, 65534), 0); /* root may lock whatever the limit */
	config.password.slots = 3;
	file = capture();
	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
	cr_assert_eq(password_verify(passwords, NULL, "correct horse", NULL, NULL, &check), 0);
	cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
	cr_assert_gt(pread(file, text, sizeof(text) - 1, 0), 0);
	told = strstr(text, "RLIMIT_MEMLOCK");
	cr_assert_not_null(told, "%s", text);
	cr_expect_null(strstr(told + 1, "RLIMIT_MEMLOCK"), "%s", text);
}
