/*
 * The pool: workers, targets, and what they share. Put together at start, taken down in
 * two steps around the committer's end.
 *
 * This folder, from the outside in:
 *   the pool         pool, target (one destination, as all threads see it), dispatch (a request's way in), operate (an operator's),
 *                    recent (what became of effects without rows)
 *   a worker         worker (its loop), inbox, pump (what may begin now), flight (an attempt), settle (its outcome), refill
 *                    (the backlog on disk), inline (request threads that wait), report (what is told of it all),
 *                    token_cache and token_fetch (OAuth2), quarantine (suspects alone)
 *   a transfer       transfer, transfer_mail, mail_sockets, reply_head, resolvers, courier: all that knows libcurl
 *   pure decisions   lane (what goes next: window, lineup, queue, due_heap; when: gate, bucket, breaker), retry, item
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_POOL_H
#define TOKENFIRST_BACKGROUND_DELIVERY_POOL_H

#include "background/delivery/recent.h"
#include "background/delivery/target.h"
#include "background/store/committer.h"
#include "config/options.h"

struct pool;

/*
 * Puts it together; nothing is sent before pool_begin, though effects may be offered. A start that fails in between, on
 * a port in use say, has then neither sent anything nor to wait for it: tried again each second, it would use up
 * attempts.
 */
/* ERR_LIMIT: dispatch_most is beyond LIMIT_DISPATCH. */
int pool_prepare(const struct config *config, struct store *store, struct committer *committer, struct metrics *metrics,
	struct pool **ret_pool) MUST_CHECK;
/*
 * How links in mails are made, before pool_begin; `links` must outlive the pool. Without it such mails can't be built.
 */
void pool_set_links(struct pool *pool, const struct link_maker *links);
/* Takes up what the outbox still owes, at once. */
void pool_begin(struct pool *pool);
/* Both. */
int pool_start(const struct config *config, struct store *store, struct committer *committer, struct metrics *metrics,
	struct pool **ret_pool) MUST_CHECK;

/* Constant array. */
struct target *pool_targets(struct pool *pool, size_t *ret_count);
struct recent *pool_recent(struct pool *pool);
/* Measures for this event what blocking would have cost (event.h). */
void pool_measure_cost(struct pool *pool, struct event *event, int parts);

/* Whether every worker takes its messages in time. */
bool pool_progressing(struct pool *pool);

/*
 * A stop has begun: from `at_us` on no request waits for an inline effect any more, and a replay or discard ends with
 * the batch that it is at. To be called before the edge is stopped, which waits for its requests; `at_us` a little
 * before the end of that time, so that they are answered. NULL is fine.
 */
void pool_end_waits(struct pool *pool, int64_t at_us);

/* How long it takes to write down what is in memory now, for who plans a stop. NULL: 0. */
int64_t pool_spill_us(const struct pool *pool);
/* Delivers what is due, writes what is left to the outbox, and ends the workers, all of it by `deadline_us`. */
void pool_drain(struct pool *pool, int64_t deadline_us);

/* What a drain came to. */
struct pool_totals {
	int64_t delivered; /* since pool_end_waits, or the start of the process without it */
	int64_t kept;	   /* in the outbox for the next start */
	int64_t dropped;   /* in all, since the start of the process */
};
/* After the committer has stopped: the last settlements are counted and everything is freed. NULL is fine. */
void pool_stop(struct pool *pool, struct pool_totals *ret_totals);

#endif
