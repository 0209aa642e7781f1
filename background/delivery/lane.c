/*
 * Five places for an item: a ready line (first come first served), the backoff heap (by due time), the hold (inline
 * effects before their turn; only in the window), and in the hands of the worker (flying, settling). Every item with a
 * row is in the window, wherever it is: the window is what the lane "knows".
 */
#include "background/delivery/lane.h"

#include <assert.h>
#include <stdlib.h>

#include "background/delivery/gate.h"
#include "background/delivery/lineup.h"
#include "background/delivery/retry.h"
#include "background/delivery/window.h"
#include "config/limits.h"

enum {
	CLASS_ROOM = LIMIT_LANE_WINDOW / OUTBOX_CLASSES,
	/* items with a row that may wait in the heap; beyond it they wait on disk, so that those due have room */
	BACKOFF_ROOM = CLASS_ROOM / 2,
};

/* What the lane knows of a class on disk. */
struct backlog {
	bool due;	 /* due rows may be there that are not held */
	bool suspects;	 /* suspects may be there that found no room: they keep nobody else waiting */
	int64_t look_ms; /* when to look again, whatever happens */
};

struct lane {
	const struct effect_config *config;
	struct gate gate;
	struct lineup lineup;
	struct window window;
	struct backlog backlogs[OUTBOX_CLASSES];
	bool draining; /* the backlog on disk is left for the next start */
	int64_t suspect_since_ms;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

struct lane *lane_new(const struct effect_config *config)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return NULL;
	lane->config = config;
	gate_init(&lane->gate, config);
	for (size_t class = 0; class < OUTBOX_CLASSES; class ++)
		lane->backlogs[class].look_ms = INT64_MAX;
	return lane;
}

void lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	for (struct item *item = lane_take(lane); item != NULL; item = lane_take(lane))
		item_free(item);
	lineup_release(&lane->lineup);
	free(lane);
}

/* Whether there is room for one more row of this sort. If not, it is known to wait on disk. */
static bool has_room(struct lane *lane, const struct item *item)
{
	struct backlog *backlog = &lane->backlogs[item->again ? OUTBOX_AGAIN : OUTBOX_FIRST];
	int room = window_room(item);
	if (room == ROOM_SUSPECT) {
		backlog->suspects = backlog->suspects || lane->window.held[room] >= LIMIT_LANE_SUSPECTS;
		return lane->window.held[room] < LIMIT_LANE_SUSPECTS;
	}
	backlog->due = backlog->due || lane->window.held[room] >= CLASS_ROOM;
	return !backlog->due;
}

bool lane_offer(struct lane *lane, struct item *item, bool hold, int64_t now_ms)
{
	if (item->row != 0 && (lane_holds(lane, item->row) || (!hold && !has_room(lane, item))))
		return false;
	window_add(&lane->window, item);
	if (hold)
		item->place = ITEM_HELD;
	/* without memory for the heap it is sent early: it may have no place on disk to wait in */
	else if (item->again && item->due_ms > now_ms && lineup_reserve(&lane->lineup) == 0)
		lineup_add_later(&lane->lineup, item);
	else
		lineup_add(&lane->lineup, item);
	return true;
}

bool lane_adopt(struct lane *lane, struct item *item)
{
	item->suspect = true;
	if (lane_holds(lane, item->row) || !has_room(lane, item))
		return false;
	window_add(&lane->window, item);
	item->place = ITEM_SETTLING;
	return true;
}

struct item *lane_release(struct lane *lane, int64_t row, struct inline_wait *waiter)
{
	struct item *item = window_find(&lane->window, row);
	if (item == NULL || item->place != ITEM_HELD)
		return NULL;
	item->waiter = waiter;
	lineup_add_waited(&lane->lineup, item);
	return item;
}

struct item *lane_demote(struct lane *lane)
{
	return lineup_demote(&lane->lineup);
}

void lane_unqueue(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_READY);
	lineup_remove(&lane->lineup, item);
	item->place = ITEM_SETTLING;
}

static struct item *begin(struct lane *lane, struct item *item, int64_t now_ms)
{
	item->probe = gate_begin(&lane->gate, now_ms);
	item->place = ITEM_FLYING;
	return item;
}

