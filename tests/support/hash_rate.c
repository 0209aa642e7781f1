/*
 * hash_rate: how many Argon2id hashes a second stock libsodium reaches here, as the yardstick for
 * login throughput, and what each thing that hash threads do otherwise is worth.
 *
 *   hash_rate --threads N --seconds N --memory-kib N --passes N [--reuse] [--wipe] [--small-pages] [--unlocked]
 *
 *   stock (always)   crypto_pwhash_str on plain threads: libsodium maps and unmaps its memory for every hash
 *   --reuse          an arena for each thread, as the server's hash threads have it: kept, locked, in huge pages
 *   --wipe           the same, overwritten after each hash (password.wipe after_each)
 *   --small-pages    as reuse, in pages of the usual size
 *   --unlocked       as reuse, not locked into RAM
 *
 * All threads change together from one variant to the next, every half second and each round in another order, so that
 * a machine that drifts does so for all of them; --seconds is for each variant. Prints one JSON object: stock's figures,
 * and in "variants" those of the others. `cpu_ms` is the processor time of one hash, the median over turns: where other
 * programs run as well, it is what can be compared.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "server/password/arena.h"
#include "tests/support/harness.h"

enum { THREADS_MAX = 64, TURN_MS = 500, SECONDS_MAX = 600, TURNS_MAX = SECONDS_MAX * 1000 / TURN_MS };
enum variant { STOCK, REUSE, WIPE, SMALL_PAGES, UNLOCKED, VARIANTS };

static const char *const names[VARIANTS] = {"stock", "reuse", "wipe", "small_pages", "unlocked"};

/* What one thread has done in one variant. */
struct tally {
	int64_t hashes;
	int64_t wall_us; /* in whole hashes, so that the last one does not flatter */
	double cpu_ms[TURNS_MAX];
	size_t turns;
};

struct run {
	int64_t threads, rounds;
	unsigned long long passes;
	size_t memory;
	enum variant order[VARIANTS];
	size_t variants;
	pthread_barrier_t turn;
};

struct hasher {
	pthread_t thread;
	struct run *run;
	struct arena *arenas[VARIANTS];
	struct tally tallies[VARIANTS];
};

static double processor_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
		harness_quit("no clock of the thread");
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* An arena gives its memory to whoever maps as libsodium does; so what it has set can be taken back here. */
static struct arena *arena_for(enum variant variant, size_t size)
{
	struct arena *arena = NULL;
	void *base;

	if (variant == STOCK)
		return NULL;
	if (arena_new(size, &arena))
		harness_quit("no memory for an arena");
	if (variant != UNLOCKED && arena_lock(arena))
		fprintf(stderr, "%s: not locked, since ulimit -l does not allow it\n", names[variant]);
	arena_activate(arena);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED || arena_uses(arena) == 0)
		harness_quit("this build has no arenas");
	if (variant == SMALL_PAGES && madvise(base, size, MADV_NOHUGEPAGE))
		harness_quit("this kernel has no huge pages");
	munmap(base, size);
	arena_activate(NULL);
	return arena;
}

static void take_turn(struct hasher *h, enum variant variant, bool counts)
{
	static const char password[] = "correct horse battery staple";
	struct tally *tally = &h->tallies[variant];
	char hash[crypto_pwhash_STRBYTES];
	double start_ms = processor_ms();
	int64_t start_us = harness_mono_us(), hashes = 0;

	arena_activate(h->arenas[variant]); /* NULL: this is what makes it stock */
	while (harness_mono_us() - start_us < TURN_MS * 1000) {
		if (crypto_pwhash_str(hash, password, strlen(password), h->run->passes, h->run->memory) != 0)
			harness_quit("crypto_pwhash_str: out of memory or parameters out of range");
		if (variant == WIPE)
			arena_wipe(h->arenas[variant]);
		hashes++;
	}
	arena_activate(NULL);
	if (!counts)
		return;
	tally->cpu_ms[tally->turns++] = (processor_ms() - start_ms) / (double)hashes;
	tally->hashes += hashes;
	tally->wall_us += harness_mono_us() - start_us;
}

