/* Receivers that break the protocol, or the connection: what is told from what came, and what is not. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/hostile.h"
#include "tests/support/hostile_peer.h"

#define OK	"HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

TestSuite(broken, .timeout = 60);

struct row {
	const char *name;
	struct hostile_script script;
	int held_ms; /* 0: it ends at once */
	const char *outcome, *reason;
	enum hostile_verdict verdict;
};

#define SAYS(literal)                                                                                                  \
	{                                                                                                              \
		.start = HOSTILE_TEXT(literal), .end = HOSTILE_CLOSE                                                   \
	}
#define SAYS_AND_WAITS(text)                                                                                           \
	{                                                                                                              \
		.start = HOSTILE_TEXT(text), .end = HOSTILE_HOLD                                                       \
	}
#define SAYS_AND_RESETS(text)                                                                                          \
	{                                                                                                              \
		.start = HOSTILE_TEXT(text), .end = HOSTILE_RESET                                                      \
	}
#define DELIVERED     0, "ok", NULL, HOSTILE_DELIVERED
#define NO_CONNECTION 0, "connect", NULL, HOSTILE_RETRIED
#define MALFORMED     0, "retryable", "breaks the protocol", HOSTILE_RETRIED
#define TIMES_OUT     HOSTILE_TIMEOUT_MS, "timeout", "time-out", HOSTILE_RETRIED

