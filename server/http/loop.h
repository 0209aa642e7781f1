/*
 * An event loop: one thread, its connections, and the engine (libmicrohttpd) that speaks HTTP on them.
 *
 * A connection belongs to one loop from its being offered to its being closed. The thread sleeps until one of these:
 * a socket of the engine is ready, another thread has left something (connections, answers, an order), a client has
 * left, a deadline is due. Others wake it through one eventfd, written at most once per turn of the loop.
 */
#ifndef TOKENFIRST_SERVER_HTTP_LOOP_H
#define TOKENFIRST_SERVER_HTTP_LOOP_H

#include "server/http/connection.h"
#include "server/http/edge.h"
#include "server/http/exchange.h"

struct loop;

/* ERR_SYSTEM, ERR_MEMORY, or ERR_INVALID: certificate or key can't be used. */
int loop_start(struct edge *edge, struct loop **ret_loop) MUST_CHECK;

/* Any thread. Connections that it has or is about to have. */
int loop_load(const struct loop *loop);
/* The acceptor: the connection with its socket is the loop's from here on. */
void loop_offer(struct loop *loop, struct connection *c);
/* Whoever answers: the exchange is the loop's from here on. */
void loop_answered(struct loop *loop, struct exchange *x);
/* Looks at edge->draining now: connections that are idle for LIMIT_HTTP_FAREWELL_MS are closed, now or then. */
void loop_drain(struct loop *loop);
/* Cuts every connection; handlers under way see that their client is gone. */
void loop_abort(struct loop *loop);
/* The acceptor and the crews must have ended, so that no exchange is suspended and none comes. Joins and frees. */
void loop_stop(struct loop *loop); /* NULL is fine */

/* For the engine, on the loop's thread. */
void loop_connection_opened(struct loop *loop, struct connection *c);
void loop_connection_closed(struct loop *loop, struct connection *c); /* frees it */
void loop_arm(struct loop *loop, struct connection *c, enum deadline deadline);
void loop_suspended(struct loop *loop, int delta);

#endif