/* What time has brought about. */
static void catch_up(struct lane *lane, int64_t now_ms)
{
	lineup_promote(&lane->lineup, now_ms);
	if (lane->gate.told_until_ms <= now_ms)
		lane->gate.told_until_ms = 0;
	/* neither the rate nor max_in_flight make it wait, but the others that use them up */
	if (!lineup_has_suspect(&lane->lineup) || gate_parked_until_ms(&lane->gate) > now_ms)
		lane->suspect_since_ms = 0;
	else if (lane->suspect_since_ms == 0)
		lane->suspect_since_ms = now_ms;
}

struct item *lane_start(struct lane *lane, int64_t now_ms)
{
	catch_up(lane, now_ms);
	if (!lineup_ready(&lane->lineup) || gate_due_ms(&lane->gate) > now_ms)
		return NULL;
	return begin(lane, lineup_take(&lane->lineup), now_ms);
}

struct item *lane_start_suspect(struct lane *lane, int64_t now_ms)
{
	catch_up(lane, now_ms);
	if (!lineup_has_suspect(&lane->lineup) || gate_due_ms(&lane->gate) > now_ms)
		return NULL;
	lane->suspect_since_ms = 0;
	return begin(lane, lineup_take_suspect(&lane->lineup), now_ms);
}

int64_t lane_suspect_since_ms(const struct lane *lane)
{
	return lane->suspect_since_ms;
}

bool lane_suspect_may_begin(const struct lane *lane, int64_t now_ms)
{
	return lineup_has_suspect(&lane->lineup) && gate_parked_until_ms(&lane->gate) <= now_ms &&
	       bucket_due_ms(&lane->gate.bucket) <= now_ms;
}

static void decide_retry(const struct lane *lane, const struct item *item, const struct verdict *verdict,
	int64_t now_ms, uint32_t random, struct lane_decision *decision)
{
	const struct retry_input input = {
		.attempt = item->attempts - item->spent,
		.counted = verdict->kind == VERDICT_RETRY,
		.since_ms = item->since_ms,
		.now_ms = now_ms,
		.retry_after_ms = verdict->retry_after_ms,
		.random = random,
	};
	struct retry_decision retry = retry_decide(&lane->config->retry, &input);
	decision->action = retry.again ? LANE_AGAIN : LANE_DEAD;
	decision->due_ms = retry.due_ms;
	decision->cause = retry.cause;
	decision->why = retry.why;
}

struct lane_decision lane_end(
	struct lane *lane, struct item *item, const struct verdict *verdict, int64_t now_ms, uint32_t random)
{
	assert(item->place == ITEM_FLYING);
	struct lane_decision decision = {.action = LANE_DELIVERED};
	item->place = ITEM_SETTLING;
	decision.breaker_changed = gate_end(&lane->gate, verdict, item->probe, now_ms, random, &decision.told_until_ms);

	if (verdict->kind == VERDICT_OK)
		return decision;
	decision.action = LANE_DEAD;
	if (verdict->kind == VERDICT_DEAD)
		decision.cause = CAUSE_CONDEMNED;
	else if (lane->config->delivery == DELIVERY_INLINE && lane->config->on_failure == ON_FAILURE_REJECT)
		decision.cause = CAUSE_REJECTED;
	else
		decide_retry(lane, item, verdict, now_ms, random, &decision);
	return decision;
}

void lane_clear_suspect(struct lane *lane, struct item *item)
{
	item->suspect = false;
	window_recount(&lane->window, item);
}

void lane_withdraw(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_FLYING);
	item->place = ITEM_SETTLING;
	gate_withdraw(&lane->gate, item->probe);
}

void lane_forget(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_SETTLING);
	window_remove(&lane->window, item);
	item->place = ITEM_LOOSE;
}

bool lane_wait(struct lane *lane, struct item *item)
{
	struct backlog *backlog = &lane->backlogs[OUTBOX_AGAIN];
	assert(item->place == ITEM_SETTLING);
	item->again = true;
	window_recount(&lane->window, item);
	bool room = item->row == 0 ||
		    (lane->lineup.backoff_rows < BACKOFF_ROOM && lane->window.held[ROOM_AGAIN] <= CLASS_ROOM);
	if (room && lineup_reserve(&lane->lineup) == 0) {
		lineup_add_later(&lane->lineup, item);
		return true;
	}
	backlog->look_ms = least(backlog->look_ms, item->due_ms);
	lane_forget(lane, item);
	return false;
}

/*
 * A refill reads what is held, too: it is the cheaper the fewer those are, but what flies must not run short of
 * company meanwhile. Those in the heap are not read before their time.
 */
