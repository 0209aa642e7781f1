#include "background/effects/event.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "background/telemetry/histogram.h"
#include "background/telemetry/metrics.h"

static struct histogram seconds;
static struct counter skipped;

static void setup(void)
{
	histogram_init(&seconds, &histogram_seconds);
	atomic_init(&skipped.value, 0);
}

TestSuite(event, .init = setup);

static struct event *make(void)
{
	return event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "{}", 7,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1700000000000);
}

static uint64_t observed(void)
{
	struct histogram_snapshot snapshot;

	histogram_snapshot(&seconds, &snapshot);
	return snapshot.cumulative[histogram_seconds.count];
}

Test(event, copies_its_texts)
{
	char type[] = "user.login";
	char data[] = "{\"a\":1}";
	struct event *event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", type, "s", data, 7, "", 5);

	cr_assert_not_null(event);
	memset(type, 'x', strlen(type));
	memset(data, 'x', strlen(data));
	cr_assert_str_eq(event->id, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
	cr_assert_str_eq(event->type, "user.login");
	cr_assert_str_eq(event->subject, "s");
	cr_assert_str_eq(event->data, "{\"a\":1}");
	cr_assert_str_eq(event->traceparent, "");
	cr_assert_eq(event->user_id, 7);
	cr_assert_eq(event->created_ms, 5);
	event_unref(event);
	event_unref(NULL);
}

Test(event, keeps_a_whole_traceparent)
{
	struct event *event = make();

	cr_assert_str_eq(event->traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	event_unref(event);
}

Test(event, lives_until_its_last_reference)
{
	struct event *event = make();

	event_cost_begin(event, 1, &seconds, &skipped);
	cr_assert_eq(event_ref(event), event);
	event_unref(event);
	cr_assert_eq(skipped.value, 0, "one reference is left");
	cr_assert_str_eq(event->type, "user.login");
	event_unref(event);
	cr_assert_eq(skipped.value, 1, "gone with a part to come");
}

Test(event, cost_is_observed_once_with_the_last_part)
{
	struct event *event = make();
	struct histogram_snapshot snapshot;

	event_cost_begin(event, 3, &seconds, &skipped);
	event_cost_add(event, 1000);
	event_cost_add(event, 20000);
	cr_assert_eq(observed(), 0);
	event_cost_add(event, 300000);
	cr_assert_eq(observed(), 1);
	event_cost_add(event, 4000000);
	cr_assert_eq(observed(), 1, "a part too many is not counted");
	histogram_snapshot(&seconds, &snapshot);
	cr_assert_float_eq(snapshot.sum, 0.321, 1e-9);
	event_unref(event);
	cr_assert_eq(skipped.value, 0);
}

Test(event, cost_that_is_not_measured_counts_nowhere)
{
	struct event *event = make();

	event_cost_add(event, 1000);
	event_unref(event);
	cr_assert_eq(observed(), 0);
	cr_assert_eq(skipped.value, 0);
}

Test(event, cost_with_parts_missing_is_skipped_once)
{
	struct event *event = make();

	event_cost_begin(event, 5, &seconds, &skipped);
	event_cost_add(event, 1000);
	event_unref(event);
	cr_assert_eq(observed(), 0);
	cr_assert_eq(skipped.value, 1);
}

enum { PARTS = 8 };

static void *bring_part(void *arg)
{
	event_cost_add(arg, 1000);
	event_unref(arg);
	return NULL;
}

Test(event, parts_may_come_from_any_thread)
{
	for (int round = 0; round < 200; round++) {
		struct event *event = make();
		pthread_t threads[PARTS];
		event_cost_begin(event, PARTS, &seconds, &skipped);
		for (int i = 0; i < PARTS; i++)
			cr_assert_eq(pthread_create(&threads[i], NULL, bring_part, event_ref(event)), 0);
		event_unref(event);
		for (int i = 0; i < PARTS; i++)
			pthread_join(threads[i], NULL);
	}
	struct histogram_snapshot snapshot;
	histogram_snapshot(&seconds, &snapshot);
	cr_assert_eq(observed(), 200);
	cr_assert_float_eq(snapshot.sum, 200 * PARTS * 1e-3, 1e-6);
	cr_assert_eq(skipped.value, 0);
}