static const struct row rows[] = {
	/* it leaves early */
	{"closes at once", {.unread = true, .end = HOSTILE_CLOSE}, NO_CONNECTION},
	{"resets at once", {.unread = true, .end = HOSTILE_RESET}, NO_CONNECTION},
	{"reads, then closes", SAYS(""), NO_CONNECTION},
	{"reads, then resets", SAYS_AND_RESETS(""), NO_CONNECTION},
	{"closes in the status line", SAYS("HTTP/1.1 2"), NO_CONNECTION},
	{"closes in the headers", SAYS(OK "Content-Type: appl"), NO_CONNECTION},
	{"closes in the headers of a refusal", SAYS("HTTP/1.1 400 No\r\nContent-Type: appl"), NO_CONNECTION},
	{"closes in the headers of a farewell", SAYS("HTTP/1.1 410 Gone\r\n"), NO_CONNECTION},
	{"closes after 100 Continue", SAYS("HTTP/1.1 100 Continue\r\n\r\n"), NO_CONNECTION},
	{"closes within 103 Early Hints", SAYS("HTTP/1.1 103 Early Hints\r\nLink: x\r\n"), NO_CONNECTION},
	{"resets in the headers", SAYS_AND_RESETS(OK "Content-Type: appl"), NO_CONNECTION},
	{"closes before the body", SAYS(OK "Content-Length: 2\r\n\r\n"), NO_CONNECTION},
	{"closes in the body", SAYS(OK "Content-Length: 10\r\n\r\n{}"), NO_CONNECTION},
	{"resets in the body", SAYS_AND_RESETS(OK "Content-Length: 10\r\n\r\n{}"), NO_CONNECTION},
	{"closes in a chunk", SAYS(CHUNKED "a\r\n{}"), NO_CONNECTION},
	{"closes before the last chunk", SAYS(CHUNKED "2\r\n{}\r\n"), NO_CONNECTION},
	{"answers before it has read", {.start = HOSTILE_TEXT(OK "Content-Length: 0\r\n\r\n"), .unread = true},
		DELIVERED},
	/* lengths */
	{"a length too long", SAYS_AND_WAITS(OK "Content-Length: 3\r\n\r\n{}"), TIMES_OUT},
	{"a length too short", SAYS_AND_WAITS(OK "Content-Length: 1\r\n\r\n{}"), DELIVERED},
	{"a length below zero", SAYS(OK "Content-Length: -1\r\n\r\n{}"), MALFORMED},
	{"a length that is no number", SAYS(OK "Content-Length: many\r\n\r\n{}"), MALFORMED},
	{"a length beyond 64 bits", SAYS(OK "Content-Length: 99999999999999999999\r\n\r\n{}"), DELIVERED},
	{"two lengths", SAYS(OK "Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}"), NO_CONNECTION},
	{"a length and chunks",
		SAYS(OK "Content-Length: 1000\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), DELIVERED},
	/* chunks */
	{"no chunk size", SAYS(CHUNKED "{}\r\n"), NO_CONNECTION},
	{"a chunk size below zero", SAYS(CHUNKED "-2\r\n{}\r\n0\r\n\r\n"), NO_CONNECTION},
	{"a chunk size beyond 64 bits", SAYS(CHUNKED "fffffffffffffffff\r\n{}"), NO_CONNECTION},
	{"a chunk longer than its size", SAYS(CHUNKED "1\r\n{}\r\n0\r\n\r\n"), NO_CONNECTION},
	{"a coding that nobody knows", SAYS(OK "Transfer-Encoding: squeezed\r\n\r\n{}"), MALFORMED},
	{"gzip that is none", SAYS(OK "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), DELIVERED},
	/* no HTTP/1.1 */
	{"HTTP/0.9", SAYS("{}\n"), MALFORMED},
	{"bytes at random", SAYS("\x16\x03\x01\x00\xff\x80\r\n\r\n\xfe"), MALFORMED},
	{"an empty line", SAYS("\r\n\r\n"), MALFORMED},
	{"the preface of HTTP/2", SAYS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"), MALFORMED},
	{"an HTTP/2 frame", SAYS("\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff"), MALFORMED},
	{"HTTP/2 in the letters of HTTP/1", SAYS("HTTP/2 200\r\nContent-Length: 0\r\n\r\n"), DELIVERED},
	{"HTTP/3", SAYS("HTTP/3 200\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"HTTP/9.9", SAYS("HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"the greeting of a mail server", SAYS("220 mail.example ESMTP\r\n"), MALFORMED},
	{"the banner of an SSH server", SAYS("SSH-2.0-OpenSSH_9.2\r\n"), MALFORMED},
	/* statuses */
	{"status 000", SAYS("HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"status 999", SAYS("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), 0, "retryable", "HTTP 999",
		HOSTILE_RETRIED},
	{"status 600", SAYS("HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n"), 0, "retryable", "HTTP 600",
		HOSTILE_RETRIED},
	{"status 2", SAYS("HTTP/1.1 2 OK\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"status 2000", SAYS("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"status -200", SAYS("HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"101 that nobody asked for",
		SAYS_AND_WAITS("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"), TIMES_OUT},
	{"100 with a length, then 200",
		SAYS("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" OK "Content-Length: 0\r\n\r\n"), DELIVERED},
	{"100 after 200", SAYS(OK "Content-Length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"), DELIVERED},
	{"three times 100, then 422",
		SAYS("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
		     "HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\n{}"),
		0, "permanent", "HTTP 422", HOSTILE_DEAD},
	{"417 though nothing was expected", SAYS("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), 0, "permanent",
		"HTTP 417", HOSTILE_DEAD},
	{"204 with a body", SAYS("HTTP/1.1 204 OK\r\nContent-Length: 2\r\n\r\n{}"), DELIVERED},
	/* headers */
	{"a header with a NUL", SAYS(OK "X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"a header without a colon", SAYS(OK "No colon here\r\nContent-Length: 0\r\n\r\n"), MALFORMED},
	{"a header without a name", SAYS(OK ": nameless\r\nContent-Length: 0\r\n\r\n"), DELIVERED},
	{"line ends without CR", SAYS("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), DELIVERED},
	{"a body with NULs that condemns", SAYS("HTTP/1.1 400 No\r\nContent-Length: 5\r\n\r\n\0\xff\x1b[m"), 0,
		"permanent", "HTTP 400", HOSTILE_DEAD},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

ParameterizedTestParameters(broken, a_broken_reply)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

ParameterizedTest(const size_t *index, broken, a_broken_reply)
{
	const struct row *row = &rows[*index];
	struct hostile_peer *peer = hostile_peer_start(&row->script);
	struct hostile_run run;
	char url[PEER_TEXT];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = row->name,
				    .url = url,
				    .held_ms = row->held_ms,
				    .least_ms = row->held_ms > 0 ? row->held_ms - HOSTILE_EARLY_MS : 0,
				    .outcome = row->outcome,
				    .reason = row->reason,
				    .verdict = row->verdict});
	hostile_end(&run);
	hostile_peer_stop(peer);
}

/* Where we were told to go, there we don't. */
static void redirected(const char *name, const char *status_line, const char *location)
{
	struct peer *elsewhere = peer_start(NULL, 0);
	struct hostile_script script = {.end = HOSTILE_CLOSE};
	struct hostile_peer *peer;
	struct hostile_run run;
	char url[PEER_TEXT], target[PEER_TEXT], reply[2 * PEER_TEXT];

	snprintf(reply, sizeof(reply), "%s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status_line,
		location != NULL ? location : peer_url(elsewhere, "/", target));
	script.start = (struct hostile_text){reply, strlen(reply)};
	peer = hostile_peer_start(&script);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = name,
				    .url = url,
				    .outcome = "retryable",
				    .reason = "redirects are not followed",
				    .verdict = HOSTILE_PARKED});
	cr_assert_eq(peer_connections(elsewhere), 0, "%s: it was followed", name);
	cr_assert_eq(hostile_peer_connections(peer), 1);
	hostile_end(&run);
	hostile_peer_stop(peer);
	peer_stop(elsewhere);
}

Test(broken, a_redirect_to_elsewhere)
{
	redirected("302 to elsewhere", "HTTP/1.1 302 Found", NULL);
}

Test(broken, a_redirect_that_keeps_the_method)
{
	redirected("307 to elsewhere", "HTTP/1.1 307 Temporary Redirect", NULL);
}

Test(broken, a_redirect_to_a_file)
{
	redirected("301 to a file", "HTTP/1.1 301 Moved", "file:///etc/passwd");
}

Test(broken, a_redirect_without_a_place)
{
	redirected("308 to nowhere", "HTTP/1.1 308 Moved", "");
}

static size_t descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Sent to again and again, it costs what one attempt costs. */
static void again_and_again(const char *name, const struct hostile_script *script)
{
	enum { ATTEMPTS = 200, DESCRIPTORS = 16, GROWN_KIB = 8 << 10 };
	struct hostile_peer *peer = hostile_peer_start(script);
	struct hostile_run run;
	char url[PEER_TEXT];
	int64_t until_us = harness_mono_us() + 10 * 1000 * 1000;
	size_t threads, open;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = name,
				    .url = url,
				    .more = "{'retry':{'first':'1ms','cap':'1ms','max_attempts':10000}}",
				    .outcome = "connect",
				    .verdict = HOSTILE_RETRIED});
	threads = hostile_threads();
	open = descriptors();
	while (hostile_attempts(&run) < ATTEMPTS) {
		cr_assert_lt(harness_mono_us(), until_us);
		hostile_beside(&run);
	}
	cr_assert_leq(hostile_threads(), threads + DESCRIPTORS);
	cr_assert_leq(descriptors(), open + DESCRIPTORS);
	cr_assert_geq(hostile_peer_connections(peer), ATTEMPTS);
	hostile_end(&run);
	hostile_peer_stop(peer);
}

Test(broken, closes_at_once_again_and_again)
{
	again_and_again("closes at once, 200 times", &(struct hostile_script){.unread = true, .end = HOSTILE_CLOSE});
}

Test(broken, resets_at_once_again_and_again)
{
	again_and_again("resets at once, 200 times", &(struct hostile_script){.unread = true, .end = HOSTILE_RESET});
}
