/*
 * One relaxed addition per observation and bucket, so that the hot path never waits. Buckets are kept apart
 * and added up on reading: a reader sees each bucket at a slightly different moment, but the total is
 * the sum of what it saw, so a scrape is consistent in itself (cumulative counts never fall).
 */
#include "background/telemetry/histogram.h"

#include <assert.h>

/* Denser from 1 to 25 ms, where a login's stages lie (one argon2id hash: about 10 ms). */
const struct histogram_layout histogram_seconds = {
	.unit = 1e-6,
	.count = 20,
	.bounds = {100, 250, 500, 1000, 2500, 5000, 7500, 10000, 15000, 25000, 50000, 100000, 250000, 500000, 1000000,
		2500000, 5000000, 10000000, 30000000, 60000000},
};

const struct histogram_layout histogram_counts = {
	.unit = 1,
	.count = 9,
	.bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256},
};

void histogram_init(struct histogram *h, const struct histogram_layout *layout)
{
	assert(layout->count < HISTOGRAM_BUCKETS_MAX);
	h->layout = layout;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS_MAX; i++)
		atomic_init(&h->buckets[i], 0);
	atomic_init(&h->sum, 0);
}

void histogram_observe(struct histogram *h, int64_t raw)
{
	const struct histogram_layout *layout = h->layout;
	size_t bucket = 0;

	if (raw < 0)
		raw = 0;
	while (bucket < layout->count && raw > layout->bounds[bucket])
		bucket++;
	atomic_fetch_add_explicit(&h->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum, raw, memory_order_relaxed);
}

void histogram_snapshot(const struct histogram *h, struct histogram_snapshot *ret)
{
	uint64_t total = 0;

	for (size_t i = 0; i <= h->layout->count; i++) {
		total += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
		ret->cumulative[i] = total;
	}
	ret->sum = (double)atomic_load_explicit(&h->sum, memory_order_relaxed) * h->layout->unit;
}
