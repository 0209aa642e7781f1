/*
 * A target: what an effect is sent to, as all threads see it. Constant configuration, the
 * counts that limits are checked against, and the metrics. The queue itself is private to the
 * worker that owns the target (lane.h).
 *
 * Counts are reserved before a promise is made and given back when it is settled, so that
 * max_pending is exact however many requests race for the last place.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_TARGET_H
#define TOKENFIRST_BACKGROUND_DELIVERY_TARGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "background/effects/effect.h"
#include "background/store/outbox.h"
#include "background/telemetry/metrics.h"
#include "config/options.h"

enum effect_end { END_DELIVERED, END_DEAD, END_DROPPED, END_DISCARDED, END_SKIPPED, END_COUNT };

/* Dead letters are counted by cause; the order of target_causes. */
enum { CAUSE_COUNT = 7 };
extern const char *const target_causes[CAUSE_COUNT];

struct worker;

/*
 * What may happen at each login is logged at most once in LIMIT_TELL_MS: a log of one line a login hides what else is
 * in it. Any thread.
 */
struct tell {
	atomic_int_fast64_t next_us; /* clock_mono_us */
	atomic_int_fast64_t untold;
};
/* True: to be logged now, and how many before it were not. */
bool target_tell(struct tell *tell, int64_t now_us, int64_t *ret_untold);

/* Why what is offered now would wait. */
enum target_parking { TARGET_TAKING, TARGET_BREAKER, TARGET_TOLD, TARGET_PAUSED };

/* What the worker is to do with the lane in its next turn: operate.h. */
enum target_order {
	ORDER_HOLD = 1 << 0,   /* to be paused or resumed, as `on_hold` says */
	ORDER_REREAD = 1 << 1, /* rows were taken away behind its back */
	ORDER_NOTE = 1 << 2,   /* rows were added, or one was offered and found no room in the inbox */
};

/* Texts that a worker or an operator sets and others read: by target_say and target_said. */
enum target_saying { SAYING_BREAKER, SAYING_PAUSE, SAYING_COUNT };

struct target {
	const struct effect_config *config;
	const struct link_maker *links; /* of the pool's owner; NULL: none; constant once deliveries begin */
	const struct effect_kind *kind;
	struct worker *worker; /* its owner */
	size_t lane;	       /* index in that worker */
	struct shelf shelf;    /* mail templates; the worker's alone */

	atomic_int_fast64_t pending;	   /* rows owed, durable and inline */
	atomic_int_fast64_t in_memory;	   /* fire-and-forget effects owed */
	atomic_int_fast64_t oldest_due_ms; /* 0: nothing waits */

	/* as the worker last told */
	atomic_int parking;		     /* enum target_parking */
	atomic_int_fast64_t parked_until_ms; /* INT64_MAX: until told otherwise */
	atomic_int_fast64_t told_until_ms;   /* end of the pause that a Retry-After asked for; 0: none */

	atomic_bool on_hold; /* by an operator */
	atomic_uint orders;  /* of enum target_order; the worker takes them */

	struct tell full_told, dead_told, wait_told; /* an effect without room; one that is dead; a Retry-After */

	pthread_mutex_t lock; /* guards the sayings */
	char sayings[SAYING_COUNT][LIMIT_REASON];

	struct counter *tokens_fetched, *tokens_refused; /* NULL where none are wanted */
	struct counter *created, *spilled, *replayed, *ends[END_COUNT], *attempts[OUTCOME_COUNT];
	struct histogram *attempt_seconds, *queue_seconds, *end_to_end_seconds;
	struct gauge *pending_gauge, *in_flight, *oldest_due, *breaker, *dead[CAUSE_COUNT];
	struct gauge *paused, *retry_after;
};

void target_init(struct target *target, const struct effect_config *config, struct metrics *metrics);
void target_release(struct target *target);

/* A place under max_pending (or LIMIT_LANE_MEMORY), to be given back by the matching release. */
bool target_reserve_row(struct target *target);
bool target_reserve_memory(struct target *target);
/* As many of `count` places for rows as there are. */
int64_t target_reserve_rows(struct target *target, int64_t count);
void target_release_rows(struct target *target, int64_t count);
void target_release_row(struct target *target);
void target_release_memory(struct target *target);

/* What they hold in memory, all together: what a stop has to write. Any thread. */
int64_t targets_in_memory(const struct target *targets, size_t count);

/* An effect came to its end: counted once, and as a dead letter if it is one. */
void target_count_end(struct target *target, enum effect_end end, const char *cause);
void target_add_dead(struct target *target, const char *cause, int64_t count);

/* Why an effect that is offered now would wait, for people; NULL: it would not. Any thread. */
const char *target_parked(const struct target *target, int64_t now_ms);
const char *target_parking_text(enum target_parking parking); /* not for TARGET_TAKING */
/* Worker: what is offered before `until_ms` would wait. */
void target_park(struct target *target, enum target_parking parking, int64_t until_ms);

/* Sets a text (cut to LIMIT_REASON), or copies it out. Any thread. */
void target_say(struct target *target, enum target_saying saying, const char *text);
void target_said(struct target *target, enum target_saying saying, char ret_text[LIMIT_REASON]);

/* Refreshes the gauges that are kept as counts; before a scrape. */
void target_refresh(struct target *target, int64_t now_ms);

#endif
