/*
 * What acceptor, loops, crews and exchanges share: the configuration, the routes, the counts of what is open, and
 * the metrics of the server's edge. Constant after edge_init but for the atomics; any thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_EDGE_H
#define TOKENFIRST_SERVER_HTTP_EDGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "background/telemetry/metrics.h"
#include "config/id.h"
#include "config/options.h"
#include "server/http/connection.h"
#include "server/http/forwarded.h"
#include "server/http/http.h"
#include "server/http/route.h"

struct crew;

enum shed {
	SHED_CONNECTIONS, /* http.connections are open */
	SHED_DESCRIPTORS, /* the process has no descriptor or memory for another connection */
	SHED_CREW_QUEUE,
	SHED_CREW_DEADLINE,
	SHED_CLIENT_GONE,
	SHED_HEADER_DEADLINE, /* in the order of enum deadline */
	SHED_BODY_DEADLINE,
	SHED_REPLY_DEADLINE,
	SHED_COUNT
};

enum { EDGE_STATUSES = 24 }; /* those with a counter of their own; the rest are "other" */

/* The routes that one listening address has, with their metrics; the last row stands for requests without a route. */
struct route_table {
	struct route *routes;
	size_t count;
	struct counter **requests;  /* [count + 1][EDGE_STATUSES] */
	struct histogram **seconds; /* [count + 1] */
};

struct edge {
	const struct config *config;
	struct app *app;
	struct forwarded forwarded;
	struct id_series request_ids;
	struct route_table main, ops;	/* ops: used only where ops.listen is set */
	struct crew *crews[CREW_COUNT]; /* NULL for CREW_LOOP */
	char *certificate, *key;	/* PEM texts; NULL: no TLS */

	atomic_bool parting;	/* answers carry Connection: close */
	atomic_bool draining;	/* and nothing new is accepted; idle connections are closed */
	atomic_int connections; /* accepted and not closed yet */

	pthread_mutex_t lock; /* guards nothing but the wait for the last connection */
	pthread_cond_t quiet; /* draining, and no connection is open */

	struct counter *shed[SHED_COUNT];
	struct gauge *connections_open;
	struct histogram *crew_wait[CREW_COUNT];
};

int edge_init(struct edge *edge, const struct http_options *options) MUST_CHECK;
void edge_release(struct edge *edge);

const struct route_table *edge_table(const struct edge *edge, const struct connection *c);

void edge_connection_opened(struct edge *edge);
void edge_connection_closed(struct edge *edge);

/* `route` NULL: none matched. `status` 0: no answer was sent. */
void edge_exchange_ended(const struct route_table *table, const struct route *route, int status, int64_t duration_us);

/* Waits until no connection is open, at most that long. `draining` must be set. Returns how many still are. */
int edge_wait_quiet(struct edge *edge, int64_t timeout_ms);

void edge_shed(struct edge *edge, enum shed reason);

#endif
