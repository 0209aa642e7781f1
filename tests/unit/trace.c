#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "background/telemetry/trace.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Test(trace, valid_headers_are_taken_over)
{
	cr_assert(trace_valid(PARENT));
	cr_assert(trace_valid("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
	cr_assert(trace_valid("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff"));
}

Test(trace, invalid_headers_are_not)
{
	static const char *const bad[] = {
		"",
		"00",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
		"0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01",
		"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
		" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_not(trace_valid(bad[i]), "%s", bad[i]);
}

Test(trace, a_child_keeps_the_trace_and_the_sampling_and_has_a_span_of_its_own)
{
	char one[TRACEPARENT_SIZE], two[TRACEPARENT_SIZE];

	trace_child(one, PARENT);
	trace_child(two, PARENT);
	cr_assert(trace_valid(one));
	cr_assert_eq(strncmp(one, PARENT, 36), 0);
	cr_assert_null(strstr(one, "00f067aa0ba902b7"));
	cr_assert_str_neq(one, two);
	cr_assert_str_eq(one + 53, "01");
	trace_child(one, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02");
	cr_assert_str_eq(one + 53, "00");
}

Test(trace, a_child_of_a_later_version_speaks_version_00)
{
	char child[TRACEPARENT_SIZE];

	trace_child(child, "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff");
	cr_assert_eq(strncmp(child, PARENT, 36), 0);
	cr_assert_str_eq(child + 53, "01");
}

Test(trace, without_a_parent_each_child_is_a_trace_of_its_own)
{
	char one[TRACEPARENT_SIZE], two[TRACEPARENT_SIZE];

	trace_child(one, "");
	trace_child(two, "nonsense");
	cr_assert(trace_valid(one));
	cr_assert(trace_valid(two));
	cr_assert_neq(strncmp(one, two, 35), 0);
}

enum { CHILDREN = 2000, SPAN_AT = 36, SPAN_DIGITS = 16 };

static void *make_children(void *arg)
{
	char(*children)[TRACEPARENT_SIZE] = arg;

	for (size_t i = 0; i < CHILDREN; i++)
		trace_child(children[i], PARENT);
	return NULL;
}

static int by_span(const void *a, const void *b)
{
	return strncmp((const char *)a + SPAN_AT, (const char *)b + SPAN_AT, SPAN_DIGITS);
}

/* Many more than one draw of random bytes is for, and on two threads, each of which draws its own. */
Test(trace, no_span_is_given_out_twice)
{
	static char children[2 * CHILDREN][TRACEPARENT_SIZE];
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, make_children, children), 0);
	make_children(children + CHILDREN);
	pthread_join(thread, NULL);
	qsort(children, 2 * CHILDREN, sizeof children[0], by_span);
	for (size_t i = 0; i < 2 * CHILDREN; i++) {
		cr_assert(trace_valid(children[i]), "%s", children[i]);
		cr_assert(i == 0 || by_span(children[i - 1], children[i]) != 0, "%s", children[i]);
	}
}
