/*
 * The registry behind /metrics: counters, gauges and histograms by name and labels,
 * rendered as Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Everything is registered at start by one thread; the hot path then only touches the
 * atomics that it was handed, without a lock. Registration never returns NULL: without memory
 * it hands out a spare and metrics_error() says so, once, at the end of start-up.
 */
#ifndef TOKENFIRST_BACKGROUND_TELEMETRY_METRICS_H
#define TOKENFIRST_BACKGROUND_TELEMETRY_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "background/telemetry/histogram.h"
#include "config/buf.h"

struct metrics;

struct counter {
	atomic_uint_fast64_t value;
};
struct gauge {
	atomic_int_fast64_t value; /* whole units; gauges in seconds are registered with unit 1e-3 and set in ms */
};

static inline void counter_add(struct counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}
static inline void gauge_set(struct gauge *g, int64_t value)
{
	atomic_store_explicit(&g->value, value, memory_order_relaxed);
}
static inline void gauge_add(struct gauge *g, int64_t delta)
{
	atomic_fetch_add_explicit(&g->value, delta, memory_order_relaxed);
}
static inline int64_t gauge_get(const struct gauge *g)
{
	return atomic_load_explicit(&g->value, memory_order_relaxed);
}

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/*
 * Any thread, at any time (a lock of its own); meant for start-up, since what is registered stays.
 * `name` and `help` are static texts; all samples of one name must come with the same
 * help. `labels` is copied: "effect=\"crm\",outcome=\"ok\"" or NULL. The same name and labels
 * registered again give the same object back.
 */
struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *labels);
struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, double unit, const char *labels);
struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
	const struct histogram_layout *layout, const char *labels);

/*
 * A counter whose total is kept elsewhere (CPU seconds, by the kernel) and copied in on rendering: TYPE counter,
 * set like a gauge, never to less than before.
 */
struct gauge *metrics_mirror(
	struct metrics *metrics, const char *name, const char *help, double unit, const char *labels);

/*
 * Appends name="value" to a label list in the making, after a comma if it is not the first, with the value escaped
 * (backslash, quote, newline). For values that are not plain words of our own.
 */
void metrics_label(struct buf *labels, const char *name, const char *value);

/*
 * A function called before each rendering, to refresh gauges that are computed on demand. Only one rendering goes
 * on at a time, so it needs no lock against itself. It runs without a
 * lock held, may register, and must not render.
 */
void metrics_on_render(struct metrics *metrics, void (*refresh)(void *arg), void *arg);

/* 0, or ERR_MEMORY if any registration fell back to the spare. */
int metrics_error(const struct metrics *metrics) MUST_CHECK;

/* Appends the whole exposition. Any thread; one at a time, the others wait. */
void metrics_render(struct metrics *metrics, struct buf *out);

/* process_* and tokenfirst_build_info, refreshed from /proc/self at each rendering. */
void metrics_register_process(struct metrics *metrics);

#endif
