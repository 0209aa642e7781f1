#include "background/delivery/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"
#include "config/log.h"
#include "config/slice.h"

/*
 * What comes after the answers makes way for what comes before them. Measured on 2 cores and Linux 6.18, logins with four
 * durable effects at 80 % of what saturates, p99 ÷ that of logins without effects, series of three to eleven rounds in
 * turn: 1.00 to 1.37 with workers and couriers as the kernel starts them, 0.93 to 1.42 five lower in niceness, 0.91 to
 * 1.11 ten lower. At saturation both kept up: nice 19 may have an eighth of what nice 10 has, and would not.
 */
enum { TURN_US = 20000, NICER = 10 };

/* On the committer's thread. */
static void settled(void *arg, struct settle_batch *batch)
{
	struct worker *worker = arg;
	if (inbox_put(&worker->inbox, &batch->message) == 1)
		worker_wake(worker);
}

static void courier_back(void *arg, struct errand *errand)
{
	struct worker *worker = arg;
	if (inbox_put(&worker->inbox, &errand->message) == 1)
		worker_wake(worker);
}

int worker_new(const struct worker_options *options, struct worker **ret_worker)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return ERR_MEMORY;
	worker->options = *options;
	atomic_init(&worker->waits_end_us, INT64_MAX);
	inbox_init(&worker->inbox);
	settle_line_init(&worker->settle_line);
	worker->settle_line.committer = options->committer;
	worker->settle_line.run = options->run;
	worker->settle_line.done = settled;
	worker->settle_line.arg = worker;
	worker->connections_new = metrics_counter(options->metrics, "tokenfirst_transfer_connections_total",
		"Attempts by whether they reused a connection.", "reused=\"false\"");
	worker->connections_reused = metrics_counter(options->metrics, "tokenfirst_transfer_connections_total",
		"Attempts by whether they reused a connection.", "reused=\"true\"");
	worker->stale_settlements = metrics_counter(options->metrics, "tokenfirst_settlements_stale_total",
		"Outcomes that came after a newer state and changed nothing.", NULL);
	int err = reactor_new(&worker->reactor);
	if (err != 0) {
		worker_free(worker);
		return err;
	}
	*ret_worker = worker;
	return 0;
}

/*
 * As many connections are kept as may be under way. The bound is on all of them, busy ones too: with a lower one each
 * transfer that ends closes the connection of another, and most of the next ones begin with a new one.
 */
static int keep_connections(struct worker *worker, const struct target *target)
{
	worker->connections_kept += (long)target->config->max_in_flight;
	return curl_multi_setopt(reactor_multi(worker->reactor), CURLMOPT_MAXCONNECTS, worker->connections_kept) ==
			       CURLM_OK
		       ? 0
		       : ERR_MEMORY;
}

int worker_add_target(struct worker *worker, struct target *target)
{
	assert(!worker->started && worker->lane_count < LIMIT_TARGETS);
	struct lane *lane = lane_new(target->config);
	if (lane == NULL)
		return ERR_MEMORY;
	if (atomic_load(&target->pending) > 0)
		lane_note_disk(lane);
	if (atomic_load(&target->on_hold))
		lane_pause(lane);
	target->worker = worker;
	target->lane = worker->lane_count;
	worker->touched |= UINT64_C(1) << target->lane;
	worker->targets[worker->lane_count] = target;
	worker->lanes[worker->lane_count++] = lane;
	if (target->kind->mail) {
		worker->couriers[target->lane] = couriers_new(courier_back, worker);
		if (worker->couriers[target->lane] == NULL)
			return ERR_MEMORY;
	}
	int err = target->kind->mail ? 0 : keep_connections(worker, target); /* a courier keeps its own */
	return err != 0 ? err : token_fetch_new(worker, target);
}

void worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	settle_release(worker);
	flights_release(worker);
	token_fetch_release(worker);
	for (size_t i = 0; i < worker->lane_count; i++) {
		couriers_free(worker->couriers[i]);
		lane_free(worker->lanes[i]);
	}
	reactor_free(worker->reactor);
	settle_line_release(&worker->settle_line);
	inbox_release(&worker->inbox);
	free(worker);
}

