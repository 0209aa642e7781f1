/*
 * Families in the order of their registration, each with its samples, in two levels of lists that only ever
 * grow. A node is complete before it is linked in by a release store, so a rendering walks the lists without
 * a lock while others register, and observers touch nothing but their own atomics.
 *
 * The one mutex makes find-or-add a single step, and hands out the turn to render. It is not held while
 * rendering: refresh functions may take locks of their own, and may register.
 */
#include "background/telemetry/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_COUNTER, KIND_GAUGE, KIND_MIRROR, KIND_HISTOGRAM };

struct sample {
	_Atomic(struct sample *) next;
	char *labels; /* "" if none */
	union {
		struct counter counter;
		struct gauge gauge; /* KIND_GAUGE and KIND_MIRROR */
		struct histogram histogram;
	} value;
};

struct family {
	_Atomic(struct family *) next;
	const char *name, *help;
	enum kind kind;
	double unit; /* gauges */
	const struct histogram_layout *layout;
	_Atomic(struct sample *) samples;
};

struct refresher {
	_Atomic(struct refresher *) next;
	void (*refresh)(void *arg);
	void *arg;
};

struct metrics {
	pthread_mutex_t lock; /* guards additions to all lists, and `rendering` */
	pthread_cond_t turn;  /* `rendering` became false */
	bool rendering;
	_Atomic(struct family *) families;
	_Atomic(struct refresher *) refreshers;
	atomic_bool out_of_memory;
	struct sample spare; /* handed out, and never rendered, when there is no memory */
	struct sample spare_histogram;
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof *metrics);

	if (!metrics)
		return NULL;
	pthread_mutex_init(&metrics->lock, NULL); /* with default attributes neither can fail */
	pthread_cond_init(&metrics->turn, NULL);
	return metrics;
}

static void family_free(struct family *family)
{
	struct sample *next;

	for (struct sample *sample = atomic_load(&family->samples); sample; sample = next) {
		next = atomic_load(&sample->next);
		free(sample->labels);
		free(sample);
	}
	free(family);
}

void metrics_free(struct metrics *metrics)
{
	struct family *next_family;
	struct refresher *next_refresher;

	if (!metrics)
		return;
	for (struct family *family = atomic_load(&metrics->families); family; family = next_family) {
		next_family = atomic_load(&family->next);
		family_free(family);
	}
	for (struct refresher *refresher = atomic_load(&metrics->refreshers); refresher; refresher = next_refresher) {
		next_refresher = atomic_load(&refresher->next);
		free(refresher);
	}
	pthread_cond_destroy(&metrics->turn);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

/* `what` tells kind, unit and layout; name and help as well. NULL: no memory. */
static struct family *family_obtain(struct metrics *metrics, const struct family *what)
{
	_Atomic(struct family *) *end = &metrics->families;
	struct family *family;

	while ((family = atomic_load_explicit(end, memory_order_relaxed)) != NULL) {
		if (strcmp(family->name, what->name) == 0) {
			assert(family->kind == what->kind && strcmp(family->help, what->help) == 0);
			return family;
		}
		end = &family->next;
	}
	family = calloc(1, sizeof *family);
	if (!family)
		return NULL;
	family->name = what->name;
	family->help = what->help;
	family->kind = what->kind;
	family->unit = what->unit;
	family->layout = what->layout;
	atomic_store_explicit(end, family, memory_order_release);
	return family;
}

/* NULL: no memory. */
static struct sample *sample_obtain(struct family *family, const char *labels)
{
	_Atomic(struct sample *) *end = &family->samples;
	struct sample *sample;

	while ((sample = atomic_load_explicit(end, memory_order_relaxed)) != NULL) {
		if (strcmp(sample->labels, labels) == 0)
			return sample;
		end = &sample->next;
	}
	sample = calloc(1, sizeof *sample);
	if (!sample)
		return NULL;
	sample->labels = strdup(labels);
	if (!sample->labels) {
		free(sample);
		return NULL;
	}
	if (family->kind == KIND_HISTOGRAM)
		histogram_init(&sample->value.histogram, family->layout);
	atomic_store_explicit(end, sample, memory_order_release);
	return sample;
}

static struct sample *spare_for(struct metrics *metrics, const struct family *what)
{
	atomic_store(&metrics->out_of_memory, true);
	if (what->kind != KIND_HISTOGRAM)
		return &metrics->spare;
	histogram_init(&metrics->spare_histogram.value.histogram, what->layout);
	return &metrics->spare_histogram;
}

static struct sample *sample_register(struct metrics *metrics, const struct family *what, const char *labels)
{
	struct family *family;
	struct sample *sample = NULL;

	pthread_mutex_lock(&metrics->lock);
	family = family_obtain(metrics, what);
	if (family)
		sample = sample_obtain(family, labels ? labels : "");
	if (!sample)
		sample = spare_for(metrics, what);
	pthread_mutex_unlock(&metrics->lock);
	return sample;
}

struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help, const char *labels)
{
	const struct family what = {.name = name, .help = help, .kind = KIND_COUNTER};

	return &sample_register(metrics, &what, labels)->value.counter;
}

struct gauge *metrics_gauge(
	struct metrics *metrics, const char *name, const char *help, double unit, const char *labels)
{
	const struct family what = {.name = name, .help = help, .kind = KIND_GAUGE, .unit = unit};

	return &sample_register(metrics, &what, labels)->value.gauge;
}

