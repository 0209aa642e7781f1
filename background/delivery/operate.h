/*
 * What operators do to a running pool: pause, resume, replay, discard, and look. Any thread that may wait for a commit,
 * so no worker's and not the committer's.
 *
 * A change is durable when these return, and the workers have been told of it: by a flag that each takes in its next
 * turn.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_OPERATE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_OPERATE_H

#include "background/delivery/pool.h"
#include "background/store/outbox_admin.h"

/*
 * Holds targets back, and lets them go again, also after a 410 or an open breaker, which then probes at once. "crm", or
 * "hooks" for all targets of that effect, "hooks.shop" for one. Both may be repeated. ERR_NOT_FOUND: no such effect; or
 * the store's error.
 */
int pool_pause(struct pool *pool, const char *name, const char *reason) MUST_CHECK;
int pool_resume(struct pool *pool, const char *name) MUST_CHECK;

/*
 * Dead letters are owed again (outbox_replay), in batches, until none is left that fits the filter. Those of effects
 * that are configured no more stay dead and are not counted: nobody would send them. No target is brought beyond its
 * max_pending: with some left for that reason, or because a stop has begun, `ret_tally->more` is true. `dry_run`: only
 * counts. On an error `ret_tally` says what had been done.
 */
int pool_replay(
	struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally) MUST_CHECK;
/* Dead letters, or pending rows, by the filter's state, are given up; of effects that are configured no more, too. `more`: a
   stop has begun before all were. */
int pool_discard(
	struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally) MUST_CHECK;
/* The janitor removed dead letters: any thread. */
void pool_removed(struct pool *pool, const struct outbox_tally *tally);

/*
 * When a pending effect that is due at `due_ms` is next tried: what its target waits for comes before what the effect
 * itself waits for. Returns why the target waits, NULL if it does not; `ret_next_ms` 0: nobody can tell.
 */
const char *pool_next_attempt(struct pool *pool, const char *name, int64_t due_ms, int64_t *ret_next_ms);

/* A target as it stands. Texts without a length are the configuration's, or static. */
struct target_view {
	const char *name, *effect, *target; /* target NULL: the only one */
	const char *type, *delivery;
	const char *breaker;		  /* breaker_state_text */
	char breaker_cause[LIMIT_REASON]; /* why it opened; "" while it is closed */
	bool paused;
	char pause_reason[LIMIT_REASON]; /* an operator's, or what the target said with its 410 */
	int64_t told_until_ms;		 /* by a Retry-After; 0: no */
	const char *waits_for;		 /* why what is owed waits; NULL: it does not */
	int64_t waits_until_ms;		 /* 0: until it is resumed, or it does not wait */
	int64_t pending, in_flight;
	int64_t oldest_due_ms;	   /* 0: nothing due waits */
	int64_t dead[CAUSE_COUNT]; /* by target_causes */
};
/* ERR_NOT_FOUND: there are not so many. */
int pool_view(struct pool *pool, size_t index, struct target_view *ret_view) MUST_CHECK;

#endif
