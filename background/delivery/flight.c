/* An attempt from its request built to its verdict: what a worker does with one item. */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"

enum {
	BUILD_AGAIN_MS = 1000, /* when memory was short */
	IDLE_FLIGHTS = 512,    /* handles that a worker keeps for reuse, each for its lane; one holds 8 KiB */
};

static struct flight *idle_remove(struct worker *worker, size_t lane)
{
	struct flight *flight = worker->idle[lane];
	worker->idle[lane] = flight->next;
	worker->idle_counts[lane]--;
	worker->idle_count--;
	return flight;
}

static void idle_free(struct worker *worker, size_t lane)
{
	struct flight *flight = idle_remove(worker, lane);
	transfer_free(flight->transfer);
	free(flight);
}

/* One too many is one of the lane that has most: else the burst of one lane would leave no room for any other's. */
static void idle_add(struct worker *worker, struct flight *flight)
{
	flight->next = worker->idle[flight->lane];
	worker->idle[flight->lane] = flight;
	worker->idle_counts[flight->lane]++;
	if (++worker->idle_count <= IDLE_FLIGHTS)
		return;
	size_t most = flight->lane;
	for (size_t i = 0; i < worker->lane_count; i++)
		if (worker->idle_counts[i] > worker->idle_counts[most])
			most = i;
	idle_free(worker, most);
}

static struct flight *flight_take(struct worker *worker, const struct target *target)
{
	struct flight *flight;
	if (worker->idle[target->lane] != NULL) {
		flight = idle_remove(worker, target->lane);
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
	flight->lane = target->lane;
	flight->mail = target->kind->mail;
	flight->stage = FLIGHT_SENDS;
	flight->begun = flight->renewed = false;
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
	idle_add(worker, flight);
}

void flights_release(struct worker *worker)
{
	assert(worker->flights == NULL);
	for (size_t i = 0; i < worker->lane_count; i++)
		while (worker->idle[i] != NULL)
			idle_free(worker, i);
}

/* Its attempt is over, or never began: others may have their turn. */
static void landed(struct worker *worker, const struct item *item)
{
	if (item != worker->suspect) {
		quarantine_leave(worker->options.quarantine);
		return;
	}
	worker->suspect = NULL;
	worker->suspects_wait = true; /* the next one, perhaps: nothing else would wake this worker for it */
	quarantine_open(worker->options.quarantine, worker, clock_mono_us());
}

/* No request came to be, or no token (ERR_DENIED): what that means for the effect. The target is none the wiser. */
static void not_sent(struct worker *worker, struct item *item, enum attempt_stage stage, int err, const char *why)
{
	struct outcome_note note = {
		.action = LANE_AGAIN,
		.reason = err == ERR_DENIED ? why : err_text(err),
		.uncounted = stage != ATTEMPT_NONE,
		.unsent = stage != ATTEMPT_REFUSED,
	};
	lane_withdraw(lane_of(item), item);
	landed(worker, item);
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
		report_dead(item, note.cause, note.reason);
	if (note.action != LANE_AGAIN)
		report_measure(item, 0);
	inline_finish(item, note.action == LANE_SKIPPED ? 0 : ERR_DENIED);
	settle(worker, item, &note);
}

/* A mail is handed to a courier, all else to the worker's own multi. */
static int take_off(struct worker *worker, struct flight *flight, const struct effect_config *config)
{
	int err =
		transfer_begin(flight->transfer, config, flight->mail ? NULL : reactor_multi(worker->reactor), flight);
	if (err != 0 || !flight->mail)
		return err;
	flight->errand = (struct errand){
		.transfer = flight->transfer,
		.message = {.kind = MESSAGE_FLOWN, .subject = flight},
	};
	return couriers_send(worker->couriers[flight->item->target->lane], &flight->errand);
}

void flight_add_words(struct verdict *verdict, const char *words)
{
	char reason[2 * LIMIT_REASON];
	struct verdict worded;
	if (words[0] == '\0')
		return;
	(void)snprintf(reason, sizeof(reason), "%s: %s", verdict->reason, words);
	verdict_own(verdict->kind, reason, &worded); /* makes it fit to be shown */
	memcpy(verdict->reason, worded.reason, sizeof(verdict->reason));
}

void flight_conclude(
	struct worker *worker, struct item *item, struct verdict *verdict, enum attempt_stage stage, const char *reply)
{
	const bool to_blame = verdict->kind == VERDICT_TARGET || verdict->kind == VERDICT_GONE;
	const int uncounted = stage == ATTEMPT_REFUSED;
	int64_t now_ms = clock_now_ms();

