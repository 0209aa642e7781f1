#include "background/delivery/breaker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool breaker_admits(struct breaker *breaker, int64_t now_ms)
{
	if (breaker->paused)
		return false;
	if (breaker->state == BREAKER_OPEN && now_ms >= breaker->open_until_ms) {
		breaker->state = BREAKER_HALF_OPEN;
		breaker->probing = false;
	}
	return breaker->state == BREAKER_CLOSED || (breaker->state == BREAKER_HALF_OPEN && !breaker->probing);
}

bool breaker_begin(struct breaker *breaker)
{
	breaker->probing = breaker->state == BREAKER_HALF_OPEN;
	return breaker->probing;
}

void breaker_withdraw(struct breaker *breaker, bool probe)
{
	if (probe)
		breaker->probing = false;
}

static int64_t slice_number(const struct breaker_config *config, int64_t now_ms)
{
	int64_t slice_ms = config->window_ms / LIMIT_BREAKER_PARTS;
	return now_ms / (slice_ms > 0 ? slice_ms : 1);
}

static void count(struct breaker *breaker, const struct breaker_config *config, bool failed, int64_t now_ms)
{
	int64_t number = slice_number(config, now_ms);
	struct breaker_slice *slice = &breaker->slices[number % LIMIT_BREAKER_PARTS];
	if (slice->number != number)
		*slice = (struct breaker_slice){.number = number};
	slice->attempts++;
	slice->failures += failed;
	breaker->failures = failed ? breaker->failures + 1 : 0;
}

static void format_window(char out[32], int64_t ms)
{
	if (ms % 1000 == 0)
		(void)snprintf(out, 32, "%" PRId64 " s", ms / 1000);
	else
		(void)snprintf(out, 32, "%" PRId64 " ms", ms);
}

/* Whether the failures in a row, or their share of the window, are too many; the cause says which. */
static bool too_many(struct breaker *breaker, const struct breaker_config *config, int64_t now_ms)
{
	int64_t first = slice_number(config, now_ms) - LIMIT_BREAKER_PARTS + 1, attempts = 0, failures = 0;
	char window[32];
	if (breaker->failures >= config->failures) {
		(void)snprintf(breaker->cause, sizeof(breaker->cause), "%" PRId64 " failure%s in a row",
			breaker->failures, breaker->failures == 1 ? "" : "s");
		return true;
	}
	for (size_t i = 0; i < LIMIT_BREAKER_PARTS; i++) {
		if (breaker->slices[i].number < first)
			continue;
		attempts += breaker->slices[i].attempts;
		failures += breaker->slices[i].failures;
	}
	if (config->failure_share <= 0 || attempts < config->window_min || attempts == 0 ||
		failures * 100 < config->failure_share * attempts)
		return false;
	format_window(window, config->window_ms);
	(void)snprintf(breaker->cause, sizeof(breaker->cause), "%" PRId64 " %% of %" PRId64 " attempts in %s failed",
		failures * 100 / attempts, attempts, window);
	return true;
}

static void open_until(struct breaker *breaker, int64_t until_ms)
{
	breaker->state = BREAKER_OPEN;
	breaker->open_until_ms = until_ms;
	breaker->probing = false;
}

static void close_again(struct breaker *breaker)
{
	breaker->state = BREAKER_CLOSED;
	breaker->failures = 0;
	breaker->probing = false;
	memset(breaker->slices, 0, sizeof(breaker->slices));
}

/* From open_for to a quarter more, both ends included. */
static int64_t open_for_ms(const struct breaker_config *config, uint32_t random)
{
	int64_t most = config->open_for_ms / 4;
	return config->open_for_ms + (int64_t)((double)random / ((double)UINT32_MAX + 1.0) * (double)(most + 1));
}

bool breaker_end(struct breaker *breaker, const struct breaker_config *config, enum breaker_result result, bool probe,
	int64_t now_ms, uint32_t random)
{
	enum breaker_state before = breaker->state;
	bool was_paused = breaker->paused;
	const char *cause = NULL;

	if (result == BREAKER_GONE) {
		breaker->failures++;
		breaker->paused = true;
		open_until(breaker, INT64_MAX);
		cause = "gone";
	} else if (before == BREAKER_OPEN || (before == BREAKER_HALF_OPEN && !probe)) {
		/* begun before it opened: says nothing newer than what opened it */
		return false;
	} else if (before == BREAKER_HALF_OPEN && result == BREAKER_SUCCESS) {
		close_again(breaker);
	} else {
		count(breaker, config, result != BREAKER_SUCCESS, now_ms);
		if (result == BREAKER_CONDEMNED)
			cause = "condemned";
		else if (before == BREAKER_HALF_OPEN)
			cause = "its probe failed";
		/* a success opens nothing, though it may bring the window to window_min */
		if (cause != NULL || (result == BREAKER_FAILURE && too_many(breaker, config, now_ms)))
			open_until(breaker, now_ms + open_for_ms(config, random));
	}
	if (cause != NULL)
		(void)snprintf(breaker->cause, sizeof(breaker->cause), "%s", cause);
	return breaker->state != before || breaker->paused != was_paused;
}

void breaker_resume(struct breaker *breaker)
{
	breaker->paused = false;
	if (breaker->state != BREAKER_OPEN)
		return;
	breaker->state = BREAKER_HALF_OPEN;
	breaker->probing = false;
}

int64_t breaker_due_ms(const struct breaker *breaker)
{
	if (breaker->paused)
		return INT64_MAX;
	if (breaker->state == BREAKER_OPEN)
		return breaker->open_until_ms;
	if (breaker->state == BREAKER_HALF_OPEN && breaker->probing)
		return INT64_MAX;
	return 0;
}

const char *breaker_state_text(enum breaker_state state)
{
	switch (state) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_HALF_OPEN:
		return "half-open";
	case BREAKER_OPEN:
		return "open";
	}
	return "unknown";
}
