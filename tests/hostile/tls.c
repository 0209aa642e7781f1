/*
 * TLS that fails: what the certificate is not, and handshakes that stall or are none. Nothing is said before they are
 * well.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/hostile.h"
#include "tests/support/hostile_peer.h"
#include "tests/support/tls_peer.h"

enum { DAY_S = 86400, MEMORY_KIB = 8 << 10, DRIP_MS = 10 };

TestSuite(tls, .timeout = 60);

/* `more` for a lane that trusts `authority`, from a file in `scratch`. */
static void trust(
	const struct certificate *authority, const struct scratch *scratch, const char *others, char more[300])
{
	char path[160];

	snprintf(path, sizeof(path), "%s/ca.pem", scratch->folder);
	certificate_write(authority, path);
	snprintf(more, 300, "{'ca':'%s'%s}", path, others);
}

struct leaf {
	const char *name, *host; /* in the certificate; in the URL */
	int64_t from_s, until_s;
	bool by_itself, by_another; /* signed; else by the authority that is trusted */
	int version;
	const char *outcome, *reason;
	enum hostile_verdict verdict;
};

#define WELL	  "ok", NULL, HOSTILE_DELIVERED
#define UNTRUSTED "tls", "certificate", HOSTILE_PARKED

static const struct leaf leaves[] = {
	/* first that it can be well, so that what follows shows something */
	{"IP:127.0.0.1", "127.0.0.1", -DAY_S, DAY_S, false, false, TLS1_3_VERSION, WELL},
	{"DNS:localhost", "localhost", -DAY_S, DAY_S, false, false, TLS1_2_VERSION, WELL},
	{"IP:127.0.0.1", "127.0.0.1", -2 * DAY_S, -60, false, false, TLS1_3_VERSION, UNTRUSTED},
	{"IP:127.0.0.1", "127.0.0.1", DAY_S, 2 * DAY_S, false, false, TLS1_3_VERSION, UNTRUSTED},
	{"IP:127.0.0.2", "127.0.0.1", -DAY_S, DAY_S, false, false, TLS1_3_VERSION, UNTRUSTED},
	{"DNS:elsewhere.example", "localhost", -DAY_S, DAY_S, false, false, TLS1_3_VERSION, UNTRUSTED},
	{"DNS:*", "localhost", -DAY_S, DAY_S, false, false, TLS1_3_VERSION, UNTRUSTED},
	{"IP:127.0.0.1", "127.0.0.1", -DAY_S, DAY_S, true, false, TLS1_3_VERSION, UNTRUSTED},
	{"IP:127.0.0.1", "127.0.0.1", -DAY_S, DAY_S, false, true, TLS1_2_VERSION, UNTRUSTED},
	{"IP:127.0.0.1", "127.0.0.1", -DAY_S, DAY_S, false, false, TLS1_1_VERSION, "tls", NULL, HOSTILE_RETRIED},
};
static const char *const leaf_names[] = {
	"TLS, a certificate that is well",
	"TLS, a name that is well, TLS 1.2",
	"TLS, certificate expired",
	"TLS, certificate not valid yet",
	"TLS, certificate of another address",
	"TLS, certificate of another host",
	"TLS, certificate of every host",
	"TLS, certificate signed by itself",
	"TLS, certificate of another authority",
	"TLS, at most version 1.1",
};
enum { LEAVES = sizeof(leaves) / sizeof(leaves[0]) };
_Static_assert(LEAVES == sizeof(leaf_names) / sizeof(leaf_names[0]), "each has its name");

ParameterizedTestParameters(tls, a_certificate)
{
	static size_t indexes[LEAVES];

	for (size_t i = 0; i < LEAVES; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, LEAVES, NULL);
}

ParameterizedTest(const size_t *index, tls, a_certificate)
{
	const struct leaf *row = &leaves[*index];
	struct certificate authority = certificate_make(NULL, NULL, -DAY_S, DAY_S);
	struct certificate another = certificate_make(NULL, NULL, -DAY_S, DAY_S);
	struct certificate leaf = certificate_make(row->name,
		row->by_itself ? NULL : (row->by_another ? &another : &authority), row->from_s, row->until_s);
	struct tls_peer *peer = tls_peer_start(&leaf, row->version);
	struct scratch scratch;
	struct hostile_run run;
	char url[PEER_TEXT], more[300];

	scratch_make(&scratch);
	trust(&authority, &scratch, ",'timeout':'2s'", more);
	snprintf(url, sizeof(url), "https://%s:%d/", row->host, tls_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = leaf_names[*index],
				    .url = url,
				    .more = more,
				    .memory_kib = MEMORY_KIB,
				    .outcome = row->outcome,
				    .reason = row->reason,
				    .verdict = row->verdict});
	cr_assert_eq(tls_peer_heard(peer) > 0, row->verdict == HOSTILE_DELIVERED, "%s: it was told %lld bytes",
		leaf_names[*index], (long long)tls_peer_heard(peer));
	hostile_end(&run);
	tls_peer_stop(peer);
	certificate_release(&leaf);
	certificate_release(&another);
	certificate_release(&authority);
	scratch_remove(&scratch);
}

