/*
 * A crew: a few request threads that run handlers as straight-line code, behind a bounded queue.
 *
 * Overload sheds: a full queue refuses (the loop answers 503), an exchange that has waited longer than the crew's
 * deadline is answered 503 without being begun, one whose client has left is dropped. Parked exchanges
 * (exchange_park) count as waiting in the queue, but for as many as there are threads; resumed ones go before those that
 * were not begun.
 */
#ifndef TOKENFIRST_SERVER_HTTP_CREW_H
#define TOKENFIRST_SERVER_HTTP_CREW_H

#include "server/http/edge.h"
#include "server/http/exchange.h"

struct crew;

struct crew_options {
	struct edge *edge;
	enum crew_kind kind;
	const struct crew_config *config;
	int (*open_reader)(struct app *app, struct db **ret_db); /* NULL: threads get no read connection */
};

/* ERR_MEMORY, ERR_SYSTEM, or what open_reader said. */
int crew_start(const struct crew_options *options, struct crew **ret_crew) MUST_CHECK;

/* The exchange is the crew's on 0. ERR_LIMIT: the queue is full; ERR_CLOSED: stopping. */
int crew_offer(struct crew *crew, struct exchange *x) MUST_CHECK;

/* For exchange_park and exchange_resume. */
void crew_park(struct crew *crew);
void crew_resume(struct crew *crew, struct exchange *x);

/*
 * Refuses what waits (503) and what is still offered; waits for handlers that run and for what is parked: they use
 * services that end later.
 */
void crew_stop(struct crew *crew); /* NULL is fine */
/* Stopped, and no loop runs any more that could offer. NULL is fine. */
void crew_free(struct crew *crew);

#endif
