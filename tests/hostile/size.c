/* Receivers that say too much: none gets more than LIMIT_REPLY bytes into our memory, however fast it sends. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hostile.h"
#include "tests/support/hostile_peer.h"

enum {
	PATIENCE_MS = 10000, /* `timeout` here: the bound of size must act long before */
	HELD_MS = 1000,
	BLOCK = 64 << 10,
	BLOCKS_OF_1_GB = 16 << 10,
	SAID_MOST = 24 << 20, /* what fits the buffers of two sockets on their way, at their largest */
	BOMB_SMALL_MB = 50,   /* zeros that come as less than LIMIT_REPLY bytes of gzip */
	BOMBS_OF_1_GB = 21,
};

#define OK	"HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define X64	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512	X64 X64 X64 X64 X64 X64 X64 X64
#define X4096	X512 X512 X512 X512 X512 X512 X512 X512

TestSuite(size, .timeout = 60);

struct row {
	const char *name;
	struct hostile_script script;
	const char *outcome, *reason;
	enum hostile_verdict verdict;
};

#define TOO_LARGE "retryable", "reply beyond the limit", HOSTILE_PARKED

static const struct row rows[] = {
	{"headers without end", {.start = HOSTILE_TEXT(OK), .again = HOSTILE_TEXT("X-More: " X512 "\r\n")}, TOO_LARGE},
	{"a header without end", {.start = HOSTILE_TEXT(OK "X-More: "), .again = HOSTILE_TEXT(X4096)}, TOO_LARGE},
	{"a header folded without end", {.start = HOSTILE_TEXT(OK "X-More: x\r\n"), .again = HOSTILE_TEXT(" x\r\n")},
		TOO_LARGE},
	{"a status line without end", {.start = HOSTILE_TEXT("HTTP/1.1 200 "), .again = HOSTILE_TEXT(X4096)},
		TOO_LARGE},
	{"a flood of 100 Continue", {.again = HOSTILE_TEXT("HTTP/1.1 100 Continue\r\n\r\n")}, TOO_LARGE},
	{"a flood of 103 Early Hints", {.again = HOSTILE_TEXT("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")},
		TOO_LARGE},
	{"a flood of 199", {.again = HOSTILE_TEXT("HTTP/1.1 199 No\r\n\r\n")}, TOO_LARGE},
	{"a body without end", {.start = HOSTILE_TEXT(OK "Connection: close\r\n\r\n"), .again = HOSTILE_TEXT(X4096)},
		TOO_LARGE},
	{"chunks without end", {.start = HOSTILE_TEXT(CHUNKED), .again = HOSTILE_TEXT("200\r\n" X512 "\r\n")},
		TOO_LARGE},
	{"chunks of one byte without end", {.start = HOSTILE_TEXT(CHUNKED), .again = HOSTILE_TEXT("1\r\nx\r\n")},
		TOO_LARGE},
	/* the one thing that curl throws away without a word: the bound of time holds alone */
	{"a chunk's extension without end", {.start = HOSTILE_TEXT(CHUNKED "1;x="), .again = HOSTILE_TEXT(X4096)},
		"timeout", "time-out", HOSTILE_RETRIED},
	{"a chunk's size without end", {.start = HOSTILE_TEXT(CHUNKED), .again = HOSTILE_TEXT("0000000000000000")},
		"connect", NULL, HOSTILE_RETRIED},
	{"trailers without end",
		{.start = HOSTILE_TEXT(CHUNKED "0\r\n"), .again = HOSTILE_TEXT("X-More: " X512 "\r\n")}, TOO_LARGE},
	{"a trailer without end", {.start = HOSTILE_TEXT(CHUNKED "0\r\nX-More: "), .again = HOSTILE_TEXT(X4096)},
		"connect", NULL, HOSTILE_RETRIED},
	{"an error page without end",
		{.start = HOSTILE_TEXT("HTTP/1.1 500 No\r\nConnection: close\r\n\r\n"), .again = HOSTILE_TEXT(X4096)},
		TOO_LARGE},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void run_row(const struct row *row)
{
	struct hostile_peer *peer = hostile_peer_start(&row->script);
	struct hostile_run run;
	bool times_out = strcmp(row->outcome, "timeout") == 0;
	char url[PEER_TEXT], more[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	snprintf(more, sizeof(more), "{'timeout':'%dms'}", times_out ? HELD_MS : PATIENCE_MS);
	hostile_begin(&run, &(struct hostile_case){.name = row->name,
				    .url = url,
				    .more = more,
				    .held_ms = HELD_MS,
				    .least_ms = times_out ? HELD_MS - HOSTILE_EARLY_MS : 0,
				    .outcome = row->outcome,
				    .reason = row->reason,
				    .verdict = row->verdict});
	if (!times_out)
		cr_assert_leq(hostile_peer_said(peer), SAID_MOST, "%s: %lld bytes were taken", row->name,
			(long long)hostile_peer_said(peer));
	hostile_end(&run);
	hostile_peer_stop(peer);
}

ParameterizedTestParameters(size, a_reply_without_end)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

ParameterizedTest(const size_t *index, size, a_reply_without_end)
{
	run_row(&rows[*index]);
}

/* As much as it says, and as fast as it is read. */
Test(size, a_body_of_1_gb)
{
	static char block[BLOCK];

	memset(block, 'x', sizeof(block));
	run_row(&(struct row){"a body of 1 GB",
		{.start = HOSTILE_TEXT(OK "Content-Length: 1073741824\r\n\r\n"),
			.again = {block, sizeof(block)},
			.times = BLOCKS_OF_1_GB},
		TOO_LARGE});
}

/* Zeros, as gzip gives them, behind a head; `copies` of them, each whole. */
static size_t bomb_make(char **ret_bytes)
{
	static const char head[] = OK "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
				      "Connection: close\r\n\r\n";
	char command[128];
	size_t len = sizeof(head) - 1, n;
	char *bytes = malloc(LIMIT_REPLY * 2);
	FILE *in;

	cr_assert_not_null(bytes);
	memcpy(bytes, head, len);
	snprintf(command, sizeof(command), "head -c %dM /dev/zero | gzip -9c", BOMB_SMALL_MB);
	in = popen(command, "re");
	cr_assert_not_null(in);
	while ((n = fread(bytes + len, 1, LIMIT_REPLY * 2 - len, in)) > 0)
		len += n;
	cr_assert_eq(pclose(in), 0);
	cr_assert_lt(len, LIMIT_REPLY);
	cr_assert_gt(len, LIMIT_REPLY / 2);
	*ret_bytes = bytes;
	return len;
}

/* Not asked for, and not inflated: it is a reply like any other, of as many bytes as came. */
Test(size, a_gzip_bomb)
{
	char *bytes = NULL;
	size_t len = bomb_make(&bytes);

	run_row(&(struct row){"a gzip bomb of 50 MB in 49 KiB", {.start = {bytes, len}, .end = HOSTILE_CLOSE}, "ok",
		NULL, HOSTILE_DELIVERED});
	free(bytes);
}

Test(size, a_large_gzip_bomb)
{
	char *bytes = NULL;
	size_t len = bomb_make(&bytes);
	const char *body = (char *)memmem(bytes, len, "\r\n\r\n", 4) + 4;

	run_row(&(struct row){"a gzip bomb of 1 GB in 1 MiB",
		{.start = {bytes, len},
			.again = {body, len - (size_t)(body - bytes)},
			.times = BOMBS_OF_1_GB - 1,
			.end = HOSTILE_CLOSE},
		TOO_LARGE});
	free(bytes);
}
