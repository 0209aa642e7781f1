/*
 * The rows that a lane holds, found by number, and how many there are of each sort. Items without a row are none of its
 * business. It owns nothing.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_WINDOW_H
#define TOKENFIRST_BACKGROUND_DELIVERY_WINDOW_H

#include "background/delivery/item.h"
#include "background/store/outbox.h"
#include "config/limits.h"

/* The parts of the window, each with a bound of its own: the two classes of the outbox, and suspects. */
enum { ROOM_FIRST = OUTBOX_FIRST, ROOM_AGAIN = OUTBOX_AGAIN, ROOM_SUSPECT = OUTBOX_CLASSES, ROOMS };
enum { WINDOW_BUCKETS = 2 * LIMIT_LANE_WINDOW };

struct window {
	struct item *buckets[WINDOW_BUCKETS]; /* linked by chain */
	size_t held[ROOMS];
};

/* NULL: not held. */
struct item *window_find(const struct window *window, int64_t row);
/* The item's row is not held yet. It is counted where its class says. */
void window_add(struct window *window, struct item *item);
void window_remove(struct window *window, struct item *item);
/* The item's class has changed: counts it there. */
void window_recount(struct window *window, struct item *item);
/* The next after `item` (NULL: the first) in no order; `item` must still be held. NULL: that was the last. */
struct item *window_next(const struct window *window, const struct item *item);

/* Where it is, or would be, counted. */
int window_room(const struct item *item);

#endif
