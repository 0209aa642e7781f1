/*
 * The inside of an exchange, for http/ alone.
 *
 * Who may touch it: the loop's thread until it is offered to a crew; then one crew thread until the answer; from
 * exchange_hand_over on the loop's thread again, which sends the answer and frees it. A parked one belongs to whoever
 * will resume it. All hand-overs go through the queues' locks, so nothing in here is atomic but the connection's `gone`.
 */
#ifndef TOKENFIRST_SERVER_HTTP_EXCHANGE_INTERNAL_H
#define TOKENFIRST_SERVER_HTTP_EXCHANGE_INTERNAL_H

#include <sys/queue.h>

#include "config/limits.h"
#include "server/http/edge.h"
#include "server/http/exchange.h"
#include "server/http/guard.h"

struct loop;

struct reply {
	int status;		  /* 0: none yet, or nobody is there to get one */
	const char *content_type; /* static; NULL: none */
	char *body;		  /* heap, unless it is lasting; NULL: empty */
	size_t len;
	bool lasting;
	char *headers[LIMIT_HTTP_REPLY_HEADERS]; /* heap: name, NUL, value, NUL */
	size_t header_count;
	char cache[64];	    /* of Cache-Control; "": no-store */
	const char *policy; /* of Content-Security-Policy; NULL: nothing may be loaded */
	bool close;	    /* the connection ends after it */
};

struct exchange {
	struct edge *edge;
	struct loop *loop;
	struct connection *connection;
	void *request; /* the engine's own handle */
	const struct route_table *table;
	const struct route *route; /* NULL: none (yet) */
	const char *method, *path; /* the engine's memory */
	char *parameter;	   /* NULL: none */
	struct guard_verdict target;
	const char *raw_target; /* where it lies in the engine's memory, unescaped in place since */
	size_t raw_target_len;
	const char *cors_origin; /* the config's, whose page made the request and may read the answer; NULL: none */
	char client[INET6_ADDRSTRLEN];	       /* the connection's, or what a trusted proxy says */
	char request_id[LIMIT_REQUEST_ID + 1]; /* "" until the headers are read */
	char traceparent[TRACEPARENT_SIZE];    /* "" until somebody asks */
	struct buf body;
	int64_t started_us, queued_us;
	bool with_crew; /* an answer goes through the loop's queue */
	bool headers_seen, answered, sent;
	bool *note; /* on the handler's stack: set when it answers or parks, for then nothing else of x may be read */
	void (*then)(struct exchange *x, struct request_thread *thread, void *arg); /* parked; NULL: not */
	void *then_arg;
	struct reply reply;
	STAILQ_ENTRY(exchange) link; /* in a crew's queue, then in its loop's list of answered ones */
};

STAILQ_HEAD(exchange_queue, exchange);

/* NULL without memory. */
struct exchange *exchange_new(struct edge *edge, struct loop *loop, struct connection *c, int64_t now_us);
void exchange_free(struct exchange *x); /* NULL is fine */

/*
 * Runs the route's handler, or what a parked exchange goes on with; one that neither answers nor parks is answered for
 * with a 500. x is not ours afterwards.
 */
void exchange_handle(struct exchange *x, struct request_thread *thread);

/* Ends an exchange that nobody waits for: the connection is closed without an answer. */
void exchange_abandon(struct exchange *x);

#endif
