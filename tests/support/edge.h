/*
 * The HTTP edge in the test's own process: http_start on port 0 with a small table of routes, and raw sockets to
 * talk to it.
 *
 *   GET  /loop           "loop", on the loop thread          GET /other       "other", on a crew
 *   GET  /health/live    on the loop thread                  GET /ops         only at ops.listen where that is set
 *   POST /echo           its body, on a crew                 GET  /items/{id}  what the request says
 *   POST /json           a member of its JSON body           GET /login       on the crew for logins
 *   GET  /wait           answers "opened" once edge_open_gate has been called, "gone" when its client left
 *   GET  /after          answers, then waits for the gate and counts up `finished`
 *   GET  /headers        one extra header, two that are refused
 *   GET  /mute           does not answer                     GET /large       EDGE_LARGE_BODY bytes
 *   POST /form           its form fields or JSON as JSON     GET /cookie      its cookie "name" and its client
 *   POST /refresh        the token of its refresh cookie     POST /grant      sets that cookie; DELETE takes it away
 *   GET  /park           parks until the gate is opened, then "resumed"
 *   GET  /page           with a policy of its own            GET /full        as many extra headers as there may be
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_EDGE_H
#define TOKENFIRST_TESTS_SUPPORT_EDGE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "background/telemetry/metrics.h"
#include "config/options.h"
#include "server/http/http.h"

enum { EDGE_PATIENCE_MS = 5000, EDGE_LARGE_BODY = 32 << 20, EDGE_REPLY_MAX = 64 << 10 };

/* What the handlers see: struct app is opaque to http/, so a test may define its own. */
struct app {
	const struct config *config;
	atomic_int running;  /* handlers of /wait, /after and /park that have begun */
	atomic_int gone;     /* those that saw their client leave */
	atomic_int finished; /* those of /after that went on to their end */
	atomic_bool gate;
};

struct test_edge {
	struct config config; /* set up by edge_prepare; may be changed before edge_begin */
	struct metrics *metrics;
	struct app app;
	struct http *http; /* NULL after edge_end */
};

void edge_prepare(struct test_edge *edge);
void edge_begin(struct test_edge *edge);
void edge_end(struct test_edge *edge, int64_t grace_ms);
void edge_release_all(struct test_edge *edge); /* edge_end first */

void edge_open_gate(struct test_edge *edge);
/* Waits until the value is reached; fails the process when that takes too long. */
void edge_await(const atomic_int *value, int wanted);
uint64_t edge_shed_count(struct test_edge *edge, const char *reason);
uint64_t edge_request_count(struct test_edge *edge, const char *route, const char *status);

/* A connected socket: to `listen`, or to ops.listen. */
int edge_connect(const struct test_edge *edge);
int edge_connect_ops(const struct test_edge *edge);

/* Everything until the peer closes, or `until` was seen (NULL: never); what took too long fails the process. */
struct reply_text {
	char text[EDGE_REPLY_MAX];
	size_t len;
	bool closed; /* by the peer */
};
void edge_send(int fd, const char *bytes, size_t len);
void edge_read(int fd, const char *until, struct reply_text *ret);
/* Sends on a connection of its own and reads until that is closed. */
void edge_talk(const struct test_edge *edge, const char *bytes, size_t len, struct reply_text *ret);

#endif