/* A handshake record of 16 KiB, of which the body is said to come. */
#define SERVER_HELLO_OF_16_KIB "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"

struct row {
	const char *name;
	struct hostile_script script;
	int held_ms;
	const char *outcome;
};

static const struct row rows[] = {
	{"TLS, silence after the ClientHello", {.unread = true, .end = HOSTILE_HOLD}, HOSTILE_TIMEOUT_MS, "timeout"},
	{"TLS, drips its ServerHello",
		{.start = HOSTILE_TEXT(SERVER_HELLO_OF_16_KIB),
			.again = HOSTILE_TEXT("x"),
			.interval_ms = DRIP_MS,
			.unread = true},
		HOSTILE_TIMEOUT_MS, "timeout"},
	{"TLS, closes after the ClientHello", {.unread = true, .end = HOSTILE_CLOSE}, 0, "tls"},
	{"TLS, HTTP in plain text",
		{.start = HOSTILE_TEXT("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
			.unread = true,
			.end = HOSTILE_CLOSE},
		0, "tls"},
	{"TLS, SMTP in plain text", {.start = HOSTILE_TEXT("220 mail.example ESMTP\r\n"), .unread = true}, 0, "tls"},
	{"TLS, an alert: handshake failure",
		{.start = HOSTILE_TEXT("\x15\x03\x03\x00\x02\x02\x28"), .unread = true, .end = HOSTILE_CLOSE}, 0,
		"tls"},
	{"TLS, warnings without end",
		{.again = HOSTILE_TEXT("\x15\x03\x03\x00\x02\x01\x70"), .unread = true, .end = HOSTILE_CLOSE}, 0,
		"tls"},
	{"TLS, HelloRequests without end",
		{.again = HOSTILE_TEXT("\x16\x03\x03\x00\x04\x00\x00\x00\x00"), .interval_ms = 1, .unread = true},
		HOSTILE_TIMEOUT_MS, "timeout"},
	{"TLS, a record that is too long",
		{.start = HOSTILE_TEXT("\x16\x03\x03\xff\xff"), .again = HOSTILE_TEXT("x"), .unread = true}, 0, "tls"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

ParameterizedTestParameters(tls, a_handshake)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

ParameterizedTest(const size_t *index, tls, a_handshake)
{
	const struct row *row = &rows[*index];
	struct hostile_peer *peer = hostile_peer_start(&row->script);
	struct certificate authority = certificate_make(NULL, NULL, -DAY_S, DAY_S);
	struct scratch scratch;
	struct hostile_run run;
	char url[PEER_TEXT], more[300];

	scratch_make(&scratch);
	trust(&authority, &scratch, "", more);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = row->name,
				    .url = url,
				    .more = more,
				    .held_ms = row->held_ms,
				    .least_ms = row->held_ms > 0 ? row->held_ms - HOSTILE_EARLY_MS : 0,
				    .memory_kib = MEMORY_KIB,
				    .outcome = row->outcome,
				    .verdict = HOSTILE_RETRIED});
	hostile_end(&run);
	hostile_peer_stop(peer);
	certificate_release(&authority);
	scratch_remove(&scratch);
}

/*
 * The authorities of the system take tens of milliseconds to read, while the worker does nothing else: once, and not
 * for each connection.
 */
Test(tls, again_and_again_with_the_authorities_of_the_system)
{
	enum { ATTEMPTS = 100, EACH_MOST_MS = 10 };
	static const struct hostile_script script = {.unread = true, .end = HOSTILE_CLOSE};
	struct hostile_peer *peer = hostile_peer_start(&script);
	struct hostile_run run;
	char url[PEER_TEXT];
	struct timespec before, after;

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", hostile_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = "TLS, closes again and again",
				    .url = url,
				    .more = "{'retry':{'first':'1ms','cap':'1ms','max_attempts':10000}}",
				    .memory_kib = MEMORY_KIB,
				    .outcome = "tls",
				    .verdict = HOSTILE_RETRIED});
	cr_assert_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
	uint64_t first = hostile_attempts(&run);
	while (hostile_attempts(&run) < first + ATTEMPTS)
		hostile_beside(&run);
	cr_assert_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
	double ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
	printf("figure: TLS, closes again and again: %.1f ms of CPU for each attempt\n", ms / ATTEMPTS);
	fflush(stdout);
	cr_assert_lt(ms, ATTEMPTS * EACH_MOST_MS);
	hostile_end(&run);
	hostile_peer_stop(peer);
}

/* A plain http:// URL that leads to a port where TLS is spoken. */
Test(tls, plain_text_to_a_tls_port)
{
	struct certificate leaf = certificate_make("IP:127.0.0.1", NULL, -DAY_S, DAY_S);
	struct tls_peer *peer = tls_peer_start(&leaf, TLS1_3_VERSION);
	struct hostile_run run;
	char url[PEER_TEXT];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", tls_peer_port(peer));
	hostile_begin(&run, &(struct hostile_case){.name = "TLS, where we speak plain text",
				    .url = url,
				    .outcome = "connect",
				    .verdict = HOSTILE_RETRIED});
	hostile_end(&run);
	tls_peer_stop(peer);
	certificate_release(&leaf);
}
