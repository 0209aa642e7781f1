/*
 * hash_rate: how many Argon2id hashes a second stock libsodium reaches here, as the yardstick for
 * login throughput.
 *
 *   hash_rate --threads N --seconds N --memory-kib N --passes N
 *
 * Plain crypto_pwhash_str on plain threads: libsodium maps and unmaps its memory for every hash. The wrapper that
 * gives hash threads an arena is linked in, and does nothing without one.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server/password/arena.h"
#include "tests/support/harness.h"

enum { THREADS_MAX = 64 };

struct hasher {
	pthread_t thread;
	int64_t until_us;
	unsigned long long passes;
	size_t memory;
	int64_t hashes;
	int64_t total_us; /* in whole hashes, so that the last one does not flatter */
};

static void *hash_thread(void *arg)
{
	static const char password[] = "correct horse battery staple";
	struct hasher *h = arg;
	char hash[crypto_pwhash_STRBYTES];
	int64_t start_us = harness_mono_us();
	int64_t now_us = start_us;

	arena_activate(NULL); /* none: this is what makes it stock */
	while (now_us < h->until_us) {
		if (crypto_pwhash_str(hash, password, strlen(password), h->passes, h->memory) != 0)
			harness_quit("crypto_pwhash_str: out of memory or parameters out of range");
		h->hashes++;
		now_us = harness_mono_us();
	}
	h->total_us = now_us - start_us;
	return NULL;
}

static void report(const struct hasher *hashers, int64_t threads)
{
	struct rusage usage;
	int64_t hashes = 0;
	double rate = 0;
	double cpu;

	for (int64_t i = 0; i < threads; i++) {
		hashes += hashers[i].hashes;
		rate += (double)hashers[i].hashes * 1e6 / (double)hashers[i].total_us;
	}
	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"hashes\":%" PRId64 ",\"per_second\":%.2f,\"ms_per_hash\":%.3f,\"cpu_seconds\":%.3f}\n", hashes, rate,
		(double)threads * 1000 / rate, cpu);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"threads", required_argument, NULL, 't'},
		{"seconds", required_argument, NULL, 's'},
		{"memory-kib", required_argument, NULL, 'm'},
		{"passes", required_argument, NULL, 'p'},
		{0},
	};
	static struct hasher hashers[THREADS_MAX];
	int64_t threads = 2;
	int64_t seconds = 5;
	int64_t memory_kib = 19456;
	int64_t passes = 2;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			threads = harness_number("threads", optarg, 1, THREADS_MAX);
		else if (c == 's')
			seconds = harness_number("seconds", optarg, 1, 600);
		else if (c == 'm')
			memory_kib = harness_number("memory-kib", optarg, 8, 4 << 20);
		else if (c == 'p')
			passes = harness_number("passes", optarg, 1, 1000);
		else
			return 2;
	}
	if (sodium_init() < 0)
		harness_quit("sodium_init");
	for (int64_t i = 0; i < threads; i++) {
		hashers[i].until_us = harness_mono_us() + seconds * 1000000;
		hashers[i].passes = (unsigned long long)passes;
		hashers[i].memory = (size_t)memory_kib << 10;
		if (pthread_create(&hashers[i].thread, NULL, hash_thread, &hashers[i]) != 0)
			harness_quit("pthread_create");
	}
	for (int64_t i = 0; i < threads; i++)
		pthread_join(hashers[i].thread, NULL);
	report(hashers, threads);
	return 0;
}