struct gauge *metrics_mirror(
	struct metrics *metrics, const char *name, const char *help, double unit, const char *labels)
{
	const struct family what = {.name = name, .help = help, .kind = KIND_MIRROR, .unit = unit};

	return &sample_register(metrics, &what, labels)->value.gauge;
}

struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
	const struct histogram_layout *layout, const char *labels)
{
	const struct family what = {.name = name, .help = help, .kind = KIND_HISTOGRAM, .layout = layout};

	return &sample_register(metrics, &what, labels)->value.histogram;
}

void metrics_on_render(struct metrics *metrics, void (*refresh)(void *arg), void *arg)
{
	_Atomic(struct refresher *) *end = &metrics->refreshers;
	struct refresher *node, *refresher = calloc(1, sizeof *refresher);

	if (!refresher) {
		atomic_store(&metrics->out_of_memory, true);
		return;
	}
	refresher->refresh = refresh;
	refresher->arg = arg;
	pthread_mutex_lock(&metrics->lock);
	while ((node = atomic_load_explicit(end, memory_order_relaxed)) != NULL)
		end = &node->next;
	atomic_store_explicit(end, refresher, memory_order_release);
	pthread_mutex_unlock(&metrics->lock);
}

int metrics_error(const struct metrics *metrics)
{
	return atomic_load(&metrics->out_of_memory) ? ERR_MEMORY : 0;
}

void metrics_label(struct buf *labels, const char *name, const char *value)
{
	buf_printf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
	for (const char *c = value; *c; c++) {
		if (*c == '\n')
			buf_append(labels, "\\n", 2);
		else if (*c == '\\' || *c == '"')
			buf_printf(labels, "\\%c", *c);
		else
			buf_append(labels, c, 1);
	}
	buf_append(labels, "\"", 1);
}

/* `suffix` of the name ("" or "_sum"), and the labels if there are any; the value comes next. */
static void render_name(struct buf *out, const struct family *family, const char *suffix, const char *labels)
{
	if (*labels)
		buf_printf(out, "%s%s{%s} ", family->name, suffix, labels);
	else
		buf_printf(out, "%s%s ", family->name, suffix);
}

/* 15 digits: what a double holds for certain, so that 0.0075 is not shown as 0.0074999999999999997. */
static void render_histogram(struct buf *out, const struct family *family, const struct sample *sample)
{
	const struct histogram_layout *layout = family->layout;
	const char *comma = *sample->labels ? "," : "";
	struct histogram_snapshot snapshot;

	histogram_snapshot(&sample->value.histogram, &snapshot);
	for (size_t i = 0; i < layout->count; i++)
		buf_printf(out, "%s_bucket{%s%sle=\"%.15g\"} %" PRIu64 "\n", family->name, sample->labels, comma,
			(double)layout->bounds[i] * layout->unit, snapshot.cumulative[i]);
	buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", family->name, sample->labels, comma,
		snapshot.cumulative[layout->count]);
	render_name(out, family, "_sum", sample->labels);
	buf_printf(out, "%.15g\n", snapshot.sum);
	render_name(out, family, "_count", sample->labels);
	buf_printf(out, "%" PRIu64 "\n", snapshot.cumulative[layout->count]);
}

static void render_sample(struct buf *out, const struct family *family, const struct sample *sample)
{
	switch (family->kind) {
	case KIND_COUNTER:
		render_name(out, family, "", sample->labels);
		buf_printf(out, "%" PRIu64 "\n",
			(uint64_t)atomic_load_explicit(&sample->value.counter.value, memory_order_relaxed));
		break;
	case KIND_GAUGE:
	case KIND_MIRROR:
		render_name(out, family, "", sample->labels);
		buf_printf(out, "%.15g\n", (double)gauge_get(&sample->value.gauge) * family->unit);
		break;
	case KIND_HISTOGRAM:
		render_histogram(out, family, sample);
		break;
	}
}

static void render_family(struct buf *out, struct family *family)
{
	static const char *const types[] = {
		[KIND_COUNTER] = "counter",
		[KIND_GAUGE] = "gauge",
		[KIND_MIRROR] = "counter",
		[KIND_HISTOGRAM] = "histogram",
	};
	const struct sample *sample = atomic_load_explicit(&family->samples, memory_order_acquire);

	if (!sample)
		return;
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name, types[family->kind]);
	for (; sample; sample = atomic_load_explicit(&sample->next, memory_order_acquire))
		render_sample(out, family, sample);
}

static void rendering_begin(struct metrics *metrics)
{
	pthread_mutex_lock(&metrics->lock);
	while (metrics->rendering)
		pthread_cond_wait(&metrics->turn, &metrics->lock);
	metrics->rendering = true;
	pthread_mutex_unlock(&metrics->lock);
}

static void rendering_end(struct metrics *metrics)
{
	pthread_mutex_lock(&metrics->lock);
	metrics->rendering = false;
	pthread_cond_signal(&metrics->turn);
	pthread_mutex_unlock(&metrics->lock);
}

void metrics_render(struct metrics *metrics, struct buf *out)
{
	struct refresher *refresher;
	struct family *family;

	rendering_begin(metrics);
	refresher = atomic_load_explicit(&metrics->refreshers, memory_order_acquire);
	for (; refresher; refresher = atomic_load_explicit(&refresher->next, memory_order_acquire))
		refresher->refresh(refresher->arg);
	family = atomic_load_explicit(&metrics->families, memory_order_acquire);
	for (; family; family = atomic_load_explicit(&family->next, memory_order_acquire))
		render_family(out, family);
	rendering_end(metrics);
}
