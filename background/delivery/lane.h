/*
 * A lane: one target's queue as one worker holds it. Its window on the backlog, its limits,
 * its breaker. No I/O, no clock, no lock: now comes in, and only the owning worker calls.
 *
 * What is held in memory: at most LIMIT_LANE_WINDOW durable effects (more for inline ones, whose number
 * request threads bound) and what dispatch reserved of fire-and-forget ones. The rest of the
 * backlog waits on disk, and the lane knows only that it does (`on_disk`) and when to look next.
 * While it does, new durable offers are turned away, so that the order of the backlog is kept.
 *
 * The rule that makes this safe: a row's offer arrives before anything that follows from it
 * (committer.h), and an id is forgotten only when its settlement is durable and has been heard of.
 * So a refill that reads a row twice finds it held, and an offer that comes after a refill has read its row finds
 * it held. (An inline effect is not to be read before its offer, whose hold it would escape: refill.c.)
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_LANE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "background/delivery/breaker.h"
#include "background/delivery/item.h"
#include "background/delivery/retry.h"
#include "config/options.h"

struct lane;

/* `config` must outlive the lane. NULL without memory. */
struct lane *lane_new(const struct effect_config *config);
/* Frees the items that are still held, too. */
void lane_free(struct lane *lane);

/*
 * Takes over an item: ready (or in backoff, if due later), or held back if `hold`. False: not
 * taken, the caller keeps it; the window is full or a backlog waits on disk (the item's row waits there, too), or
 * the row is held already.
 */
bool lane_offer(struct lane *lane, struct item *item, bool hold, int64_t now_ms);
/*
 * A held item's turn has come: it goes before all that nobody waits for, behind those that `waiter`s wait for
 * already. NULL: no such item is held back.
 */
struct item *lane_release(struct lane *lane, int64_t row, struct inline_wait *waiter);
/*
 * Of the ready items that somebody waits for, the first goes to the back of the queue; the caller ends the wait.
 * NULL: there is none.
 */
struct item *lane_demote(struct lane *lane);

/* A ready item taken out of the queue again: it is settling. */
void lane_unqueue(struct lane *lane, struct item *item);

/* The next item to send, now flying and counted as in flight; NULL: nothing may begin now. */
struct item *lane_start(struct lane *lane, int64_t now_ms);

/* What becomes of an item whose attempt ended (or that could not be sent at all). */
enum lane_action { LANE_DELIVERED, LANE_AGAIN, LANE_DEAD, LANE_SKIPPED };
struct lane_decision {
	enum lane_action action;
	int64_t due_ms;	   /* LANE_AGAIN */
	const char *cause; /* LANE_DEAD: CAUSE_* */
	bool breaker_changed;
};

/* The attempt of a flying item ended with a verdict. The item is settling now. */
struct lane_decision lane_end(
	struct lane *lane, struct item *item, const struct verdict *verdict, int64_t now_ms, uint32_t random);
/* The flying item was not sent: no request could be made of it. No attempt, no news of the target. */
void lane_withdraw(struct lane *lane, struct item *item);

/* A settling item's outcome is durable. Terminal: forgotten and handed back to the caller, who frees it. */
void lane_forget(struct lane *lane, struct item *item);
/*
 * To be tried again at item->due_ms: kept in the heap (true), or, where too many wait there, forgotten and handed
 * back (false): it is on disk and will be read again when due.
 */
bool lane_wait(struct lane *lane, struct item *item);

/* The backlog on disk. */
bool lane_wants_refill(const struct lane *lane, int64_t now_ms);
/* Before the rows of a refill are offered; from here on the lane knows of no backlog but what it is told. */
void lane_refill_begin(struct lane *lane);
/* A refill read `rows` due rows of at most `limit`; the earliest later row is due at `next_due_ms` (INT64_MAX: none). */
void lane_refilled(struct lane *lane, int rows, int limit, int64_t next_due_ms);
/* Rows of this lane may be on disk that were never offered. */
void lane_note_disk(struct lane *lane);
/* No more refills: what is on disk stays there for the next start. */
void lane_drain(struct lane *lane);
bool lane_holds(const struct lane *lane, int64_t row);

/* When lane_start or a refill may next find something to do; INT64_MAX: not by time alone. */
int64_t lane_due_ms(const struct lane *lane, int64_t now_ms);

/* Removes any item that is not flying or settling, for the end of a drain; NULL: none left. */
struct item *lane_take(struct lane *lane);

/* Whether something held here is due: what a drain waits for. */
bool lane_busy(struct lane *lane, int64_t now_ms);
/* When the longest-waiting due item became due; 0: none waits. */
int64_t lane_oldest_due_ms(const struct lane *lane);

size_t lane_in_flight(const struct lane *lane);
const struct breaker *lane_breaker(const struct lane *lane);

#endif