void worker_offer(struct target *target, struct item *item, bool hold)
{
	struct worker *worker = target->worker;
	item->target = target;
	item->held = hold;
	item->message = (struct message){.kind = MESSAGE_OFFER, .subject = item};
	int result = inbox_put_offer(&worker->inbox, &item->message, item->row != 0 && !hold);
	if (result == 1)
		worker_wake(worker);
	if (result >= 0)
		return;
	if (item->row != 0 && !(atomic_fetch_or(&target->orders, ORDER_NOTE) & ORDER_NOTE))
		worker_nudge(worker);
	if (item->row == 0)
		settle_dropped(worker, item, REASON_STOPPING);
	item_free(item);
}

static void take_offer(struct item *item, int64_t now_ms)
{
	struct lane *lane = lane_of(item);
	if (!lane_offer(lane, item, item->held, now_ms)) {
		assert(item->row != 0); /* memory effects have their place reserved */
		item_free(item);
	}
}

static void take_messages(struct worker *worker, struct message *message, int64_t now_ms, int64_t now_us)
{
	while (message != NULL) {
		struct message *next = message->next; /* the subject may go */
		switch (message->kind) {
		case MESSAGE_OFFER:
			take_offer(message->subject, now_ms);
			break;
		case MESSAGE_RUN:
			inline_turn(worker, message->subject);
			break;
		case MESSAGE_SETTLED:
			settle_done(worker, message->subject, now_us);
			break;
		case MESSAGE_FLOWN:
			flight_flown(worker, message->subject);
			break;
		}
		message = next;
	}
}

static void collect_ended(struct worker *worker)
{
	CURLcode result;
	for (CURL *easy = reactor_ended(worker->reactor, &result); easy != NULL;
		easy = reactor_ended(worker->reactor, &result))
		flight_end(worker, transfer_owner(transfer_of(easy)), result);
}

/* It moves on while effects in memory are delivered; nothing is offered any more that would move it back. */
static int64_t break_off_us(const struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	return atomic_load(&worker->drain_deadline_us) -
	       targets_in_memory(options->targets, options->target_count) * LIMIT_DRAIN_SPILL_US;
}

static bool drained(struct worker *worker, int64_t now_ms, int64_t now_us)
{
	if (!atomic_load(&worker->draining))
		return false;
	if (now_us >= break_off_us(worker))
		return true;
	for (size_t i = 0; i < worker->lane_count; i++)
		if (lane_busy(worker->lanes[i], now_ms))
			return false;
	return !settle_busy(worker) && inbox_empty(&worker->inbox);
}

/* INT64_MAX: until something happens. */
static int64_t sleep_ms(struct worker *worker, int64_t now_ms, int64_t now_us)
{
	int64_t ms = pump_due_in_ms(worker, now_ms);
	if (worker->failed != NULL && (worker->retry_us - now_us) / 1000 + 1 < ms)
		ms = (worker->retry_us - now_us) / 1000 + 1;
	int64_t waits_end_us = atomic_load(&worker->waits_end_us);
	if (worker->waits != NULL && waits_end_us != INT64_MAX && (waits_end_us - now_us) / 1000 + 1 < ms)
		ms = (waits_end_us - now_us) / 1000 + 1;
	if (atomic_load(&worker->draining)) {
		int64_t left = (break_off_us(worker) - now_us) / 1000 + 1;
		ms = left < ms ? left : ms;
	}
	return ms > 0 ? ms : 0;
}

static void leave(struct item *item, struct item **spill)
{
	if (item->row != 0) {
		item_free(item);
		return;
	}
	item->next = *spill;
	*spill = item;
}

/*
 * The end: what has rows stays as it is, and is due at once if it was under way; what has none is written down, and who
 * waits is told. An inline effect whose request is refused by that must not be sent at the next start.
 */
