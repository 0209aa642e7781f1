/* An attempt from its request built to its verdict: what a worker does with one item. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"
#include "config/log.h"

enum {
	BUILD_AGAIN_MS = 1000, /* when memory was short */
	IDLE_FLIGHTS = 128,    /* handles kept for reuse; each holds a few KiB */
};

static struct idle_flights *idle_of(struct worker *worker, bool mail)
{
	return mail ? &worker->idle_mail : &worker->idle_http;
}

static struct flight *flight_take(struct worker *worker, bool mail)
{
	struct idle_flights *idle = idle_of(worker, mail);
	struct flight *flight = idle->first;
	if (flight != NULL) {
		idle->first = flight->next;
		idle->count--;
	} else {
		flight = calloc(1, sizeof(*flight));
		if (flight == NULL)
			return NULL;
		flight->transfer = transfer_new();
		if (flight->transfer == NULL) {
			free(flight);
			return NULL;
		}
	}
	flight->mail = mail;
	flight->previous = NULL;
	flight->next = worker->flights;
	if (flight->next != NULL)
		flight->next->previous = flight;
	worker->flights = flight;
	return flight;
}

static void flight_put(struct worker *worker, struct flight *flight)
{
	if (flight->previous != NULL)
		flight->previous->next = flight->next;
	else
		worker->flights = flight->next;
	if (flight->next != NULL)
		flight->next->previous = flight->previous;

	transfer_clear(flight->transfer);
	flight->item = NULL;
	struct idle_flights *idle = idle_of(worker, flight->mail);
	if (idle->count >= IDLE_FLIGHTS) {
		transfer_free(flight->transfer);
		free(flight);
		return;
	}
	flight->next = idle->first;
	idle->first = flight;
	idle->count++;
}

static void idle_release(struct idle_flights *idle)
{
	while (idle->first != NULL) {
		struct flight *flight = idle->first;
		idle->first = flight->next;
		transfer_free(flight->transfer);
		free(flight);
	}
}

void flights_release(struct worker *worker)
{
	assert(worker->flights == NULL);
	idle_release(&worker->idle_http);
	idle_release(&worker->idle_mail);
}

/* What the first attempt took is its part of what blocking would have cost: once, whether it is counted or not. */
static void measure(struct item *item, int64_t duration_us)
{
	if (!item->measured && item->attempts <= 1)
		event_cost_add(item->event, duration_us);
	item->measured = true;
}

static void log_dead(const struct item *item, const char *cause, const char *reason)
{
	int64_t untold;
	if (target_tell(&item->target->dead_told, clock_mono_us(), &untold))
		log_write(LOG_WARN, "effect is dead", LOG_STR("effect", item->target->config->name),
			LOG_STR("event_id", item->event->id), LOG_STR("cause", cause), LOG_STR("reason", reason),
			LOG_INT("attempts", item->attempts), LOG_INT("others_since_last_line", untold));
}

/* No request came to be: what that means for the effect. The target is none the wiser. */
static void not_sent(struct worker *worker, struct item *item, int err, const char *why)
{
	struct outcome_note note = {.action = LANE_AGAIN, .reason = "out of memory"};
	lane_withdraw(lane_of(item), item);
	if (err == ERR_NOT_FOUND) {
		note.action = LANE_SKIPPED;
		note.reason = "no address to send to";
	} else if (err == ERR_INVALID || err == ERR_LIMIT) {
		note.action = LANE_DEAD;
		note.cause = CAUSE_UNBUILDABLE;
		note.reason = why != NULL ? why : "the request would be too large";
	} else if (item->waiter != NULL && item->target->config->on_failure == ON_FAILURE_REJECT) {
		note.action = LANE_DEAD;
		note.cause = CAUSE_REJECTED;
	} else {
		note.due_ms = clock_now_ms() + BUILD_AGAIN_MS;
	}
	if (note.action == LANE_DEAD)
		log_dead(item, note.cause, note.reason);
	if (note.action != LANE_AGAIN)
		measure(item, 0);
	inline_finish(item, note.action == LANE_SKIPPED ? 0 : ERR_DENIED);
	settle(worker, item, &note);
}

/* A mail is handed to a courier, all else to the worker's own multi. */
static int take_off(struct worker *worker, struct flight *flight, const struct effect_config *config)
{
	int err = transfer_begin(flight->transfer, config, flight->mail ? NULL : worker->multi, flight);
	if (err != 0 || !flight->mail)
		return err;
	flight->errand = (struct errand){
		.transfer = flight->transfer,
		.message = {.kind = MESSAGE_FLOWN, .subject = flight},
	};
	return couriers_send(worker->couriers, &flight->errand);
}

