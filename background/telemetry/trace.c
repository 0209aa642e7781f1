#include "background/telemetry/trace.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "config/id.h"

/* 2.2 of the specification: version "-" trace-id "-" parent-id "-" trace-flags */
enum { VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, LENGTH = 55 };
enum { TRACE_BYTES = 16, SPAN_BYTES = 8 };
enum { TRACE_DIGITS = 2 * TRACE_BYTES, SPAN_DIGITS = 2 * SPAN_BYTES };

static_assert(LENGTH + 1 == TRACEPARENT_SIZE, "a traceparent of version 00 and its NUL");

/* Lower-case hexadecimal digits only. */
static bool hex(const char *text, size_t len)
{
	return strspn(text, "0123456789abcdef") >= len;
}

static bool all_zero(const char *text, size_t len)
{
	return strspn(text, "0") >= len;
}

/*
 * Version 00 is exactly this long. A later version may go on after another hyphen, but then it does not fit
 * TRACEPARENT_SIZE and the trace is begun anew, which the specification allows.
 */
bool trace_valid(const char *traceparent)
{
	if (strlen(traceparent) != LENGTH)
		return false;
	if (traceparent[TRACE_AT - 1] != '-' || traceparent[SPAN_AT - 1] != '-' || traceparent[FLAGS_AT - 1] != '-')
		return false;
	if (!hex(traceparent + VERSION_AT, 2) || strncmp(traceparent + VERSION_AT, "ff", 2) == 0)
		return false;
	if (!hex(traceparent + TRACE_AT, TRACE_DIGITS) || all_zero(traceparent + TRACE_AT, TRACE_DIGITS))
		return false;
	if (!hex(traceparent + SPAN_AT, SPAN_DIGITS) || all_zero(traceparent + SPAN_AT, SPAN_DIGITS))
		return false;
	return hex(traceparent + FLAGS_AT, 2);
}

/* Random bytes as hex; never all zero, which the specification reserves. */
static void random_hex(char *ret_text, size_t size, size_t bytes)
{
	unsigned char random[TRACE_BYTES];

	do {
		id_random(random, bytes);
	} while (sodium_is_zero(random, bytes));
	sodium_bin2hex(ret_text, size, random, bytes);
}

/*
 * The child is of version 00, the one that is spoken here, and of the flags only `sampled` is
 * passed on, since the others are not known to mean the same there (4.3).
 */
void trace_child(char ret_child[TRACEPARENT_SIZE], const char *parent)
{
	const bool taken = trace_valid(parent);
	const bool sampled = taken && strchr("13579bdf", parent[LENGTH - 1]) != NULL;

	memcpy(ret_child, "00-", TRACE_AT);
	if (taken)
		memcpy(ret_child + TRACE_AT, parent + TRACE_AT, TRACE_DIGITS);
	else
		random_hex(ret_child + TRACE_AT, TRACE_DIGITS + 1, TRACE_BYTES);
	ret_child[SPAN_AT - 1] = '-';
	random_hex(ret_child + SPAN_AT, SPAN_DIGITS + 1, SPAN_BYTES);
	memcpy(ret_child + FLAGS_AT - 1, sampled ? "-01" : "-00", sizeof "-01");
}