static void leave_rest(struct worker *worker)
{
	struct item *spill = NULL;
	struct outcome_note note = {.action = LANE_AGAIN, .reason = REASON_STOPPING, .due_ms = clock_now_ms()};
	take_messages(worker, inbox_close(&worker->inbox), clock_now_ms(), clock_mono_us());
	while (worker->flights != NULL) {
		note.unsent = !worker->flights->begun;
		struct item *item = flight_abort(worker, worker->flights);
		const struct effect_config *config = item->target->config;
		inline_finish(item, ERR_CLOSED);
		if (config->delivery == DELIVERY_INLINE && config->on_failure == ON_FAILURE_REJECT) {
			inline_refused(worker, item, REASON_STOPPING);
			continue;
		}
		if (item->row != 0) {
			settle(worker, item, &note);
			continue;
		}
		lane_forget(lane_of(item), item);
		leave(item, &spill);
	}
	for (size_t i = 0; i < worker->lane_count; i++) {
		inline_refuse_waiting(worker, worker->lanes[i], REASON_STOPPING);
		for (struct item *item = lane_take(worker->lanes[i]); item != NULL; item = lane_take(worker->lanes[i]))
			leave(item, &spill);
	}
	quarantine_open(worker->options.quarantine, worker, clock_mono_us());
	settle_spill(worker, spill);
	worker->retry_us = 0; /* what could not be written has its last chance */
	settle_retry(worker, clock_mono_us());
	inline_end_all(worker); /* this thread hears of no settlement any more */
}

static void stop_couriers(struct worker *worker)
{
	for (size_t i = 0; i < worker->lane_count; i++)
		couriers_halt(worker->couriers[i]);
	for (size_t i = 0; i < worker->lane_count; i++)
		couriers_join(worker->couriers[i]);
}

/* What has ended first: it makes room for what may begin, and that is on its way before the sleep. */
static void take_turn(struct worker *worker)
{
	int64_t now_ms = clock_now_ms(), now_us = clock_mono_us();
	pump_take_orders(worker); /* first: what an order follows from has been put into the inbox before it */
	take_messages(worker, inbox_take(&worker->inbox), now_ms, now_us);
	collect_ended(worker);
	inline_end_waits(worker, now_us);
	if (atomic_load(&worker->draining))
		pump_drain(worker);
	pump_lanes(worker, now_ms);
	pump_suspects(worker, now_ms, now_us);
	reactor_begin_added(worker->reactor);
	collect_ended(worker);
	settle_retry(worker, now_us);
}

/* Whether effects of this worker come before an answer. */
static bool answers_wait(const struct worker *worker)
{
	for (size_t i = 0; i < worker->lane_count; i++)
		if (worker->targets[i]->config->delivery == DELIVERY_INLINE)
			return true;
	return false;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];
	(void)snprintf(name, sizeof(name), "worker-%d", worker->options.number);
	(void)pthread_setname_np(pthread_self(), name);
	/* the couriers that it starts, too; where it is refused, logins wait a little longer */
	(void)!slice_ask(TURN_US, answers_wait(worker) ? 0 : NICER);

	while (!atomic_load(&worker->begun) && !atomic_load(&worker->draining))
		reactor_sleep(worker->reactor, INT64_MAX);
	for (;;) {
		take_turn(worker);
		int64_t now_ms = clock_now_ms(), now_us = clock_mono_us();
		pump_show(worker, now_ms);
		if (drained(worker, now_ms, now_us))
			break;
		reactor_sleep(worker->reactor, sleep_ms(worker, now_ms, now_us));
	}
	/* the last mails to come back may have been delivered */
	stop_couriers(worker);
	leave_rest(worker);
	db_close(worker->reader);
	worker->reader = NULL;
	return NULL;
}

int worker_start(struct worker *worker)
{
	worker->started_ms = clock_now_ms();
	int err = store_reader(worker->options.store, &worker->reader);
	if (err != 0)
		return err;
	if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
		db_close(worker->reader);
		worker->reader = NULL;
		return ERR_SYSTEM;
	}
	worker->started = true;
	return 0;
}

void worker_begin(struct worker *worker)
{
	atomic_store(&worker->begun, true);
	worker_wake(worker);
}

void worker_drain(struct worker *worker, int64_t deadline_us)
{
	atomic_store(&worker->drain_deadline_us, deadline_us);
	atomic_store(&worker->draining, true);
	worker_wake(worker);
}

void worker_join(struct worker *worker)
{
	if (worker->started)
		pthread_join(worker->thread, NULL);
	worker->started = false;
}

void worker_nudge(struct worker *worker)
{
	atomic_store(&worker->ordered, true);
	worker_wake(worker);
}

int64_t worker_lag_us(struct worker *worker)
{
	return inbox_age_us(&worker->inbox, clock_mono_us());
}
