/*
 * HTTP/1.1 by libmicrohttpd: engine.c is the only file that knows it. One engine (an MHD daemon in external epoll mode:
 * no thread of its own, no listening socket) belongs to one loop, whose thread makes every call here but the
 * two accessors.
 *
 * Why our own loop: PITFALLS of the internal epoll thread, which sleeps on unread events when exactly 128 come at once.
 */
#ifndef TOKENFIRST_SERVER_HTTP_ENGINE_H
#define TOKENFIRST_SERVER_HTTP_ENGINE_H

#include "server/http/connection.h"
#include "server/http/edge.h"
#include "server/http/exchange.h"

struct engine;
struct loop;

/* ERR_MEMORY, or ERR_INVALID: it did not start (with TLS: certificate or key can't be used). */
int engine_start(struct edge *edge, struct loop *loop, struct engine **ret_engine) MUST_CHECK;
/* No connection may be suspended. Ends every connection (the loop's callbacks run). NULL is fine. */
void engine_stop(struct engine *engine);

int engine_fd(const struct engine *engine);		/* readable when engine_run has something to do */
int64_t engine_timeout_ms(const struct engine *engine); /* until it wants to run in any case, -1: never */
void engine_run(struct engine *engine);

/* Takes socket and connection over in any case; without memory both are gone at once. */
void engine_add(struct engine *engine, struct connection *c);
/* An answered exchange whose connection is suspended: its answer is sent in the next engine_run. */
void engine_resume(struct exchange *x);

/*
 * The request's own header or query argument, NULL: absent. Lives until the answer. The thread that has the
 * exchange: while it is suspended the engine does not touch the connection (it is in no list that engine_run walks), so
 * a crew thread may read the parsed request there; the queue through which the exchange came orders the memory.
 */
const char *engine_header(const struct exchange *x, const char *name);
const char *engine_query(const struct exchange *x, const char *name);
/* NULL also if there is more than one line of that name. */
const char *engine_header_once(const struct exchange *x, const char *name);

/* libmicrohttpd's. */
const char *engine_version(void);

#endif
