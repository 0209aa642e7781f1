#include "background/delivery/breaker.h"

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
}

bool breaker_end(struct breaker *breaker, const struct breaker_config *config, enum breaker_result result, bool probe,
	int64_t now_ms)
{
	enum breaker_state before = breaker->state;
	bool was_paused = breaker->paused;

	breaker->failures += result != BREAKER_SUCCESS;
	if (result == BREAKER_GONE) {
		breaker->paused = true;
		open_until(breaker, INT64_MAX);
	} else if (before == BREAKER_OPEN || (before == BREAKER_HALF_OPEN && !probe)) {
		/* begun before it opened: says nothing newer than what opened it */
		return false;
	} else if (result == BREAKER_SUCCESS) {
		close_again(breaker);
	} else if (result == BREAKER_CONDEMNED || before == BREAKER_HALF_OPEN ||
		   breaker->failures >= config->failures) {
		open_until(breaker, now_ms + config->open_for_ms);
	}
	return breaker->state != before || breaker->paused != was_paused;
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
