/*
 * What became of fire-and-forget effects, for GET /events/{id}: a bounded ring, oldest
 * forgotten first, since they have no rows. Any thread; one short lock.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_RECENT_H
#define TOKENFIRST_BACKGROUND_DELIVERY_RECENT_H

#include <stdint.h>

#include "background/store/outbox.h"

struct recent;

struct recent_state {
	const char *state; /* "pending", "delivered", "dead", "dropped", "skipped"; static text */
	int attempts;
	int64_t due_ms;
	const char *reason; /* copied, cut to LIMIT_REASON */
	const char *log;    /* JSON array of attempts, copied; NULL: none */
};

struct recent *recent_new(void); /* NULL without memory */
void recent_free(struct recent *recent);

/*
 * Enters an effect; `effect` is what its id has behind the event's and a dash, a name or a name and a part. The ticket
 * names it from then on, until it is overwritten.
 */
uint64_t recent_add(struct recent *recent, const char *event_id, const char *effect, const struct recent_state *state);
void recent_update(struct recent *recent, uint64_t ticket, const struct recent_state *state);

/* Calls back with a copy; 0, ERR_NOT_FOUND or ERR_MEMORY. */
int recent_find(struct recent *recent, const char *event_id, const char *effect,
	void (*found)(void *arg, const struct recent_state *state), void *arg) MUST_CHECK;

#endif
