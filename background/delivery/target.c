#include "background/delivery/target.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/limits.h"

const char *const target_causes[CAUSE_COUNT] = {
	CAUSE_CONDEMNED,
	CAUSE_UNBUILDABLE,
	CAUSE_ATTEMPTS,
	CAUSE_AGE,
	CAUSE_BACKLOG_FULL,
	CAUSE_REJECTED,
	CAUSE_POISON,
};

static const char *const end_texts[END_COUNT] = {"delivered", "dead", "dropped", "discarded", "skipped"};

enum { LABELS_SIZE = 192 };

/* Names and label values here are checked identifiers: nothing in them needs escaping. */
static const char *labels(
	char out[LABELS_SIZE], const struct effect_config *config, const char *name, const char *value)
{
	int len = config->target != NULL
			  ? snprintf(out, LABELS_SIZE, "effect=\"%s\",target=\"%s\"", config->effect, config->target)
			  : snprintf(out, LABELS_SIZE, "effect=\"%s\"", config->effect);
	assert(len > 0 && len < LABELS_SIZE);
	if (name != NULL)
		(void)snprintf(out + len, LABELS_SIZE - (size_t)len, ",%s=\"%s\"", name, value);
	return out;
}

static void register_counters(struct target *target, struct metrics *metrics)
{
	const struct effect_config *config = target->config;
	char text[LABELS_SIZE];

	target->created = metrics_counter(
		metrics, "tokenfirst_effects_created_total", "Effects owed.", labels(text, config, NULL, NULL));
	target->spilled = metrics_counter(metrics, "tokenfirst_effects_spilled_total",
		"Fire-and-forget effects written to the outbox.", labels(text, config, NULL, NULL));
	target->replayed = metrics_counter(metrics, "tokenfirst_effects_replayed_total", "Dead letters owed again.",
		labels(text, config, NULL, NULL));
	if (config->auth.type == AUTH_OAUTH2) {
		target->tokens_fetched = metrics_counter(metrics, "tokenfirst_token_fetches_total",
			"Access tokens asked for.", labels(text, config, "outcome", "ok"));
		target->tokens_refused = metrics_counter(metrics, "tokenfirst_token_fetches_total",
			"Access tokens asked for.", labels(text, config, "outcome", "failed"));
	}
	for (size_t i = 0; i < END_COUNT; i++)
		target->ends[i] = metrics_counter(metrics, "tokenfirst_effects_total",
			"What became of effects, each once.", labels(text, config, "outcome", end_texts[i]));
	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		target->attempts[i] = metrics_counter(metrics, "tokenfirst_effect_attempts_total",
			"Attempts to deliver.", labels(text, config, "outcome", outcome_text((enum outcome)i)));
}

static void register_gauges(struct target *target, struct metrics *metrics)
{
	const struct effect_config *config = target->config;
	char text[LABELS_SIZE];
	(void)labels(text, config, NULL, NULL);

	target->pending_gauge =
		metrics_gauge(metrics, "tokenfirst_effects_pending", "Effects owed and not settled.", 1, text);
	target->in_flight = metrics_gauge(metrics, "tokenfirst_effects_in_flight", "Attempts under way.", 1, text);
	target->oldest_due = metrics_gauge(metrics, "tokenfirst_effect_oldest_due_seconds",
		"How long the longest-waiting due effect has waited.", 1e-3, text);
	target->breaker = metrics_gauge(metrics, "tokenfirst_breaker_state", "0 closed, 1 half-open, 2 open.", 1, text);
	target->paused = metrics_gauge(metrics, "tokenfirst_target_paused",
		"1 if held back until it is resumed, by an operator or since it said 410.", 1, text);
	target->retry_after = metrics_gauge(metrics, "tokenfirst_target_retry_after_seconds",
		"Rest of the pause that the target asked for by Retry-After.", 1e-3, text);
	for (size_t i = 0; i < CAUSE_COUNT; i++) {
		target->dead[i] = metrics_gauge(metrics, "tokenfirst_dead_letters", "Dead letters kept now.", 1,
			labels(text, config, "reason", target_causes[i]));
		gauge_set(target->dead[i], 0); /* what a former pool has left in the registry is counted again */
	}
}

static void register_histograms(struct target *target, struct metrics *metrics)
{
	char text[LABELS_SIZE];
	(void)labels(text, target->config, NULL, NULL);

	target->attempt_seconds = metrics_histogram(metrics, "tokenfirst_effect_attempt_duration_seconds",
		"Duration of one attempt.", &histogram_seconds, text);
	target->queue_seconds = metrics_histogram(
		metrics, "tokenfirst_effect_queue_seconds", "From due to sent.", &histogram_seconds, text);
	target->end_to_end_seconds = metrics_histogram(metrics, "tokenfirst_effect_end_to_end_seconds",
		"From the event to the effect's delivery.", &histogram_seconds, text);
}

