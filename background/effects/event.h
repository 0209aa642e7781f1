/*
 * An event: something that happened ("user.login") and what effects need to know of it.
 *
 * Immutable once made, shared by the effects that it causes, counted by references
 * (atomic). It also adds up, for /metrics, what the answer would have cost had every
 * effect been inline: see event_cost_*.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_EVENT_H
#define TOKENFIRST_BACKGROUND_EFFECTS_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/err.h"
#include "config/id.h"

enum { TRACEPARENT_SIZE = 56 };

struct histogram;
struct counter;

struct event {
	char id[ID_SIZE];
	char traceparent[TRACEPARENT_SIZE]; /* W3C trace context of the request; "" if none */
	int64_t row;			    /* events.id in the store; set by outbox_add_event before it is shared */
	int64_t created_ms;		    /* wall */
	int64_t user_id;		    /* users.id of whoever caused it; 0: nobody */
	char *type;			    /* "user.login" */
	char *subject;			    /* public id of the user it is about */
	char *data;			    /* a JSON object, compact text, sent on as it is; see below */

	/* private to event.c */
	atomic_uint references;
	atomic_int cost_parts; /* parts still to come; below 0: not measured */
	atomic_int_fast64_t cost_us;
	struct histogram *cost_seconds;
	struct counter *cost_skipped;
};

/*
 * Data of a user.* event:
 *   {"user":{"id":"01J…","username":"alice","email":"alice@example.com" or null},
 *    "request":{"id":"…","ip":"127.0.0.1","user_agent":"curl/7.88.1"}}
 */
/*
 * What happened to nobody (a reset asked for an address that has no account) has data that begins so, and "request"
 * behind it. Such an event has its effects as others do, and each is skipped when its turn comes: so it takes the time
 * that others take, for whoever waits for the answer and for whoever is next.
 */
#define EVENT_NOBODY "{\"nobody\":true"
bool event_about_nobody(const struct event *event);

/*
 * One reference, the caller's; NULL without memory. All texts are copied; that `data` is an object is the caller's word:
 * it has written it from a tree, or has it from the store, where somebody did.
 */
struct event *event_new(const char *id, const char *type, const char *subject, const char *data, int64_t user_id,
	const char *traceparent, int64_t created_ms);
struct event *event_ref(struct event *event);
void event_unref(struct event *event); /* NULL is fine */

/*
 * Cost of blocking: `parts` durations will be added (the request's own and one first
 * attempt per effect). When the last one has come, their sum is observed in `seconds`;
 * an event that goes before that (an effect parked, overflowed to disk, lost) counts in
 * `skipped`, once. Call event_cost_begin before the event is shared, the rest from any thread.
 */
void event_cost_begin(struct event *event, int parts, struct histogram *seconds, struct counter *skipped);
void event_cost_add(struct event *event, int64_t duration_us);

#endif
