/*
 * The line-up of a lane: what waits in memory to be sent, and in which order. Ready items stand in lines, first come
 * first served, those to be tried again later in a heap. Those that somebody waits for go first; then first tries and
 * retries in turns, one to one. It owns nothing.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_LINEUP_H
#define TOKENFIRST_BACKGROUND_DELIVERY_LINEUP_H

#include "background/delivery/due_heap.h"
#include "background/delivery/queue.h"
#include "background/delivery/window.h"

/* The first three are numbered as the rooms are. */
enum { LINE_FIRST = ROOM_FIRST, LINE_AGAIN = ROOM_AGAIN, LINE_SUSPECT = ROOM_SUSPECT, LINE_WAITED = ROOMS, LINES };

struct lineup {
	struct queue lines[LINES];
	int turn; /* the line whose turn it is, if both first tries and retries are ready */
	struct due_heap backoff;
	size_t backoff_rows; /* of those, the ones with a row */
};

void lineup_release(struct lineup *lineup); /* not the items */

/* Ready: at the end of its line, or of the line of those that somebody waits for. */
void lineup_add(struct lineup *lineup, struct item *item);
void lineup_add_waited(struct lineup *lineup, struct item *item);
void lineup_remove(struct lineup *lineup, struct item *item);
/* Due later; there must be room (lineup_reserve: 0 or ERR_MEMORY). */
int lineup_reserve(struct lineup *lineup) MUST_CHECK;
void lineup_add_later(struct lineup *lineup, struct item *item);
/* Those whose time has come are ready. */
void lineup_promote(struct lineup *lineup, int64_t now_ms);

/* Whether something other than a suspect is ready, and the next of that, taken out; NULL: there is none. */
bool lineup_ready(const struct lineup *lineup);
struct item *lineup_take(struct lineup *lineup);
bool lineup_has_suspect(const struct lineup *lineup);
struct item *lineup_take_suspect(struct lineup *lineup);
/* The first that somebody waits for, now at the end of its common line; NULL: there is none. */
struct item *lineup_demote(struct lineup *lineup);
/* Any at all, taken out. */
struct item *lineup_take_any(struct lineup *lineup);
/* Those for which `keep` says no are out, and whoever said so owns them; those with a waiter are not asked for. */
void lineup_filter(struct lineup *lineup, bool (*keep)(void *arg, struct item *item), void *arg);

/* When the next item is ready: 0 if one is. INT64_MAX: none. */
int64_t lineup_due_ms(const struct lineup *lineup);
/* When the longest-waiting ready item became due; 0: none is ready. */
int64_t lineup_oldest_due_ms(const struct lineup *lineup);

#endif