	landed(worker, item);
	if (stage != ATTEMPT_NONE) /* the process has lived through it */
		lane_clear_suspect(lane_of(item), item);
	item->attempts -= uncounted; /* while it is compared with max_attempts */
	struct lane_decision decision = lane_end(lane_of(item), item, verdict, now_ms,
		verdict->kind == VERDICT_OK ? 0 : randombytes_random() /* a system call */);
	item->attempts += uncounted;
	if (decision.breaker_changed)
		report_breaker(item, verdict);
	if (decision.told_until_ms > 0)
		report_told(item, verdict, decision.told_until_ms);
	if (verdict->kind == VERDICT_GONE)
		settle_gone(worker, item->target, verdict->reason);
	if (decision.why != NULL)
		flight_add_words(verdict, decision.why);
	if (decision.action == LANE_DEAD)
		report_dead(item, decision.cause, verdict->reason);
	inline_finish(item, decision.action == LANE_DELIVERED ? 0 : ERR_DENIED);

	const struct outcome_note note = {
		.action = decision.action,
		.cause = decision.cause,
		.reason = decision.action == LANE_DELIVERED ? "" : verdict->reason,
		.reply = decision.action == LANE_DEAD ? reply : NULL,
		.due_ms = decision.due_ms,
		/* what only the target is to blame for costs no attempt, or an expired key would kill them all */
		.uncounted = stage == ATTEMPT_ENDED ? to_blame : uncounted,
		.unsent = stage == ATTEMPT_NONE,
	};
	settle(worker, item, &note);
}

/*
 * An attempt ended with that reply. `error`: why there was none. `request`: what was sent, NULL: nothing; a reason has
 * the reply's words, and what was sent may be among them.
 */
static void judge(struct item *item, const struct request *request, const struct reply *reply, const char *error,
	struct verdict *ret_verdict)
{
	effect_judge(item->target->config, reply, ret_verdict);
	if (reply->transport != TRANSPORT_REPLY)
		flight_add_words(ret_verdict, error);
	if (request)
		effect_hide_credentials(item->target->config, request, ret_verdict->reason);
	report_ended(item, ret_verdict, reply->status);
}

static void begun(struct worker *worker, struct item *item, int64_t now_ms)
{
	item->attempts++;
	histogram_observe(item->target->queue_seconds, (now_ms - item->due_ms) * 1000);
	if (item->row != 0 && item != worker->suspect)
		settle_mark_started(worker, item);
}

static int build(struct worker *worker, struct flight *flight, int64_t now_ms, const char **ret_why)
{
	const struct item *item = flight->item;
	const struct effect_config *config = item->target->config;
	const struct token_cache *tokens = token_cache_of(worker, item);
	char id[EFFECT_ID_SIZE];

	effect_id(id, item->event->id, config->name, item->part);
	const struct effect_input input = {.event = item->event,
		.id = id,
		.recipient = item->recipient,
		.token = tokens != NULL ? tokens->text : NULL,
		.links = item->target->links,
		.shelf = &item->target->shelf,
		.now_ms = now_ms};
	flight->token = tokens != NULL ? tokens->number : 0;
	return effect_build(config, &input, transfer_request(flight->transfer), ret_why);
}

static void put_unsent(struct worker *worker, struct flight *flight, enum attempt_stage stage, int err, const char *why)
{
	struct item *item = flight->item;
	flight_put(worker, flight);
	not_sent(worker, item, stage, err, why);
}

static enum attempt_stage stage_without_token(const struct flight *flight)
{
	return flight->begun ? ATTEMPT_REFUSED : ATTEMPT_NONE;
}

void flight_send(struct worker *worker, struct flight *flight)
{
	struct item *item = flight->item;
	enum attempt_stage stage = stage_without_token(flight);
	const char *why = NULL;
	int64_t now_ms = clock_now_ms();

	flight->stage = FLIGHT_SENDS;
	int err = build(worker, flight, now_ms, &why);
	if (err == 0 && item == worker->suspect && !flight->begun) {
		err = settle_mark_alone(worker, item);
		stage = err == 0 ? ATTEMPT_MARKED : stage;
	}
	if (err == 0)
		err = take_off(worker, flight, item->target->config);
	if (err != 0) {
		item->attempts += stage == ATTEMPT_MARKED; /* as its row has it by now */
		put_unsent(worker, flight, stage, err, why);
		return;
	}
	item->sent_ms = now_ms;
	item->sent_us = clock_mono_us();
	if (!flight->begun)
		begun(worker, item, now_ms);
	flight->begun = true;
}

/* With the token that it needs; without one, once that has been fetched. */
static void send_with_token(struct worker *worker, struct flight *flight)
{
	const struct token_cache *tokens = token_cache_of(worker, flight->item);
	if (tokens == NULL || token_cache_get(tokens, clock_now_ms()) != NULL) {
		flight_send(worker, flight);
		return;
	}
	int err = token_fetch_begin(worker, flight);
	if (err != 0)
		put_unsent(
			worker, flight, stage_without_token(flight), err, "no request for an access token can be made");
}

void flight_give_up(struct worker *worker, struct flight *flight, const char *why)
{
	put_unsent(worker, flight, stage_without_token(flight), ERR_DENIED, why);
}

/* Earlier look-ups of the host have not ended: one more would be one more thread. */
static void not_resolved(struct worker *worker, struct item *item, int64_t now_ms)
{
	const struct reply reply = {.transport = TRANSPORT_DNS, .retry_after_ms = -1, .body = ""};
	struct verdict verdict;
	item->sent_ms = now_ms;
	item->sent_us = clock_mono_us();
	begun(worker, item, now_ms);
	judge(item, NULL, &reply, "earlier look-ups have not ended yet", &verdict);
	flight_conclude(worker, item, &verdict, ATTEMPT_ENDED, NULL);
}

void flight_begin(struct worker *worker, struct item *item)
{
	int64_t now_ms = clock_now_ms();

	if (!resolvers_admit(&worker->resolvers, item->target->lane, now_ms)) {
		not_resolved(worker, item, now_ms);
		return;
	}
	struct flight *flight = flight_take(worker, item->target);
	if (flight == NULL) {
		not_sent(worker, item, ATTEMPT_NONE, ERR_MEMORY, NULL);
		return;
	}
	flight->item = item;
	send_with_token(worker, flight);
}

void flight_flown(struct worker *worker, struct flight *flight)
{
	if (flight->errand.result != CURLE_ABORTED_BY_CALLBACK)
		flight_end(worker, flight, flight->errand.result);
}

void flight_read(struct worker *worker, struct flight *flight, CURLcode result, struct reply *ret_reply)
{
	int64_t now_ms = clock_now_ms();
	transfer_end(flight->transfer, result, now_ms, ret_reply);
	counter_add(transfer_reused(flight->transfer) ? worker->connections_reused : worker->connections_new, 1);
	if (transfer_left_resolver(flight->transfer))
		resolvers_leave(&worker->resolvers, flight->item->target->lane, now_ms);
}

/*
 * Whether it is to be sent again with another token: once, and not when the token that was refused was fetched for
 * that.
 */
static bool wants_other_token(struct worker *worker, struct flight *flight, const struct reply *reply)
{
	struct token_cache *tokens = token_cache_of(worker, flight->item);
	if (tokens == NULL || reply->transport != TRANSPORT_REPLY)
		return false;
	if (reply->status != 401) {
		token_cache_accepted(tokens, flight->token);
		return false;
	}
	return token_cache_refused(tokens, flight->token) && !flight->renewed;
}

enum { KEPT_SIZE = 2 * LIMIT_REPLY_KEPT + 1 }; /* a credential at the end of what is kept is still to be known */

static void keep_reply(
	const struct item *item, const struct request *request, const struct reply *reply, char ret_kept[KEPT_SIZE])
{
	const size_t len = reply->body_len < KEPT_SIZE ? reply->body_len : KEPT_SIZE - 1;
	memcpy(ret_kept, reply->body, len);
	ret_kept[len] = '\0';
	effect_hide_credentials(item->target->config, request, ret_kept);
	ret_kept[LIMIT_REPLY_KEPT] = '\0';
}

static void end_attempt(struct worker *worker, struct flight *flight, CURLcode result)
{
	struct item *item = flight->item;
	char kept[KEPT_SIZE];
	struct reply reply;
	struct verdict verdict;

	flight_read(worker, flight, result, &reply);
	judge(item, transfer_request(flight->transfer), &reply, transfer_error(flight->transfer), &verdict);
	if (wants_other_token(worker, flight, &reply)) {
		flight->renewed = true;
		transfer_clear(flight->transfer);
		send_with_token(worker, flight);
		return;
	}
	if (verdict.kind == VERDICT_OK) /* a reply is kept with a dead letter */
		kept[0] = '\0';
	else
		keep_reply(item, transfer_request(flight->transfer), &reply, kept);
	flight_put(worker, flight);
	flight_conclude(worker, item, &verdict, ATTEMPT_ENDED, kept);
}

void flight_end(struct worker *worker, struct flight *flight, CURLcode result)
{
	if (flight->stage == FLIGHT_SENDS) {
		end_attempt(worker, flight, result);
		return;
	}
	struct item *item = flight->item;
	struct lane *lane = lane_of(item); /* the item may go */
	const enum attempt_stage stage = stage_without_token(flight);
	struct verdict verdict;
	if (token_fetch_end(worker, flight, result, &verdict)) {
		flight_send(worker, flight);
		return;
	}
	flight_put(worker, flight);
	flight_conclude(worker, item, &verdict, stage, NULL);
	inline_refuse_waiting(worker, lane, "no access token");
}

struct item *flight_abort(struct worker *worker, struct flight *flight)
{
	struct item *item = flight->item;
	const bool sent = flight->stage == FLIGHT_SENDS;
	transfer_abort(flight->transfer);
	token_fetch_abort(worker, flight);
	flight_put(worker, flight);
	lane_withdraw(lane_of(item), item);
	landed(worker, item);
	if (sent)
		report_attempt(item, OUTCOME_RETRYABLE, 0, REASON_STOPPING);
	return item;
}
