/*
 * An item: one effect as a lane holds it in memory, from the offer to its settlement.
 *
 * Made by dispatch before the commit (so that a promise is never without memory) or by a
 * refill from disk; afterwards owned by its lane and touched by that lane's worker only.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_ITEM_H
#define TOKENFIRST_BACKGROUND_DELIVERY_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "background/delivery/inbox.h"
#include "background/effects/effect.h"
#include "background/effects/event.h"

enum item_place {
	ITEM_LOOSE,    /* not in a lane */
	ITEM_HELD,     /* inline: its row is committed, its turn has not come */
	ITEM_READY,    /* due, in the lane's queue */
	ITEM_BACKOFF,  /* due later, in the lane's heap */
	ITEM_FLYING,   /* a transfer is under way */
	ITEM_SETTLING, /* its outcome waits to be durable */
};

struct inline_wait;
struct target;

struct item {
	struct event *event; /* one reference */
	struct target *target;
	int64_t row;	  /* effects.id; 0: fire-and-forget, in memory only */
	int part;	  /* effect_parts */
	char *recipient;  /* effect_recipient; NULL: "" */
	int attempts;	  /* begun so far, the present one included; never falls, as settlements are fenced by it */
	int spent;	  /* of those, the ones before it was replayed, which no longer count against max_attempts */
	bool again;	  /* an attempt of it has ended: it queues apart from first tries */
	bool suspect;	  /* was in flight at LIMIT_CRASHES crashes: is sent alone and last */
	int64_t since_ms; /* what its age counts from: the event's creation, or the replay */
	int64_t due_ms;
	enum item_place place;
	bool held;		    /* offered as inline: waits for its turn */
	bool probe;		    /* the present attempt is its breaker's probe */
	bool measured;		    /* its first attempt counts in the event's cost of blocking */
	char *log;		    /* attempts as a JSON array; NULL: none yet */
	struct inline_wait *waiter; /* a request thread that waits for the first attempt; NULL */
	uint64_t recent;	    /* fire-and-forget: its ticket in recent.h */
	int64_t sent_us;	    /* clock_mono_us of the present attempt's start */
	int64_t sent_ms;	    /* the same by the wall */

	struct message message; /* its offer on the way to the worker */

	/* the lane's own */
	struct item *next, *previous; /* ready queue */
	struct item *chain;	      /* hash chain by row */
	int line;		      /* which of the ready queues it is in */
	int room;		      /* in which part of the window it is counted */
};

/* Takes a reference of its own to the event. NULL without memory. */
struct item *item_new(struct event *event, int64_t due_ms);
void item_free(struct item *item); /* NULL is fine */

/* How one attempt went. */
struct attempt {
	int number;
	int64_t start_ms, duration_us;
	enum outcome outcome;
	int status; /* 0: none */
	const char *reason;
};

/*
 * The log with one more attempt, as a new text (free it); NULL without memory. `log` NULL or broken
 * counts as empty. Beyond LIMIT_ATTEMPT_LOG the second oldest goes: the first and the latest stay.
 */
char *attempt_log_append(const char *log, const struct attempt *attempt);

#endif
