#include "server/auth/login_watch.h"

#include "config/clock.h"

void login_metrics_register(struct login_metrics *login_metrics, struct metrics *metrics)
{
	static const char *const stages[STAGE_COUNT] = {"stage=\"parse\"", "stage=\"throttle\"", "stage=\"lookup\"",
		"stage=\"password_wait\"", "stage=\"password\"", "stage=\"token\"", "stage=\"commit\"",
		"stage=\"inline\""};
	static const char *const outcomes[LOGIN_OUTCOMES] = {"outcome=\"ok\"", "outcome=\"invalid_credentials\"",
		"outcome=\"malformed\"", "outcome=\"shed\"", "outcome=\"unavailable\"", "outcome=\"rejected\"",
		"outcome=\"throttled\"", "outcome=\"second_factor\"", "outcome=\"reset_required\""};
	for (size_t i = 0; i < STAGE_COUNT; i++)
		login_metrics->stage_seconds[i] = metrics_histogram(metrics, "tokenfirst_login_stage_seconds",
			"Where a login's time went.", &histogram_seconds, stages[i]);
	for (size_t i = 0; i < LOGIN_OUTCOMES; i++)
		login_metrics->duration_seconds[i] = metrics_histogram(metrics, "tokenfirst_login_duration_seconds",
			"From the request line read to the answer handed over.", &histogram_seconds, outcomes[i]);
}

void login_watch_start(struct login_watch *watch, const struct login_metrics *metrics, int64_t started_us)
{
	*watch = (struct login_watch){.metrics = metrics, .started_us = started_us, .stage_us = started_us};
}

void login_watch_mark(struct login_watch *watch, enum login_stage stage)
{
	int64_t now_us = clock_mono_us();

	histogram_observe(watch->metrics->stage_seconds[stage], now_us - watch->stage_us);
	if (stage == STAGE_INLINE)
		watch->inline_us = now_us - watch->stage_us;
	watch->stage_us = now_us;
}

void login_watch_skip(struct login_watch *watch)
{
	watch->stage_us = clock_mono_us();
}

void login_watch_answered(const struct login_watch *watch, enum login_outcome outcome, struct event *event)
{
	int64_t took_us = clock_mono_us() - watch->started_us;

	histogram_observe(watch->metrics->duration_seconds[outcome], took_us);
	if (outcome == LOGIN_OK)
		event_cost_add(event, took_us - watch->inline_us);
}
