/*
 * The HTTP edge as a whole: listening sockets, one acceptor, event loops, crews.
 *
 * http_start binds (port 0 is fine), or takes the sockets that a service manager hands over (inherited.h) in place of
 * `listen` and `ops.listen`, and begins to accept; http_stop is the orderly end:
 * no new connection, requests under way are answered (`Connection: close`), up to `grace_ms`, then sockets
 * are closed. Everything between is documented in loop.h, crew.h, guard.h and exchange.h.
 *
 * SIGPIPE must be ignored by the process. Where ops.listen is set, routes with `ops` exist there alone, and nothing
 * else but /health/ does. Nothing is logged when it listens: the caller does that.
 */
#ifndef TOKENFIRST_SERVER_HTTP_HTTP_H
#define TOKENFIRST_SERVER_HTTP_HTTP_H

#include "background/telemetry/metrics.h"
#include "config/options.h"
#include "server/http/route.h"

struct http;

struct http_options {
	const struct config *config;
	struct metrics *metrics;
	const struct route *routes;
	size_t route_count;
	struct app *app;
	char *const *environment; /* where sockets to be taken over are named; NULL: there are none */
	/* A request thread's read connection; NULL function: threads get none. */
	int (*open_reader)(struct app *app, struct db **ret_db);
};

/* ERR_INVALID or ERR_SYSTEM: `ret_why` says what could not be done ("127.0.0.1:80: Permission denied"). */
int http_start(const struct http_options *options, struct http **ret_http, char ret_why[256]) MUST_CHECK;

/* The bound address, "127.0.0.1:8080" or "[::1]:8080"; `ops` "" if there is none of its own. */
const char *http_address(const struct http *http);
const char *http_ops_address(const struct http *http);

/*
 * The end is near: answers end their connections from now on, so that clients come back elsewhere, or later, and are
 * not in mid-request when theirs is closed. All else goes on.
 */
void http_announce_end(struct http *http);

/*
 * A client that has connected, or got an answer, less than LIMIT_HTTP_FAREWELL_MS ago may have a request on its way: it
 * is served. Longer idle connections are closed. A socket that was taken over stays open elsewhere, and what connects
 * after this waits there. A handler that still runs after the grace sees its client gone (exchange_gone) and is waited
 * for all the same: it uses services that the caller ends after this, and is bounded by the deadlines of those. NULL is
 * fine; frees.
 */
void http_stop(struct http *http, int64_t grace_ms);

#endif
