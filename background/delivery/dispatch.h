/*
 * Dispatch: an event's effects on their way from a request to their lanes, in four steps.
 *
 *   dispatch_plan       before the commit: which effects want it; places and memory are reserved
 *   dispatch_write      inside the commit job, with the session that the event is about
 *   dispatch_committed  on the committer's thread, once durable: the offers
 *   or dispatch_abandon if the commit failed: nothing was promised, everything is given back
 *   dispatch_inline     on the request's thread: inline effects, one after another
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_DISPATCH_H
#define TOKENFIRST_BACKGROUND_DELIVERY_DISPATCH_H

#include "background/delivery/pool.h"

struct dispatch_entry {
	struct target *target;
	int part;		/* effect_parts */
	const char *recipient;	/* effect_recipient, borrowed from the configuration */
	enum delivery delivery; /* as configured */
	enum { DISPATCH_ROW, DISPATCH_MEMORY, DISPATCH_DROPPED, DISPATCH_BACKLOG_FULL } way;
	bool spilled;	   /* fire-and-forget that got a row, because there was no place in memory for it */
	const char *why;   /* DISPATCH_DROPPED: static text */
	struct item *item; /* until it is offered */
	int64_t row;
};

struct dispatch {
	struct pool *pool;
	struct event *event; /* borrowed from the caller, who keeps it until the end */
	size_t count;
	struct dispatch_entry entries[LIMIT_DISPATCH];
};

/*
 * The rows that one event of a type may cause at most, by this configuration: more than LIMIT_DISPATCH are refused at
 * start, and dispatch relies on it.
 */
size_t dispatch_most(const struct config *config);

/* ERR_MEMORY: nothing is reserved. */
int dispatch_plan(struct dispatch *dispatch, struct pool *pool, struct event *event) MUST_CHECK;
/* After it, for a login: measures what blocking would have cost it, to which its caller adds its own time (event.h). */
void dispatch_measure_cost(struct dispatch *dispatch);
int dispatch_write(struct dispatch *dispatch, struct db *db) MUST_CHECK;
void dispatch_committed(struct dispatch *dispatch);
void dispatch_abandon(struct dispatch *dispatch);
/*
 * 0, or ERR_DENIED: an effect with on_failure reject failed; the request is to be refused, and those after it are dead.
 */
int dispatch_inline(struct dispatch *dispatch) MUST_CHECK;

#endif
