/* What is told of an attempt: its effect's own log, the metrics, and the log of the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/worker_internal.h"
#include "config/clock.h"
#include "config/log.h"

void report_measure(struct item *item, int64_t duration_us)
{
	if (!item->measured && item->attempts <= 1)
		event_cost_add(item->event, duration_us);
	item->measured = true;
}

void report_dead(const struct item *item, const char *cause, const char *reason)
{
	int64_t untold;
	if (target_tell(&item->target->dead_told, clock_mono_us(), &untold))
		log_write(LOG_WARN, "effect is dead", LOG_STR("effect", item->target->config->name),
			LOG_STR("event_id", item->event->id), LOG_STR("cause", cause), LOG_STR("reason", reason),
			LOG_INT("attempts", item->attempts), LOG_INT("others_since_last_line", untold));
}

void report_attempt(struct item *item, enum outcome outcome, int status, const char *reason)
{
	const struct attempt attempt = {
		.number = item->attempts,
		.start_ms = item->sent_ms,
		.duration_us = clock_mono_us() - item->sent_us,
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

void report_ended(struct item *item, const struct verdict *verdict, int status)
{
	const struct target *target = item->target;
	int64_t duration_us = clock_mono_us() - item->sent_us;
	report_attempt(item, verdict->outcome, status, verdict->reason);
	counter_add(target->attempts[verdict->outcome], 1);
	histogram_observe(target->attempt_seconds, duration_us);
	report_measure(item, duration_us);
}

static void report_gone(struct target *target, const char *reason)
{
	char command[sizeof("tokenfirst effects resume ") + LIMIT_TARGET_KEY];
	(void)snprintf(command, sizeof(command), "tokenfirst effects resume %s", target->config->name);
	log_write(LOG_ERROR, "target is gone: its effects wait until it is resumed",
		LOG_STR("effect", target->config->name), LOG_STR("reason", reason), LOG_STR("resume_with", command));
}

void report_breaker(const struct item *item, const struct verdict *verdict)
{
	const struct breaker *breaker = lane_breaker(lane_of(item));
	struct target *target = item->target;
	const char *effect = target->config->name;

	target_say(target, SAYING_BREAKER, breaker->state == BREAKER_CLOSED ? "" : breaker->cause);
	if (breaker->paused)
		report_gone(target, verdict->reason);
	else if (breaker->state == BREAKER_CLOSED)
		log_write(LOG_INFO, "breaker closed: the target answers again", LOG_STR("effect", effect),
			LOG_INT("owed", atomic_load(&target->pending) + atomic_load(&target->in_memory)));
	else if (item->probe) /* half-open is no news: that it opened has been said */
		log_write(LOG_DEBUG, "breaker stays open: its probe failed", LOG_STR("effect", effect),
			LOG_STR("reason", verdict->reason), LOG_INT("failures", breaker->failures));
	else
		log_write(LOG_WARN, "breaker opened: effects wait", LOG_STR("effect", effect),
			LOG_STR("cause", breaker->cause), LOG_STR("reason", verdict->reason),
			LOG_INT("failures", breaker->failures),
			LOG_INT("probe_in_ms", breaker->open_until_ms - clock_now_ms()));
}

void report_told(const struct item *item, const struct verdict *verdict, int64_t until_ms)
{
	struct target *target = item->target;
	int64_t now_ms = clock_now_ms(), untold;
	/* told again while it lasts is no news */
	if (atomic_exchange(&target->told_until_ms, until_ms) > now_ms ||
		!target_tell(&target->wait_told, clock_mono_us(), &untold))
		return;
	log_write(LOG_WARN, "the target asked for a pause: effects wait", LOG_STR("effect", target->config->name),
		LOG_STR("reason", verdict->reason), LOG_INT("in_ms", until_ms - now_ms),
		LOG_INT("others_since_last_line", untold));
}
