/*
 * A lane: one target's queue as one worker holds it. Its window on the backlog, its limits,
 * its breaker. No I/O, no clock, no lock: now comes in, and only the owning worker calls.
 *
 * First tries and those to be tried again (the classes of outbox.h) are kept apart all the way: each has half of the
 * window, a queue, a backlog on disk and refills of its own, and where both are ready they begin in turns, one to one.
 * So a storm of retries can neither starve new work nor fill its window, and new work can't keep retries waiting for
 * good. Suspects have a list beside the window and begin only by lane_start_suspect.
 *
 * What is held in memory: at most LIMIT_LANE_WINDOW durable effects (more for inline ones, whose number request threads
 * bound), LIMIT_LANE_SUSPECTS suspects, and what dispatch reserved of fire-and-forget ones. The rest of the backlog
 * waits on disk, and the lane knows only that it does and when to look next. While it does, new durable offers of its
 * class are turned away, so that the order of the backlog is kept.
 *
 * An attempt begins when something is ready and all of these let it: max_in_flight, the rate, the breaker, a pause
 * by an operator, and a pause that the target itself asked for by Retry-After.
 *
 * The rule that makes this safe: a row's offer arrives before anything that follows from it
 * (committer.h), and an id is forgotten only when its settlement is durable and has been heard of, or when the lane
 * notes that the disk has to be read again (lane_reread).
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
#include "background/store/outbox.h"
#include "config/options.h"

struct lane;

/* `config` must outlive the lane. NULL without memory. */
struct lane *lane_new(const struct effect_config *config);
/* Frees the items that are still held, too. */
void lane_free(struct lane *lane);

/*
 * Takes over an item: ready (or in backoff, if it is to be tried again later: a first try is due whatever the clock
 * says), or held back if `hold`. False: not taken, the caller keeps it; its part of the window is full or a backlog of
 * its class waits on disk (the item's row waits there, too), or the row is held already.
 */
bool lane_offer(struct lane *lane, struct item *item, bool hold, int64_t now_ms);
/*
 * Takes over an item with a row that is not to be sent but settled: it is settling. False: not taken, as by lane_offer;
 * there are as many of them and of suspects at a time.
 */
bool lane_adopt(struct lane *lane, struct item *item);
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

/* The next item to send, now flying and counted as in flight; NULL: nothing may begin now. Never a suspect. */
struct item *lane_start(struct lane *lane, int64_t now_ms);
/*
 * The same for the first suspect, if the lane may begin one now. The caller has made sure that nothing else flies in
 * the process. NULL: it may not; then it must let others fly again.
 */
struct item *lane_start_suspect(struct lane *lane, int64_t now_ms);
/*
 * Since when the first suspect could have begun but for the others in flight, as lane_start last saw it: it waits
 * "alone and last". 0: none could. After one has begun the next one waits anew, so that suspects can't keep all others
 * from flying.
 */
int64_t lane_suspect_since_ms(const struct lane *lane);
/*
 * Whether it could begin now if nothing else were in flight: to be known before all others are kept from flying for it.
 */
bool lane_suspect_may_begin(const struct lane *lane, int64_t now_ms);

/* What becomes of an item whose attempt ended (or that could not be sent at all). */
enum lane_action { LANE_DELIVERED, LANE_AGAIN, LANE_DEAD, LANE_SKIPPED };
struct lane_decision {
	enum lane_action action;
	int64_t due_ms;	   /* LANE_AGAIN */
	const char *cause; /* LANE_DEAD: CAUSE_* */
	const char *why;   /* LANE_DEAD for attempts or age: to stand behind the attempt's own reason; else NULL */
	bool breaker_changed;
	int64_t told_until_ms; /* this attempt's Retry-After made the lane pause until then, or longer than before; 0: no */
};

/* The attempt of a flying item ended with a verdict. The item is settling now. */
struct lane_decision lane_end(
	struct lane *lane, struct item *item, const struct verdict *verdict, int64_t now_ms, uint32_t random);
/* An attempt of it has ended, and not the process: it is no suspect any more. */
void lane_clear_suspect(struct lane *lane, struct item *item);
/* The flying item was not sent: no request could be made of it. No attempt, no news of the target. */
void lane_withdraw(struct lane *lane, struct item *item);

/* A settling item's outcome is durable. Terminal: forgotten and handed back to the caller, who frees it. */
void lane_forget(struct lane *lane, struct item *item);
/*
 * To be tried again at item->due_ms, and of that class from now on: kept in the heap (true), or, where too many wait
 * there, forgotten and handed back (false): it is on disk as OUTBOX_AGAIN and will be read again when due. (If its row
 * could not be written and is still one of OUTBOX_FIRST: lane_note_disk.)
 */
bool lane_wait(struct lane *lane, struct item *item);

/* The backlog on disk, of each class. */
bool lane_wants_refill(const struct lane *lane, enum outbox_class class, int64_t now_ms);
/*
 * Before the rows of a refill are offered; from here on the lane knows of no backlog of that class but what it is told.
 */
void lane_refill_begin(struct lane *lane, enum outbox_class class);
/*
 * A refill saw `rows` rows of at most `limit`; it is to be looked again at `next_due_ms`, when the earliest later row
 * is due (INT64_MAX: never, as for OUTBOX_FIRST, unless something went wrong).
 */
void lane_refilled(struct lane *lane, enum outbox_class class, int rows, int limit, int64_t next_due_ms);
/* Rows of this lane, of either class, may be on disk that were never offered. */
void lane_note_disk(struct lane *lane);
/*
 * Rows were changed behind its back (discarded, replayed): forgets and frees all ready and waiting items that have a
 * row and that nobody waits for (none that is held, flying or settling), and notes the disk.
 */
void lane_reread(struct lane *lane);
/* No more refills: what is on disk stays there for the next start. */
void lane_drain(struct lane *lane);
bool lane_holds(const struct lane *lane, int64_t row);

/* Nothing begins until lane_resume: an operator's order. */
void lane_pause(struct lane *lane);
/* Ends that pause, that of a 410 and that of a Retry-After; an open breaker is half-open at once. */
void lane_resume(struct lane *lane);
bool lane_paused(const struct lane *lane);
/* The end of the pause that a Retry-After asked for, as lane_start last saw it; 0: none. */
int64_t lane_told_until_ms(const struct lane *lane);

/*
 * When lane_start or a refill may next find something to do; INT64_MAX: not by time alone. A suspect counts while the
 * lane itself keeps it waiting, not while it only waits to be alone. Where nothing may begin, because the lane is paused
 * or its breaker open, and nothing is ready, the first item that becomes so counts: lane_start notes that it is due.
 */
int64_t lane_due_ms(const struct lane *lane, int64_t now_ms);

/* Removes any item that is not flying or settling, for the end of a drain; NULL: none left. */
struct item *lane_take(struct lane *lane);

/* Whether something is under way, or ready and may begin: what a drain waits for. Suspects stay for the next start. */
bool lane_busy(struct lane *lane, int64_t now_ms);
/* When the longest-waiting due item became due, as lane_start last saw it; 0: none waits. */
int64_t lane_oldest_due_ms(const struct lane *lane);

size_t lane_in_flight(const struct lane *lane);
const struct breaker *lane_breaker(const struct lane *lane);

#endif
