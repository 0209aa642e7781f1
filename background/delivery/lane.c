/*
 * Four places for an item: the ready queue (a list, first come first served), the backoff
 * heap (by due time), the hold (inline effects before their turn; only in the index), and in
 * the hands of the worker (flying, settling). Every item with a row is in the index by row, wherever
 * it is: the index is what the lane "knows".
 */
#include "background/delivery/lane.h"

#include <assert.h>
#include <stdlib.h>

#include "background/delivery/due_heap.h"
#include "background/store/outbox.h"
#include "config/limits.h"

enum {
	INDEX_BUCKETS = 2 * LIMIT_LANE_WINDOW,
	/* items with a row that may wait in the heap; beyond it they wait on disk, so that new work has room */
	BACKOFF_ROOM = LIMIT_LANE_WINDOW / 2,
	REFILL_BELOW = LIMIT_LANE_WINDOW / 4,
};

struct lane {
	const struct effect_config *config;
	struct breaker breaker;
	struct item *head, *tail; /* ready */
	struct due_heap backoff;
	struct item *index[INDEX_BUCKETS];
	size_t held; /* items in the index */
	size_t backoff_rows;
	size_t in_flight;
	bool draining;	     /* the backlog on disk is left for the next start */
	bool on_disk;	     /* due rows may be on disk that are not held */
	int64_t disk_due_ms; /* the earliest row known to wait on disk for its time */
};

static struct item **index_slot(struct lane *lane, int64_t row)
{
	struct item **slot = &lane->index[(uint64_t)row % INDEX_BUCKETS];
	while (*slot != NULL && (*slot)->row != row)
		slot = &(*slot)->chain;
	return slot;
}

static void index_add(struct lane *lane, struct item *item)
{
	if (item->row == 0)
		return;
	item->chain = NULL;
	*index_slot(lane, item->row) = item;
	lane->held++;
}

static void index_remove(struct lane *lane, struct item *item)
{
	if (item->row == 0)
		return;
	struct item **slot = index_slot(lane, item->row);
	assert(*slot == item);
	*slot = item->chain;
	item->chain = NULL;
	lane->held--;
}

static void queue_add_last(struct lane *lane, struct item *item)
{
	item->place = ITEM_READY;
	item->next = NULL;
	item->previous = lane->tail;
	if (lane->tail != NULL)
		lane->tail->next = item;
	else
		lane->head = item;
	lane->tail = item;
}

/* Items with a waiter are the first of the queue, in the order in which they came: request threads bound their number. */
static void queue_add_waited(struct lane *lane, struct item *item)
{
	struct item *before = NULL, *after = lane->head;
	for (; after != NULL && after->waiter != NULL; after = after->next)
		before = after;
	item->place = ITEM_READY;
	item->previous = before;
	item->next = after;
	*(before != NULL ? &before->next : &lane->head) = item;
	*(after != NULL ? &after->previous : &lane->tail) = item;
}

static void queue_remove(struct lane *lane, struct item *item)
{
	*(item->previous != NULL ? &item->previous->next : &lane->head) = item->next;
	*(item->next != NULL ? &item->next->previous : &lane->tail) = item->previous;
	item->next = item->previous = NULL;
}

static struct item *queue_take_first(struct lane *lane)
{
	struct item *item = lane->head;
	if (item != NULL)
		queue_remove(lane, item);
	return item;
}

static void backoff_add(struct lane *lane, struct item *item)
{
	item->place = ITEM_BACKOFF;
	due_heap_add(&lane->backoff, item);
	lane->backoff_rows += item->row != 0;
}

static struct item *backoff_take_first(struct lane *lane)
{
	struct item *item = due_heap_take(&lane->backoff);
	if (item != NULL)
		lane->backoff_rows -= item->row != 0;
	return item;
}

static void promote_due(struct lane *lane, int64_t now_ms)
{
	while (due_heap_first_ms(&lane->backoff) <= now_ms)
		queue_add_last(lane, backoff_take_first(lane));
}

