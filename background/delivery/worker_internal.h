/*
 * What the files of a worker share: worker.c (its thread), pump.c (its turns), flight.c (attempts), token_fetch.c
 * (access tokens), report.c (what is told of them), settle.c (outcomes), refill.c (the disk), inline.c (who waits).
 *
 * A turn looks at the lanes in which something has happened, or for which time has come, and at no other: whoever asks
 * for an item's lane (lane_of) is about to change it, and marks it so.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_WORKER_INTERNAL_H
#define TOKENFIRST_BACKGROUND_DELIVERY_WORKER_INTERNAL_H

#include <curl/curl.h>

#include "background/delivery/courier.h"
#include "background/delivery/inbox.h"
#include "background/delivery/lane.h"
#include "background/delivery/reactor.h"
#include "background/delivery/resolvers.h"
#include "background/delivery/settle_batch.h"
#include "background/delivery/token_cache.h"
#include "background/delivery/transfer.h"
#include "background/delivery/worker.h"
#include "config/limits.h"

#define REASON_STOPPING "stopping"

enum flight_stage {
	FLIGHT_SENDS,
	FLIGHT_FETCHES, /* an access token for its lane, before its attempt */
	FLIGHT_WAITS,	/* for another flight that does */
};

/* An attempt under way. */
struct flight {
	struct flight *next, *previous;
	struct transfer *transfer;
	struct item *item;
	size_t lane; /* whose it is for good: its handle is set up for that target, and may hold a connection to it */
	bool mail;   /* flown by a courier */
	struct errand errand;
	enum flight_stage stage;
	bool begun;	/* its attempt has begun before, with a token that was refused: it is not counted twice */
	bool renewed;	/* it has been sent again with another token, once */
	uint64_t token; /* with which it was sent: token_cache.number */
};

struct worker {
	struct worker_options options;
	pthread_t thread;
	bool started;
	int64_t started_ms;
	struct reactor *reactor;
	struct inbox inbox;
	atomic_bool begun;
	atomic_bool draining;
	atomic_int_fast64_t drain_deadline_us;
	atomic_int_fast64_t waits_end_us; /* INT64_MAX: not in sight */
	atomic_bool ordered;		  /* some target may have orders */
	struct settle_line settle_line;	  /* also the committer's */
	struct counter *connections_new, *connections_reused, *stale_settlements;

	/* the thread's own */
	struct db *reader;
	size_t lane_count;
	struct target *targets[LIMIT_TARGETS];
	struct lane *lanes[LIMIT_TARGETS];
	struct token_cache *tokens[LIMIT_TARGETS]; /* NULL: the target wants none */
	struct couriers *couriers[LIMIT_TARGETS];  /* NULL: not a lane of mails */
	struct flight *flights;			   /* under way */
	struct inline_wait *waits;		   /* request threads that wait, each for its item */
	long connections_kept;
	struct flight *idle[LIMIT_TARGETS];	       /* to be used again, by lane, linked by next */
	size_t idle_counts[LIMIT_TARGETS], idle_count; /* by lane, and all together */
	struct settle_batch *failed;		       /* to be posted again at retry_us */
	int64_t retry_us;
	struct resolvers resolvers;
	uint64_t touched;		     /* lanes in which something has happened, a bit each */
	uint64_t pumped;		     /* those looked at in this turn */
	uint64_t suspected;		     /* those with a suspect that waits to be alone */
	int64_t lanes_due_ms[LIMIT_TARGETS]; /* when time brings something about in them; INT64_MAX: not by itself */
	bool drains;			     /* the lanes have been told of the drain */
	struct item *suspect;		     /* under way, alone */
	uint64_t kept_out;		     /* in this turn, by the quarantine: look again soon */
	bool suspects_wait;		     /* some are ready: look again soon */
	unsigned orders[LIMIT_TARGETS];	     /* enum target_order, taken and not yet carried out */
};

static_assert(LIMIT_TARGETS <= 64, "a worker has a bit for each of its lanes");

static inline struct lane *lane_touch(struct worker *worker, size_t i)
{
	worker->touched |= UINT64_C(1) << i;
	return worker->lanes[i];
}

static inline struct lane *lane_of(const struct item *item)
{
	return lane_touch(item->target->worker, item->target->lane);
}

static inline struct token_cache *token_cache_of(const struct worker *worker, const struct item *item)
{
	return worker->tokens[item->target->lane];
}

/* flight.c */
void flight_begin(struct worker *worker, struct item *item);
/* A courier is back; one that was broken off by the drain's end leaves its flight under way, for flight_abort. */
void flight_flown(struct worker *worker, struct flight *flight);
void flight_end(struct worker *worker, struct flight *flight, CURLcode result);
/* The drain's end: stops an attempt and gives its item back, settling, with the attempt in its log. */
struct item *flight_abort(struct worker *worker, struct flight *flight);
void flights_release(struct worker *worker);
/* What an item is settled for. */
enum attempt_stage {
	ATTEMPT_ENDED,
	ATTEMPT_REFUSED, /* begun, its token refused, and there was no other: it does not count */
	ATTEMPT_MARKED,	 /* a suspect's, noted as begun, and not sent after all: nor does it */
	ATTEMPT_NONE,	 /* none had begun: there was no token, or no request */
};
/* What follows from a verdict, whose reason may get more words: for the lane, for who waits, for the row. `reply`: its
   first bytes; NULL: none. */
void flight_conclude(
	struct worker *worker, struct item *item, struct verdict *verdict, enum attempt_stage stage, const char *reply);