void flight_begin(struct worker *worker, struct item *item)
{
	const struct effect_config *config = item->target->config;
	struct flight *flight = flight_take(worker, item->target->kind->mail);
	char id[EFFECT_ID_SIZE];
	const char *why = NULL;
	int64_t now_ms = clock_now_ms();
	int err = ERR_MEMORY;

	if (flight == NULL) {
		not_sent(worker, item, ERR_MEMORY, NULL);
		return;
	}
	effect_id(id, item->event->id, config->name, item->part);
	const struct effect_input input = {
		.event = item->event, .id = id, .recipient = item->recipient, .now_ms = now_ms};
	err = effect_build(config, &input, transfer_request(flight->transfer), &why);
	if (err == 0)
		err = take_off(worker, flight, config);
	if (err != 0) {
		flight_put(worker, flight);
		not_sent(worker, item, err, why);
		return;
	}
	flight->item = item;
	item->attempts++;
	item->sent_ms = now_ms;
	item->sent_us = clock_mono_us();
	histogram_observe(item->target->queue_seconds, (now_ms - item->due_ms) * 1000);
	if (item->row != 0)
		settle_mark_started(worker, item);
}

static void log_breaker(const struct item *item, const struct verdict *verdict)
{
	const struct breaker *breaker = lane_breaker(lane_of(item));
	const char *effect = item->target->config->name;
	if (breaker->paused)
		log_write(LOG_ERROR, "target is gone: its effects wait until the next start", LOG_STR("effect", effect),
			LOG_STR("reason", verdict->reason));
	else if (breaker->state == BREAKER_CLOSED)
		log_write(LOG_INFO, "breaker closed: the target answers again", LOG_STR("effect", effect));
	else if (item->probe) /* half-open is no news: that it opened has been said */
		log_write(LOG_DEBUG, "breaker stays open: its probe failed", LOG_STR("effect", effect),
			LOG_STR("reason", verdict->reason), LOG_INT("failures", breaker->failures));
	else
		log_write(LOG_WARN, "breaker opened: effects wait", LOG_STR("effect", effect),
			LOG_STR("reason", verdict->reason), LOG_INT("failures", breaker->failures),
			LOG_INT("probe_in_ms", breaker->open_until_ms - clock_now_ms()));
}

static void log_attempt(struct item *item, enum outcome outcome, int status, const char *reason, int64_t duration_us)
{
	const struct attempt attempt = {
		.number = item->attempts,
		.start_ms = item->sent_ms,
		.duration_us = duration_us,
		.outcome = outcome,
		.status = status,
		.reason = reason,
	};
	char *log = attempt_log_append(item->log, &attempt);
	if (log == NULL)
		return;
	free(item->log);
	item->log = log;
}

/* The metrics and the log of one ended attempt. */
static void note_attempt(struct worker *worker, struct item *item, const struct verdict *verdict, int status,
	bool reused, int64_t duration_us)
{
	const struct target *target = item->target;
	log_attempt(item, verdict->outcome, status, verdict->reason, duration_us);
	counter_add(target->attempts[verdict->outcome], 1);
	histogram_observe(target->attempt_seconds, duration_us);
	counter_add(reused ? worker->connections_reused : worker->connections_new, 1);
	measure(item, duration_us);
}

void flight_flown(struct worker *worker, struct flight *flight)
{
	if (flight->errand.result != CURLE_ABORTED_BY_CALLBACK)
		flight_end(worker, flight, flight->errand.result);
}

void flight_end(struct worker *worker, struct flight *flight, CURLcode result)
{
	struct item *item = flight->item;
	struct reply reply;
	struct verdict verdict;
	char kept[LIMIT_REPLY_KEPT + 1];
	int64_t now_ms = clock_now_ms();

	transfer_end(flight->transfer, result, now_ms, &reply);
	effect_judge(item->target->config, &reply, &verdict);
	note_attempt(worker, item, &verdict, reply.status, transfer_reused(flight->transfer),
		clock_mono_us() - item->sent_us);
	size_t len = reply.body_len < LIMIT_REPLY_KEPT ? reply.body_len : LIMIT_REPLY_KEPT;
	memcpy(kept, reply.body, len);
	kept[len] = '\0';

	struct lane_decision decision = lane_end(lane_of(item), item, &verdict, now_ms, randombytes_random());
	if (decision.breaker_changed)
		log_breaker(item, &verdict);
	if (decision.action == LANE_DEAD)
		log_dead(item, decision.cause, verdict.reason);
	else if (decision.action == LANE_AGAIN)
		log_write(LOG_DEBUG, "effect will be tried again", LOG_STR("effect", item->target->config->name),
			LOG_STR("event_id", item->event->id), LOG_STR("reason", verdict.reason),
			LOG_INT("attempts", item->attempts), LOG_INT("in_ms", decision.due_ms - now_ms));
	inline_finish(item, decision.action == LANE_DELIVERED ? 0 : ERR_DENIED);

	const struct outcome_note note = {
		.action = decision.action,
		.cause = decision.cause,
		.reason = decision.action == LANE_DELIVERED ? "" : verdict.reason,
		.reply = decision.action == LANE_DEAD ? kept : NULL,
		.due_ms = decision.due_ms,
		.target_to_blame = verdict.kind == VERDICT_TARGET || verdict.kind == VERDICT_GONE,
	};
	settle(worker, item, &note);
	flight_put(worker, flight);
}

struct item *flight_abort(struct worker *worker, struct flight *flight)
{
	struct item *item = flight->item;
	transfer_abort(flight->transfer);
	flight_put(worker, flight);
	lane_withdraw(lane_of(item), item);
	log_attempt(item, OUTCOME_RETRYABLE, 0, REASON_STOPPING, clock_mono_us() - item->sent_us);
	return item;
}
