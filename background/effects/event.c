#include "background/effects/event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "background/telemetry/histogram.h"
#include "background/telemetry/metrics.h"

/* The event and its texts are one piece of memory. */
struct event *event_new(const char *id, const char *type, const char *subject, const char *data, int64_t user_id,
	const char *traceparent, int64_t created_ms)
{
	const size_t type_size = strlen(type) + 1, subject_size = strlen(subject) + 1, data_size = strlen(data) + 1;
	const size_t id_len = strnlen(id, ID_SIZE - 1), trace_len = strnlen(traceparent, TRACEPARENT_SIZE - 1);
	struct event *event = malloc(sizeof(*event) + type_size + subject_size + data_size);
	if (event == NULL)
		return NULL;
	memset(event, 0, sizeof(*event));
	memcpy(event->id, id, id_len);
	memcpy(event->traceparent, traceparent, trace_len);
	event->created_ms = created_ms;
	event->user_id = user_id;
	event->type = memcpy(event + 1, type, type_size);
	event->subject = memcpy(event->type + type_size, subject, subject_size);
	event->data = memcpy(event->subject + subject_size, data, data_size);
	atomic_init(&event->references, 1);
	atomic_init(&event->cost_parts, -1);
	atomic_init(&event->cost_us, 0);
	return event;
}

bool event_about_nobody(const struct event *event)
{
	return strncmp(event->type, "user.", strlen("user.")) == 0 &&
	       strncmp(event->data, EVENT_NOBODY, strlen(EVENT_NOBODY)) == 0;
}

struct event *event_ref(struct event *event)
{
	unsigned before = atomic_fetch_add_explicit(&event->references, 1, memory_order_relaxed);
	assert(before > 0);
	(void)before;
	return event;
}

void event_unref(struct event *event)
{
	if (event == NULL)
		return;
	/* release: what this thread did with the event is done; acquire: so is what all others did */
	unsigned before = atomic_fetch_sub_explicit(&event->references, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before != 1)
		return;
	if (atomic_load_explicit(&event->cost_parts, memory_order_relaxed) > 0)
		counter_add(event->cost_skipped, 1);
	free(event);
}

void event_cost_begin(struct event *event, int parts, struct histogram *seconds, struct counter *skipped)
{
	assert(parts > 0);
	event->cost_seconds = seconds;
	event->cost_skipped = skipped;
	atomic_store_explicit(&event->cost_parts, parts, memory_order_relaxed);
}

void event_cost_add(struct event *event, int64_t duration_us)
{
	if (atomic_load_explicit(&event->cost_parts, memory_order_relaxed) <= 0)
		return;
	atomic_fetch_add_explicit(&event->cost_us, duration_us, memory_order_relaxed);
	/* whoever brings the last part sees the durations of all others */
	if (atomic_fetch_sub_explicit(&event->cost_parts, 1, memory_order_acq_rel) == 1)
		histogram_observe(event->cost_seconds, atomic_load_explicit(&event->cost_us, memory_order_relaxed));
}
