/*
 * Access tokens for a lane whose target wants OAuth2. The first effect that is to begin without one becomes the flight
 * that fetches it, through the worker's own multi; nothing else of the lane begins meanwhile, but what was under way
 * and had its token refused waits as a flight. The fetch is no attempt of any effect. Its failure is told to the lane
 * as the end of the one effect that fetched, so that the breaker counts a fetch once.
 */
#include <stdlib.h>

#include "background/delivery/worker_internal.h"
#include "background/effects/oauth2.h"
#include "config/clock.h"

int token_fetch_new(struct worker *worker, const struct target *target)
{
	if (target->config->auth.type != AUTH_OAUTH2 || target->kind->mail)
		return 0;
	worker->tokens[target->lane] = calloc(1, sizeof(struct token_cache));
	return worker->tokens[target->lane] != NULL ? 0 : ERR_MEMORY;
}

void token_fetch_release(struct worker *worker)
{
	for (size_t i = 0; i < worker->lane_count; i++) {
		if (worker->tokens[i] != NULL)
			token_cache_release(worker->tokens[i]);
		free(worker->tokens[i]);
		worker->tokens[i] = NULL;
	}
}

int token_fetch_begin(struct worker *worker, struct flight *flight)
{
	const struct effect_config *config = flight->item->target->config;
	struct token_cache *cache = token_cache_of(worker, flight->item);
	if (cache->fetching) {
		flight->stage = FLIGHT_WAITS;
		return 0;
	}
	int err = oauth2_request(&config->auth, transfer_request(flight->transfer));
	if (err == 0)
		err = transfer_begin(flight->transfer, config, reactor_multi(worker->reactor), flight);
	if (err == 0) {
		flight->stage = FLIGHT_FETCHES;
		cache->fetching = true;
	}
	return err;
}

/* Flights of the same lane that had their token refused while the next one was fetched. */
static void end_waits(struct worker *worker, const struct target *target, const char *why)
{
	for (struct flight *next, *flight = worker->flights; flight != NULL; flight = next) {
		next = flight->next;
		if (flight->item->target != target || flight->stage != FLIGHT_WAITS)
			continue;
		if (why == NULL)
			flight_send(worker, flight);
		else
			flight_give_up(worker, flight, why);
	}
}

bool token_fetch_end(struct worker *worker, struct flight *flight, CURLcode result, struct verdict *ret_verdict)
{
	const struct target *target = flight->item->target;
	struct token_cache *cache = token_cache_of(worker, flight->item);
	int64_t ttl_ms = 0;
	struct reply reply;
	char *token = NULL;

	flight_read(worker, flight, result, &reply);
	bool fetched = oauth2_reply(&reply, &token, &ttl_ms, ret_verdict);
	counter_add(fetched ? target->tokens_fetched : target->tokens_refused, 1);
	if (fetched)
		token_cache_put(cache, token, ttl_ms, clock_now_ms());
	else if (reply.transport != TRANSPORT_REPLY)
		flight_add_words(ret_verdict, transfer_error(flight->transfer));
	transfer_clear(flight->transfer);
	cache->fetching = false;
	(void)lane_touch(worker, target->lane); /* it was held back meanwhile */
	end_waits(worker, target, fetched ? NULL : ret_verdict->reason);
	return fetched;
}

bool token_fetch_holds(const struct worker *worker, size_t lane)
{
	return worker->tokens[lane] != NULL && worker->tokens[lane]->fetching;
}

void token_fetch_abort(struct worker *worker, const struct flight *flight)
{
	if (flight->stage != FLIGHT_FETCHES)
		return;
	token_cache_of(worker, flight->item)->fetching = false;
	(void)lane_touch(worker, flight->item->target->lane);
}
