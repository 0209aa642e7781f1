/*
 * A histogram of durations or counts with fixed bucket bounds, written by any thread
 * with relaxed atomics and read while it is written: a scrape may see an observation
 * in its bucket a moment before it sees it in the sum; the count is the buckets' own sum.
 */
#ifndef TOKENFIRST_BACKGROUND_TELEMETRY_HISTOGRAM_H
#define TOKENFIRST_BACKGROUND_TELEMETRY_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BUCKETS_MAX = 32 };

struct histogram_layout {
	double unit;  /* what one raw step is in the exported unit: 1e-6 for microseconds shown in seconds */
	size_t count; /* bounds, ascending; the bucket of +Inf comes on top */
	int64_t bounds[HISTOGRAM_BUCKETS_MAX - 1];
};

/* 100 µs to 60 s, raw values in microseconds, exported in seconds. */
extern const struct histogram_layout histogram_seconds;
/* 1 to 256, raw values are counts (rows a commit). */
extern const struct histogram_layout histogram_counts;

struct histogram {
	const struct histogram_layout *layout;
	atomic_uint_fast64_t buckets[HISTOGRAM_BUCKETS_MAX]; /* not cumulative */
	atomic_int_fast64_t sum;			     /* raw */
};

void histogram_init(struct histogram *h, const struct histogram_layout *layout);
/* A value equal to a bound belongs to that bound's bucket (`le`). Negative values count as 0. */
void histogram_observe(struct histogram *h, int64_t raw);

struct histogram_snapshot {
	uint64_t cumulative[HISTOGRAM_BUCKETS_MAX]; /* [layout->count] is the total */
	double sum;				    /* in the exported unit */
};
void histogram_snapshot(const struct histogram *h, struct histogram_snapshot *ret);

#endif