/* For token_fetch.c. Sends what the flight's item is about, with the lane's token. */
void flight_send(struct worker *worker, struct flight *flight);
/* Its transfer ended: reads the reply. */
void flight_read(struct worker *worker, struct flight *flight, CURLcode result, struct reply *ret_reply);
/* Nothing follows for the target: the item is tried again. */
void flight_give_up(struct worker *worker, struct flight *flight, const char *why);
/* Why no reply came, in more words than the table of verdicts has. */
void flight_add_words(struct verdict *verdict, const char *words);

/* token_fetch.c */
int token_fetch_new(struct worker *worker, const struct target *target) MUST_CHECK;
void token_fetch_release(struct worker *worker);
/* The flight has no token to be sent with: it fetches one, or waits for it. On failure it is as it was. */
int token_fetch_begin(struct worker *worker, struct flight *flight) MUST_CHECK;
/*
 * True: there is a token, and the flight is to be sent; false: a verdict on the target. Those that waited have gone on.
 */
bool token_fetch_end(struct worker *worker, struct flight *flight, CURLcode result, struct verdict *ret_verdict);
void token_fetch_abort(struct worker *worker, const struct flight *flight);
/* Whether nothing of this lane is to begin, because a token is on its way. */
bool token_fetch_holds(const struct worker *worker, size_t lane);

/* settle.c: the outcome of a settling item. */
struct outcome_note {
	enum lane_action action;
	const char *cause;  /* LANE_DEAD */
	const char *reason; /* never NULL */
	const char *reply;  /* first bytes; NULL: none */
	int64_t due_ms;	    /* LANE_AGAIN */
	bool uncounted;	    /* LANE_AGAIN: its attempt is stored as if it had not been begun */
	bool unsent;	    /* nothing has been sent: what crashes said of the effect stays */
};
void settle(struct worker *worker, struct item *item, const struct outcome_note *note);
/* The effect ended the process, alone: it is not sent again. A settling item. */
void settle_poison(struct worker *worker, struct item *item);
/* The target said that it is gone: kept in the store, so that a restart does not ask it again. */
void settle_gone(struct worker *worker, struct target *target, const char *reason);
/*
 * Notes that a suspect's attempt is about to begin, and waits until that is durable: else nobody knew what ended the
 * process.
 */
int settle_mark_alone(struct worker *worker, const struct item *item) MUST_CHECK;
void settle_mark_started(struct worker *worker, const struct item *item);
/* An effect without a row that is lost, and counted; the caller frees it. */
void settle_dropped(struct worker *worker, struct item *item, const char *reason);
/* Posts again what could not be written, once its time has come. */
void settle_retry(struct worker *worker, int64_t now_us);
/* Whether outcomes are on their way to be durable. */
bool settle_busy(const struct worker *worker);
/* A batch came back: durable, or not. */
void settle_done(struct worker *worker, struct settle_batch *batch, int64_t now_us);
void settle_release(struct worker *worker);
/* Writes what is left of fire-and-forget effects to the outbox; a list by `next`, which it frees. */
void settle_spill(struct worker *worker, struct item *items);

/* report.c: what is told of attempts. The first one's duration is its part of what blocking would have cost, once. */
void report_measure(struct item *item, int64_t duration_us);
void report_dead(const struct item *item, const char *cause, const char *reason);
/* Into the effect's own log. */
void report_attempt(struct item *item, enum outcome outcome, int status, const char *reason);
/* The same, and the metrics. */
void report_ended(struct item *item, const struct verdict *verdict, int status);
void report_breaker(const struct item *item, const struct verdict *verdict);
/* By Retry-After, until then. */
void report_told(const struct item *item, const struct verdict *verdict, int64_t until_ms);

/* pump.c: a turn's work with the lanes. Orders are taken before messages are. */
void pump_take_orders(struct worker *worker);
void pump_lanes(struct worker *worker, int64_t now_ms);
/* Sends one suspect, if nothing else is under way in the process. */
void pump_suspects(struct worker *worker, int64_t now_ms, int64_t now_us);
/* No lane reads from disk any more. */
void pump_drain(struct worker *worker);
/* After what has ended is known, and before the sleep, which may be long. */
void pump_show(struct worker *worker, int64_t now_ms);
/* When a lane may next have something to do; INT64_MAX: not by time alone. */
int64_t pump_due_in_ms(const struct worker *worker, int64_t now_ms);

/* refill.c: reads what a lane wants of its backlog from disk. */
void refill(struct worker *worker, struct lane *lane, struct target *target, int64_t now_ms);

/* inline.c: a request thread's message: its effect's turn, or that it will have none. */
void inline_turn(struct worker *worker, struct inline_wait *wait);
/*
 * Ends a request thread's wait for this item, if there is one; where the result refuses its request, once
 * inline_settled.
 */
void inline_finish(struct item *item, int result);
/* What came of the item is durable, or could not be made so for now: ends the wait that there may still be. */
void inline_settled(struct item *item);
/* The effect of a request that is refused: a settling item, dead for that reason. */
void inline_refused(struct worker *worker, struct item *item, const char *reason);
/* Ends the waits for items of a lane that can't be sent now. */
void inline_refuse_waiting(struct worker *worker, struct lane *lane, const char *reason);
/* Ends them all, each with what is known by now. */
void inline_end_all(struct worker *worker);
/* The same once a stop says so. */
void inline_end_waits(struct worker *worker, int64_t now_us);

/* Ends the worker's sleep, or its next one. Any thread. */
static inline void worker_wake(struct worker *worker)
{
	reactor_wake(worker->reactor);
}

#endif
