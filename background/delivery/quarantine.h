/*
 * Quarantine: the gate by which one suspect, an effect that was in flight at several crashes of the process, is sent
 * while nothing else is. What crashes the process then is known for certain.
 *
 * One for all workers of a pool; any of their threads, without a lock. An attempt enters and leaves. A worker that has
 * a suspect to send asks for the gate to be shut: politely, which is granted only if nothing is under way just now, or
 * urgently, which shuts it at once and is granted when what is under way has ended. Then it sends the suspect and opens
 * the gate again. Behind that the gate stays open for as long as it was shut, and QUARANTINE_REST_US at least, so that
 * any number of suspects takes at most half of the time of all others, and none of those waits for longer than what is
 * under way and one attempt.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_QUARANTINE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_QUARANTINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { QUARANTINE_REST_US = 50 * 1000, QUARANTINE_LOOK_MS = 20 /* in which who waits at the gate looks again */ };

struct quarantine {
	atomic_int_fast64_t state; /* attempts under way, and a bit for the gate */
	_Atomic(const void *) holder;
	atomic_int_fast64_t shut_us, open_until_us;
};

void quarantine_init(struct quarantine *quarantine);

/* An ordinary attempt begins, and is counted; false: not now, the gate is shut. */
bool quarantine_enter(struct quarantine *quarantine);
/* An ordinary attempt ended. */
void quarantine_leave(struct quarantine *quarantine);
/* Whether the gate is shut to ordinary attempts. */
bool quarantine_shut(const struct quarantine *quarantine);

/*
 * True: nothing is under way, and nothing begins before quarantine_open. To be asked again until it is, or to be given
 * up by quarantine_open. `who` is the same each time.
 */
bool quarantine_ask(struct quarantine *quarantine, const void *who, bool urgent, int64_t now_us);
/* Whoever asked has no more need of it. Nothing happens if `who` does not hold it. */
void quarantine_open(struct quarantine *quarantine, const void *who, int64_t now_us);

#endif
