/* A lane's backlog read back from disk: due rows become items, unless they are held already. */
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"
#include "config/log.h"

enum { OFFER_MS = 5000 }; /* by which the offer of a row that was committed has surely come */

struct filling {
	const struct worker *worker;
	struct lane *lane;
	struct target *target;
	int64_t now_ms;
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
	struct item *item = item_new(event, row->due_ms);
	event_unref(event);
	if (item == NULL)
		return NULL;
	item->target = filling->target;
	item->row = row->row;
	item->attempts = row->attempts;
	if (row->log != NULL && strcmp(row->log, "[]") != 0)
		item->log = strdup(row->log); /* without it only the history is shorter */
	return item;
}

/*
 * An inline effect of a request of this process: its offer is on its way, and its request waits for
 * what becomes of it. Read from disk it would be sent with nobody waiting.
 */
static bool is_expected(const struct filling *filling, const struct outbox_row *row)
{
	return filling->target->config->delivery == DELIVERY_INLINE && row->attempts == 0 &&
	       row->created_ms >= filling->worker->started_ms && row->created_ms <= filling->now_ms &&
	       row->created_ms > filling->now_ms - OFFER_MS;
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
	if (lane_offer(filling->lane, item, false, filling->now_ms))
		return 0;
	item_free(item); /* the window is full: it stays on disk */
	return 1;
}

void refill(struct worker *worker, struct lane *lane, struct target *target, int64_t now_ms)
{
	struct filling filling = {.worker = worker, .lane = lane, .target = target, .now_ms = now_ms};
	int64_t next_due_ms = INT64_MAX;

	lane_refill_begin(lane);
	int rows = outbox_due(worker->reader, target->config->name, OUTBOX_FIRST, worker->options.run, now_ms,
		LIMIT_LANE_WINDOW, take_row, &filling);
	int err = rows < 0 ? rows : outbox_next_due(worker->reader, target->config->name, now_ms, &next_due_ms);
	if (err < 0 || filling.out_of_memory) {
		log_write(LOG_ERROR, "backlog can't be read: trying again in a second",
			LOG_STR("effect", target->config->name),
			LOG_STR("reason", err < 0 ? db_message(worker->reader) : err_text(ERR_MEMORY)));
		lane_refilled(lane, 0, LIMIT_LANE_WINDOW, now_ms + 1000);
		return;
	}
	if (filling.left_out && next_due_ms > now_ms + OFFER_MS)
		next_due_ms = now_ms + OFFER_MS;
	lane_refilled(lane, rows, LIMIT_LANE_WINDOW, next_due_ms);
}