static void *hash_thread(void *arg)
{
	struct hasher *h = arg;
	struct run *run = h->run;

	for (size_t i = 0; i < run->variants; i++)
		h->arenas[run->order[i]] = arena_for(run->order[i], run->memory);
	/* the first round is for the pages to be there */
	for (int64_t round = 0; round <= run->rounds; round++) {
		for (size_t i = 0; i < run->variants; i++) {
			pthread_barrier_wait(&run->turn);
			take_turn(h, run->order[(i + (size_t)round) % run->variants], round > 0);
		}
	}
	for (size_t i = 0; i < run->variants; i++)
		arena_free(h->arenas[run->order[i]]);
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(const struct hasher *hashers, const struct run *run, enum variant variant)
{
	static double cpu_ms[THREADS_MAX * TURNS_MAX];
	size_t turns = 0;
	int64_t hashes = 0;
	double rate = 0;

	for (int64_t i = 0; i < run->threads; i++) {
		const struct tally *tally = &hashers[i].tallies[variant];

		hashes += tally->hashes;
		rate += (double)tally->hashes * 1e6 / (double)tally->wall_us;
		for (size_t k = 0; k < tally->turns; k++)
			cpu_ms[turns++] = tally->cpu_ms[k];
	}
	qsort(cpu_ms, turns, sizeof(*cpu_ms), by_size);
	printf("\"hashes\":%" PRId64 ",\"per_second\":%.2f,\"ms_per_hash\":%.3f,\"cpu_ms\":%.3f", hashes, rate,
		(double)run->threads * 1000 / rate, cpu_ms[turns / 2]);
}

static void arguments_read(int argc, char **argv, struct run *run)
{
	static const struct option options[] = {
		{"threads", required_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 's'},
		{"memory-kib", required_argument, NULL, 'm'},
		{"passes", required_argument, NULL, 'p'},
		{"reuse", no_argument, NULL, REUSE},
		{"wipe", no_argument, NULL, WIPE},
		{"small-pages", no_argument, NULL, SMALL_PAGES},
		{"unlocked", no_argument, NULL, UNLOCKED},
		{0},
	};
	bool wanted[VARIANTS] = {[STOCK] = true};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			run->threads = harness_number("threads", optarg, 1, THREADS_MAX);
		else if (c == 's')
			run->rounds = harness_number("seconds", optarg, 1, SECONDS_MAX) * 1000 / TURN_MS;
		else if (c == 'm')
			run->memory = (size_t)harness_number("memory-kib", optarg, 8, 4 << 20) << 10;
		else if (c == 'p')
			run->passes = (unsigned long long)harness_number("passes", optarg, 1, 1000);
		else if (c > STOCK && c < VARIANTS)
			wanted[c] = true;
		else
			exit(2);
	}
	for (enum variant v = STOCK; v < VARIANTS; v++) {
		if (wanted[v])
			run->order[run->variants++] = v;
	}
}

int main(int argc, char **argv)
{
	static struct run run = {.threads = 2, .rounds = 5000 / TURN_MS, .passes = 2, .memory = 19456 << 10};
	struct hasher *hashers;

	arguments_read(argc, argv, &run);
	hashers = calloc((size_t)run.threads, sizeof(*hashers));
	if (sodium_init() < 0 || !hashers || pthread_barrier_init(&run.turn, NULL, (unsigned int)run.threads) != 0)
		harness_quit("no memory, or no libsodium");
	for (int64_t i = 0; i < run.threads; i++) {
		hashers[i].run = &run;
		if (pthread_create(&hashers[i].thread, NULL, hash_thread, &hashers[i]) != 0)
			harness_quit("pthread_create");
	}
	for (int64_t i = 0; i < run.threads; i++)
		pthread_join(hashers[i].thread, NULL);
	printf("{");
	report(hashers, &run, STOCK);
	printf(",\"variants\":{");
	for (size_t i = 1; i < run.variants; i++) {
		printf("%s\"%s\":{", i > 1 ? "," : "", names[run.order[i]]);
		report(hashers, &run, run.order[i]);
		printf("}");
	}
	printf("}}\n");
	free(hashers);
	return 0;
}