struct lane *lane_new(const struct effect_config *config)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return NULL;
	lane->config = config;
	lane->disk_due_ms = INT64_MAX;
	return lane;
}

void lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	for (struct item *item = lane_take(lane); item != NULL; item = lane_take(lane))
		item_free(item);
	due_heap_release(&lane->backoff);
	free(lane);
}

bool lane_offer(struct lane *lane, struct item *item, bool hold, int64_t now_ms)
{
	if (item->row != 0) {
		if (lane_holds(lane, item->row))
			return false;
		if (!hold && (lane->on_disk || lane->held >= LIMIT_LANE_WINDOW)) {
			lane->on_disk = true;
			return false;
		}
	}
	index_add(lane, item);
	if (hold)
		item->place = ITEM_HELD;
	/* without memory for the heap it is sent early: it may have no place on disk to wait in */
	else if (item->due_ms > now_ms && due_heap_reserve(&lane->backoff) == 0)
		backoff_add(lane, item);
	else
		queue_add_last(lane, item);
	return true;
}

struct item *lane_release(struct lane *lane, int64_t row, struct inline_wait *waiter)
{
	struct item *item = *index_slot(lane, row);
	if (item == NULL || item->place != ITEM_HELD)
		return NULL;
	item->waiter = waiter;
	queue_add_waited(lane, item);
	return item;
}

struct item *lane_demote(struct lane *lane)
{
	struct item *item = lane->head;
	if (item == NULL || item->waiter == NULL)
		return NULL;
	queue_remove(lane, item);
	queue_add_last(lane, item);
	return item;
}

void lane_unqueue(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_READY);
	queue_remove(lane, item);
	item->place = ITEM_SETTLING;
}

struct item *lane_start(struct lane *lane, int64_t now_ms)
{
	promote_due(lane, now_ms);
	if (lane->head == NULL || lane->in_flight >= (size_t)lane->config->max_in_flight ||
		!breaker_admits(&lane->breaker, now_ms))
		return NULL;
	struct item *item = queue_take_first(lane);
	item->probe = breaker_begin(&lane->breaker);
	item->place = ITEM_FLYING;
	lane->in_flight++;
	return item;
}

static enum breaker_result breaker_result(enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_OK:
	case VERDICT_DEAD: /* the target is well: it read the request and refused it */
		return BREAKER_SUCCESS;
	case VERDICT_TARGET:
		return BREAKER_CONDEMNED;
	case VERDICT_GONE:
		return BREAKER_GONE;
	case VERDICT_RETRY:
		break;
	}
	return BREAKER_FAILURE;
}

struct lane_decision lane_end(
	struct lane *lane, struct item *item, const struct verdict *verdict, int64_t now_ms, uint32_t random)
{
	assert(item->place == ITEM_FLYING && lane->in_flight > 0);
	struct lane_decision decision = {.action = LANE_DELIVERED};
	item->place = ITEM_SETTLING;
	lane->in_flight--;
	decision.breaker_changed =
		breaker_end(&lane->breaker, &lane->config->breaker, breaker_result(verdict->kind), item->probe, now_ms);

	if (verdict->kind == VERDICT_OK)
		return decision;
	decision.action = LANE_DEAD;
	if (verdict->kind == VERDICT_DEAD) {
		decision.cause = CAUSE_CONDEMNED;
		return decision;
	}
	if (lane->config->delivery == DELIVERY_INLINE && lane->config->on_failure == ON_FAILURE_REJECT) {
		decision.cause = CAUSE_REJECTED;
		return decision;
	}
	const struct retry_input input = {
		.attempt = item->attempts,
		.counted = verdict->kind == VERDICT_RETRY,
		.created_ms = item->event->created_ms,
		.now_ms = now_ms,
		.retry_after_ms = verdict->retry_after_ms,
		.random = random,
	};
	struct retry_decision retry = retry_decide(&lane->config->retry, &input);
	if (retry.again) {
		decision.action = LANE_AGAIN;
		decision.due_ms = retry.due_ms;
	} else {
		decision.cause = retry.cause;
	}
	return decision;
}