static bool has_room_for_refill(const struct lane *lane, enum outbox_class class)
{
	size_t held = lane->window.held[class], waiting = class == OUTBOX_AGAIN ? lane->lineup.backoff_rows : 0;
	int64_t below = least(most(lane->config->max_in_flight + CLASS_ROOM / 8, CLASS_ROOM / 4), CLASS_ROOM * 3 / 4);
	return held < (size_t)below + waiting && held < CLASS_ROOM;
}

bool lane_wants_refill(const struct lane *lane, enum outbox_class class, int64_t now_ms)
{
	const struct backlog *backlog = &lane->backlogs[class];
	bool suspects = backlog->suspects && lane->window.held[ROOM_SUSPECT] == 0;
	return !lane->draining && has_room_for_refill(lane, class) &&
	       (backlog->due || suspects || backlog->look_ms <= now_ms);
}

void lane_refill_begin(struct lane *lane, enum outbox_class class)
{
	lane->backlogs[class].due = false;
	lane->backlogs[class].suspects = false;
}

void lane_refilled(struct lane *lane, enum outbox_class class, int rows, int limit, int64_t next_due_ms)
{
	/* a row that found no room has set it again already */
	lane->backlogs[class].due = lane->backlogs[class].due || rows >= limit;
	lane->backlogs[class].look_ms = next_due_ms;
}

void lane_drain(struct lane *lane)
{
	lane->draining = true;
}

void lane_note_disk(struct lane *lane)
{
	for (size_t class = 0; class < OUTBOX_CLASSES; class ++)
		lane->backlogs[class].due = true;
}

static bool keep_without_row(void *arg, struct item *item)
{
	struct lane *lane = arg;
	if (item->row == 0)
		return true;
	window_remove(&lane->window, item);
	item_free(item);
	return false;
}

void lane_reread(struct lane *lane)
{
	lineup_filter(&lane->lineup, keep_without_row, lane);
	lane_note_disk(lane);
}

bool lane_holds(const struct lane *lane, int64_t row)
{
	return window_find(&lane->window, row) != NULL;
}

void lane_pause(struct lane *lane)
{
	lane->gate.paused = true;
}

void lane_resume(struct lane *lane)
{
	gate_resume(&lane->gate);
}

bool lane_paused(const struct lane *lane)
{
	return lane->gate.paused;
}

int64_t lane_told_until_ms(const struct lane *lane)
{
	return lane->gate.told_until_ms;
}

int64_t lane_due_ms(const struct lane *lane, int64_t now_ms)
{
	int64_t due = INT64_MAX, gate = gate_due_ms(&lane->gate);
	int64_t item_ms = lineup_due_ms(&lane->lineup);
	if (item_ms != INT64_MAX && gate != INT64_MAX)
		due = most(item_ms, gate);
	/* it can't begin, but has to be seen to wait; one that is ready is seen */
	if (gate_parked_until_ms(&lane->gate) > now_ms && !lineup_ready(&lane->lineup))
		due = least(due, item_ms);
	if (lineup_has_suspect(&lane->lineup) && gate > now_ms)
		due = least(due, gate);
	for (int class = 0; class < OUTBOX_CLASSES; class ++) {
		const struct backlog *backlog = &lane->backlogs[class];
		if (lane_wants_refill(lane, (enum outbox_class) class, now_ms))
			due = 0;
		else if (!lane->draining && backlog->look_ms > now_ms)
			due = least(due, backlog->look_ms);
	}
	return due;
}

struct item *lane_take(struct lane *lane)
{
	struct item *item = lineup_take_any(&lane->lineup);
	if (item == NULL)
		for (item = window_next(&lane->window, NULL); item != NULL && item->place != ITEM_HELD;)
			item = window_next(&lane->window, item);
	if (item == NULL)
		return NULL;
	window_remove(&lane->window, item);
	item->place = ITEM_LOOSE;
	return item;
}

bool lane_busy(struct lane *lane, int64_t now_ms)
{
	catch_up(lane, now_ms);
	return lane->gate.in_flight > 0 || (lineup_ready(&lane->lineup) && gate_parked_until_ms(&lane->gate) <= now_ms);
}

int64_t lane_oldest_due_ms(const struct lane *lane)
{
	return lineup_oldest_due_ms(&lane->lineup);
}

size_t lane_in_flight(const struct lane *lane)
{
	return lane->gate.in_flight;
}

const struct breaker *lane_breaker(const struct lane *lane)
{
	return &lane->gate.breaker;
}