void target_init(struct target *target, const struct effect_config *config, struct metrics *metrics)
{
	*target = (struct target){.config = config, .kind = effect_kind_find(config->type)};
	shelf_init(&target->shelf);
	pthread_mutex_init(&target->lock, NULL); /* with default attributes it can't fail */
	register_counters(target, metrics);
	register_gauges(target, metrics);
	register_histograms(target, metrics);
}

void target_release(struct target *target)
{
	shelf_release(&target->shelf);
	pthread_mutex_destroy(&target->lock);
}

bool target_tell(struct tell *tell, int64_t now_us, int64_t *ret_untold)
{
	int_fast64_t next_us = atomic_load(&tell->next_us);
	if (now_us < next_us ||
		!atomic_compare_exchange_strong(&tell->next_us, &next_us, now_us + (int64_t)LIMIT_TELL_MS * 1000)) {
		atomic_fetch_add(&tell->untold, 1);
		return false;
	}
	*ret_untold = atomic_exchange(&tell->untold, 0);
	return true;
}

static bool reserve(atomic_int_fast64_t *count, int64_t limit)
{
	if (atomic_fetch_add(count, 1) < limit)
		return true;
	atomic_fetch_sub(count, 1);
	return false;
}

bool target_reserve_row(struct target *target)
{
	return reserve(&target->pending, target->config->max_pending);
}

bool target_reserve_memory(struct target *target)
{
	int64_t limit = target->config->max_pending;
	return reserve(&target->in_memory, limit < LIMIT_LANE_MEMORY ? limit : LIMIT_LANE_MEMORY);
}

int64_t target_reserve_rows(struct target *target, int64_t count)
{
	int_fast64_t pending = atomic_load(&target->pending);
	int64_t got;
	do {
		int64_t room = target->config->max_pending - pending;
		got = room < count ? room : count;
		if (got <= 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&target->pending, &pending, pending + got));
	return got;
}

void target_release_rows(struct target *target, int64_t count)
{
	atomic_fetch_sub(&target->pending, count);
}

void target_release_row(struct target *target)
{
	target_release_rows(target, 1);
}

void target_release_memory(struct target *target)
{
	atomic_fetch_sub(&target->in_memory, 1);
}

int64_t targets_in_memory(const struct target *targets, size_t count)
{
	int64_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += atomic_load(&targets[i].in_memory);
	return sum;
}

void target_count_end(struct target *target, enum effect_end end, const char *cause)
{
	counter_add(target->ends[end], 1);
	if (end == END_DEAD && cause != NULL)
		target_add_dead(target, cause, 1);
}

void target_add_dead(struct target *target, const char *cause, int64_t count)
{
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		if (strcmp(cause, target_causes[i]) == 0)
			gauge_add(target->dead[i], count);
}

const char *target_parking_text(enum target_parking parking)
{
	static const char *const texts[] = {
		[TARGET_BREAKER] = "the target takes no effects now: its breaker is open",
		[TARGET_TOLD] = "the target takes no effects now: it asked for a pause",
		[TARGET_PAUSED] = "the target takes no effects now: it is paused",
	};
	return texts[parking];
}

const char *target_parked(const struct target *target, int64_t now_ms)
{
	int parking = atomic_load(&target->parking);
	return parking != TARGET_TAKING && now_ms < atomic_load(&target->parked_until_ms)
		       ? target_parking_text((enum target_parking)parking)
		       : NULL;
}

void target_park(struct target *target, enum target_parking parking, int64_t until_ms)
{
	atomic_store(&target->parked_until_ms, until_ms);
	atomic_store(&target->parking, (int)parking);
}

void target_say(struct target *target, enum target_saying saying, const char *text)
{
	pthread_mutex_lock(&target->lock);
	(void)snprintf(target->sayings[saying], LIMIT_REASON, "%s", text);
	pthread_mutex_unlock(&target->lock);
}

void target_said(struct target *target, enum target_saying saying, char ret_text[LIMIT_REASON])
{
	pthread_mutex_lock(&target->lock);
	memcpy(ret_text, target->sayings[saying], LIMIT_REASON);
	pthread_mutex_unlock(&target->lock);
}

void target_refresh(struct target *target, int64_t now_ms)
{
	int64_t told = atomic_load(&target->told_until_ms);
	int64_t oldest = atomic_load(&target->oldest_due_ms);
	gauge_set(target->pending_gauge, atomic_load(&target->pending) + atomic_load(&target->in_memory));
	gauge_set(target->oldest_due, oldest > 0 && oldest < now_ms ? now_ms - oldest : 0);
	gauge_set(target->retry_after, told > now_ms ? told - now_ms : 0);
}
