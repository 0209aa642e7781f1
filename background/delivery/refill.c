/* A lane's backlog read back from disk, class by class: due rows become items, unless they are held already. */
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"
#include "config/log.h"

enum {
	OFFER_MS = 5000, /* by which the offer of a row that was committed has surely come */
	AGAIN_MS = 1000, /* after a refill that came to nothing */
};

struct filling {
	struct worker *worker;
	struct lane *lane;
	struct target *target;
	int64_t now_ms;
	int taken;
	bool out_of_memory;
	bool left_out; /* a row whose offer is expected */
};

static struct item *item_from_row(const struct filling *filling, const struct outbox_row *row)
{
	struct event *event = event_new(
		row->event_id, row->type, row->subject, row->data, row->user_id, row->traceparent, row->created_ms);
	if (event == NULL)
		return NULL;
	event->row = row->event_row;
	/* a first try is due at once, though the clock may have gone back since its row was written */
	int64_t due_ms = row->again || row->due_ms < filling->now_ms ? row->due_ms : filling->now_ms;
	struct item *item = item_new(event, due_ms);
	event_unref(event);
	if (item == NULL)
		return NULL;
	item->target = filling->target;
	item->row = row->row;
	item->part = row->part;
	item->attempts = row->attempts;
	item->spent = row->spent;
	item->again = row->again;
	item->suspect = row->crashes >= LIMIT_CRASHES;
	item->since_ms = row->since_ms;
	if (row->recipient != NULL && row->recipient[0] != '\0') {
		item->recipient = strdup(row->recipient);
		if (item->recipient == NULL) {
			item_free(item);
			return NULL;
		}
	}
	if (row->log != NULL && strcmp(row->log, "[]") != 0)
		item->log = strdup(row->log); /* without it only the history is shorter */
	return item;
}

/*
 * An inline effect of a request of this process: its offer is on its way, and its request waits for
 * what becomes of it. Read from disk it would be sent with nobody waiting. It may be younger than the worker's turn.
 */
static bool is_expected(const struct filling *filling, const struct outbox_row *row)
{
	int64_t now_ms = clock_now_ms();
	return filling->target->config->delivery == DELIVERY_INLINE && row->attempts == 0 &&
	       row->created_ms >= filling->worker->started_ms && row->created_ms <= now_ms &&
	       row->created_ms > now_ms - OFFER_MS;
}

/* It ended the process when nothing but it was under way: it is not sent again. */
static bool is_poison(const struct outbox_row *row)
{
	return row->crashed_alone && row->crashes >= LIMIT_CRASHES;
}

/* 0 to go on, 1 to stop. */
static int take_row(void *arg, const struct outbox_row *row)
{
	struct filling *filling = arg;
	if (lane_holds(filling->lane, row->row))
		return 0;
	if (is_expected(filling, row)) {
		filling->left_out = true;
		return 0;
	}
	struct item *item = item_from_row(filling, row);
	if (item == NULL) {
		filling->out_of_memory = true;
		return 1;
	}
	bool suspect = item->suspect, poison = is_poison(row);
	if (poison ? lane_adopt(filling->lane, item) : lane_offer(filling->lane, item, false, filling->now_ms)) {
		filling->taken++;
		if (poison)
			settle_poison(filling->worker, item);
		return 0;
	}
	item_free(item);
	return suspect ? 0
		       : 1; /* the window is full: it stays on disk. Suspects that find no room keep nobody else out */
}

static void refill_class(struct filling *filling, enum outbox_class class)
{
	struct worker *worker = filling->worker;
	const char *name = filling->target->config->name;
	int64_t now_ms = filling->now_ms, next_due_ms = INT64_MAX;

	lane_refill_begin(filling->lane, class);
	int rows = outbox_due(
		worker->reader, name, class, worker->options.run, now_ms, LIMIT_REFILL_ROWS, take_row, filling);
	int err = rows;
	if (rows >= 0 && class == OUTBOX_AGAIN)
		err = outbox_next_due(worker->reader, name, now_ms, &next_due_ms);
	if (err < 0 || filling->out_of_memory) {
		log_write(LOG_ERROR, "backlog can't be read: trying again in a second", LOG_STR("effect", name),
			LOG_STR("reason", err < 0 ? db_message(worker->reader) : err_text(ERR_MEMORY)));
		lane_refilled(filling->lane, class, 0, LIMIT_REFILL_ROWS, now_ms + AGAIN_MS);
		return;
	}
	if (filling->left_out && next_due_ms > now_ms + OFFER_MS)
		next_due_ms = now_ms + OFFER_MS;
	/* nothing but suspects without room: what is behind them is not to be asked for in a busy loop */
	if (rows >= LIMIT_REFILL_ROWS && filling->taken == 0) {
		rows = 0;
		next_due_ms = now_ms + AGAIN_MS;
	}
	lane_refilled(filling->lane, class, rows, LIMIT_REFILL_ROWS, next_due_ms);
}

void refill(struct worker *worker, struct lane *lane, struct target *target, int64_t now_ms)
{
	for (int class = 0; class < OUTBOX_CLASSES; class ++) {
		struct filling filling = {.worker = worker, .lane = lane, .target = target, .now_ms = now_ms};
		if (lane_wants_refill(lane, (enum outbox_class) class, now_ms))
			refill_class(&filling, (enum outbox_class) class);
	}
}
