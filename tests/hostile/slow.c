/* Receivers that take their time: none holds its slot for longer than `timeout`, which is the total of an attempt. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hostile.h"
#include "tests/support/hostile_peer.h"

enum { DRIP_MS = 10, LEAST_MS = HOSTILE_TIMEOUT_MS - HOSTILE_EARLY_MS, BIG_DATA = 200 << 10 };

#define OK	"HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define X	HOSTILE_TEXT("x")

TestSuite(slow, .timeout = 60);

struct row {
	const char *name;
	struct hostile_script script;
};

static const struct row rows[] = {
	{"never answers", {.end = HOSTILE_HOLD}},
	{"accepts and reads nothing", {.unread = true, .end = HOSTILE_DEAF}},
	{"drips the status line", {.start = HOSTILE_TEXT("HTTP/1.1 200 "), .again = X, .interval_ms = DRIP_MS}},
	{"drips a header", {.start = HOSTILE_TEXT(OK "X-Drip: "), .again = X, .interval_ms = DRIP_MS}},
	{"drips headers without end",
		{.start = HOSTILE_TEXT(OK), .again = HOSTILE_TEXT("X-Drip: x\r\n"), .interval_ms = DRIP_MS}},
	{"half a head, then nothing", {.start = HOSTILE_TEXT(OK "Content-Le")}},
	{"drips interim replies",
		{.again = HOSTILE_TEXT("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), .interval_ms = DRIP_MS}},
	{"drips the body",
		{.start = HOSTILE_TEXT(OK "Content-Length: 1000000\r\n\r\n"), .again = X, .interval_ms = DRIP_MS}},
	{"drips a body without a length",
		{.start = HOSTILE_TEXT(OK "Connection: close\r\n\r\n"), .again = X, .interval_ms = DRIP_MS}},
	{"drips chunks", {.start = HOSTILE_TEXT(CHUNKED), .again = HOSTILE_TEXT("1\r\nx\r\n"), .interval_ms = DRIP_MS}},
	{"drips a chunk's extension", {.start = HOSTILE_TEXT(CHUNKED "1;ext="), .again = X, .interval_ms = DRIP_MS}},
	{"drips trailers",
		{.start = HOSTILE_TEXT(CHUNKED "2\r\n{}\r\n0\r\nX-Trailer: "), .again = X, .interval_ms = DRIP_MS}},
	{"the head, then no body", {.start = HOSTILE_TEXT(OK "Content-Length: 2\r\n\r\n")}},
	{"all of the body but its last byte", {.start = HOSTILE_TEXT(OK "Content-Length: 3\r\n\r\n{}")}},
	{"a last chunk that does not come", {.start = HOSTILE_TEXT(CHUNKED "2\r\n{}\r\n")}},
	{"100 Continue, then nothing", {.start = HOSTILE_TEXT("HTTP/1.1 100 Continue\r\n\r\n")}},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

ParameterizedTestParameters(slow, a_slow_receiver)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

ParameterizedTest(const size_t *index, slow, a_slow_receiver)
{
	const struct row *row = &rows[*index];
	struct hostile_peer *peer = hostile_peer_start(&row->script);
	struct hostile_run run;
	char url[PEER_TEXT];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = row->name,
				    .url = url,
				    .held_ms = HOSTILE_TIMEOUT_MS,
				    .least_ms = LEAST_MS,
				    .outcome = "timeout",
				    .reason = "time-out",
				    .verdict = HOSTILE_RETRIED});
	cr_assert_eq(hostile_peer_connections(peer), 1);
	hostile_end(&run);
	hostile_peer_stop(peer);
}

/* More than the kernel takes from us while nobody reads: the request itself never leaves. */
Test(slow, a_large_request_that_nobody_reads)
{
	static const struct hostile_script script = {.unread = true, .end = HOSTILE_DEAF};
	struct hostile_peer *peer = hostile_peer_start(&script);
	struct hostile_run run;
	char url[PEER_TEXT], *data = malloc(BIG_DATA + 16);

	cr_assert_not_null(data);
	snprintf(data, BIG_DATA + 16, "{\"x\":\"%0*d\"}", BIG_DATA, 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = "reads nothing of a large request",
				    .url = url,
				    .data = data,
				    .held_ms = HOSTILE_TIMEOUT_MS,
				    .least_ms = LEAST_MS,
				    .outcome = "timeout",
				    .reason = "time-out",
				    .verdict = HOSTILE_RETRIED});
	hostile_end(&run);
	hostile_peer_stop(peer);
	free(data);
}