void lane_withdraw(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_FLYING && lane->in_flight > 0);
	item->place = ITEM_SETTLING;
	lane->in_flight--;
	breaker_withdraw(&lane->breaker, item->probe);
}

void lane_forget(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_SETTLING);
	index_remove(lane, item);
	item->place = ITEM_LOOSE;
}

bool lane_wait(struct lane *lane, struct item *item)
{
	assert(item->place == ITEM_SETTLING);
	bool room = item->row == 0 || lane->backoff_rows < BACKOFF_ROOM;
	if (room && due_heap_reserve(&lane->backoff) == 0) {
		backoff_add(lane, item);
		return true;
	}
	if (item->due_ms < lane->disk_due_ms)
		lane->disk_due_ms = item->due_ms;
	lane_forget(lane, item);
	return false;
}

bool lane_wants_refill(const struct lane *lane, int64_t now_ms)
{
	return !lane->draining && lane->held < REFILL_BELOW + lane->backoff_rows &&
	       (lane->on_disk || lane->disk_due_ms <= now_ms) && lane->held < LIMIT_LANE_WINDOW;
}

void lane_refill_begin(struct lane *lane)
{
	lane->on_disk = false;
}

void lane_refilled(struct lane *lane, int rows, int limit, int64_t next_due_ms)
{
	/* a row that found no room has set it again already */
	lane->on_disk = lane->on_disk || rows >= limit;
	lane->disk_due_ms = next_due_ms;
}

void lane_drain(struct lane *lane)
{
	lane->draining = true;
}

void lane_note_disk(struct lane *lane)
{
	lane->on_disk = true;
}

bool lane_holds(const struct lane *lane, int64_t row)
{
	const struct item *item = lane->index[(uint64_t)row % INDEX_BUCKETS];
	while (item != NULL && item->row != row)
		item = item->chain;
	return item != NULL;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t lane_due_ms(const struct lane *lane, int64_t now_ms)
{
	int64_t due = INT64_MAX;
	bool room = lane->in_flight < (size_t)lane->config->max_in_flight;
	int64_t breaker_ms = breaker_due_ms(&lane->breaker);
	int64_t item_ms = lane->head != NULL ? 0 : due_heap_first_ms(&lane->backoff);
	if (room && item_ms != INT64_MAX && breaker_ms != INT64_MAX)
		due = item_ms > breaker_ms ? item_ms : breaker_ms;
	if (lane_wants_refill(lane, now_ms))
		due = 0;
	else if (!lane->draining && lane->held < LIMIT_LANE_WINDOW)
		due = least(due, lane->disk_due_ms > now_ms ? lane->disk_due_ms : INT64_MAX);
	return due;
}

struct item *lane_take(struct lane *lane)
{
	struct item *item = queue_take_first(lane);
	if (item == NULL)
		item = backoff_take_first(lane);
	for (size_t i = 0; item == NULL && i < INDEX_BUCKETS; i++)
		for (struct item *held = lane->index[i]; held != NULL && item == NULL; held = held->chain)
			if (held->place == ITEM_HELD)
				item = held;
	if (item == NULL)
		return NULL;
	index_remove(lane, item);
	item->place = ITEM_LOOSE;
	return item;
}

bool lane_busy(struct lane *lane, int64_t now_ms)
{
	promote_due(lane, now_ms);
	return lane->in_flight > 0 || (lane->head != NULL && breaker_admits(&lane->breaker, now_ms));
}

int64_t lane_oldest_due_ms(const struct lane *lane)
{
	return lane->head != NULL ? lane->head->due_ms : 0;
}

size_t lane_in_flight(const struct lane *lane)
{
	return lane->in_flight;
}

const struct breaker *lane_breaker(const struct lane *lane)
{
	return &lane->breaker;
}
