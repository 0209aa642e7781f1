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

#include <stdatomic.h>
#include <stdbool.h>

#include "background/effects/effect.h"
#include "background/store/outbox.h"
#include "background/telemetry/metrics.h"
#include "config/options.h"

enum effect_end { END_DELIVERED, END_DEAD, END_DROPPED, END_DISCARDED, END_SKIPPED, END_COUNT };

/* Dead letters are counted by cause; the order of target_causes. */
enum { CAUSE_COUNT = 6 };
extern const char *const target_causes[CAUSE_COUNT];

struct worker;

/*
 * What may happen at each login is logged at most once in LIMIT_TELL_MS: a log of one line a login hides what else is in
 * it. Any thread.
 */
struct tell {
	atomic_int_fast64_t next_us; /* clock_mono_us */
	atomic_int_fast64_t untold;
};
/* True: to be logged now, and how many before it were not. */
bool target_tell(struct tell *tell, int64_t now_us, int64_t *ret_untold);

struct target {
	const struct effect_config *config;
	const struct effect_kind *kind;
	struct worker *worker; /* its owner */
	size_t lane;	       /* index in that worker */

	atomic_int_fast64_t pending;	   /* rows owed, durable and inline */
	atomic_int_fast64_t in_memory;	   /* fire-and-forget effects owed */
	atomic_int_fast64_t oldest_due_ms; /* 0: nothing waits */
	atomic_bool overflowed;		   /* an offer did not reach the worker: its row is on disk */

	struct tell full_told, dead_told; /* max_pending reached; an effect that is dead */

	struct counter *created, *spilled, *ends[END_COUNT], *attempts[OUTCOME_COUNT];
	struct histogram *attempt_seconds, *queue_seconds, *end_to_end_seconds;
	struct gauge *pending_gauge, *in_flight, *oldest_due, *breaker, *dead[CAUSE_COUNT];
};

void target_init(struct target *target, const struct effect_config *config, struct metrics *metrics);

/* A place under max_pending (or LIMIT_LANE_MEMORY), to be given back by the matching release. */
bool target_reserve_row(struct target *target);
bool target_reserve_memory(struct target *target);
void target_release_row(struct target *target);
void target_release_memory(struct target *target);

/* An effect came to its end: counted once, and as a dead letter if it is one. */
void target_count_end(struct target *target, enum effect_end end, const char *cause);
void target_add_dead(struct target *target, const char *cause, int64_t count);

/* Refreshes the gauges that are kept as counts; before a scrape. */
void target_refresh(struct target *target, int64_t now_ms);

#endif
