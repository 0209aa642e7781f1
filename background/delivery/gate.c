#include "background/delivery/gate.h"

#include <assert.h>

void gate_init(struct gate *gate, const struct effect_config *config)
{
	*gate = (struct gate){.config = config};
	bucket_init(&gate->bucket, &config->rate);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t gate_parked_until_ms(const struct gate *gate)
{
	return gate->paused ? INT64_MAX : later(gate->told_until_ms, breaker_due_ms(&gate->breaker));
}

int64_t gate_due_ms(const struct gate *gate)
{
	if (gate->in_flight >= (size_t)gate->config->max_in_flight)
		return INT64_MAX;
	return later(gate_parked_until_ms(gate), bucket_due_ms(&gate->bucket));
}

bool gate_begin(struct gate *gate, int64_t now_ms)
{
	bool admitted = breaker_admits(&gate->breaker, now_ms) && bucket_take(&gate->bucket, now_ms);
	assert(admitted);
	(void)admitted;
	gate->in_flight++;
	return breaker_begin(&gate->breaker);
}

void gate_withdraw(struct gate *gate, bool probe)
{
	assert(gate->in_flight > 0);
	gate->in_flight--;
	breaker_withdraw(&gate->breaker, probe);
	bucket_put_back(&gate->bucket);
}

static enum breaker_result breaker_result(enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_OK:
	case VERDICT_DEAD: /* the target is well: it read the request and refused it */
		return BREAKER_SUCCESS;
	case VERDICT_TARGET:
		return BREAKER_CONDEMNED;
	case VERDICT_GONE:
		return BREAKER_GONE;
	case VERDICT_RETRY:
		break;
	}
	return BREAKER_FAILURE;
}

/* What the target asks for all effects by Retry-After. A longer pause wins, and a success says nothing of it. */
static int64_t obey_pause(struct gate *gate, const struct verdict *verdict, int64_t now_ms)
{
	if (verdict->kind != VERDICT_RETRY || !verdict->pauses_target || verdict->retry_after_ms <= 0 ||
		now_ms + verdict->retry_after_ms <= gate->told_until_ms)
		return 0;
	gate->told_until_ms = now_ms + verdict->retry_after_ms;
	return gate->told_until_ms;
}

bool gate_end(struct gate *gate, const struct verdict *verdict, bool probe, int64_t now_ms, uint32_t random,
	int64_t *ret_told_until_ms)
{
	assert(gate->in_flight > 0);
	gate->in_flight--;
	*ret_told_until_ms = obey_pause(gate, verdict, now_ms);
	return breaker_end(
		&gate->breaker, &gate->config->breaker, breaker_result(verdict->kind), probe, now_ms, random);
}

void gate_resume(struct gate *gate)
{
	gate->paused = false;
	gate->told_until_ms = 0;
	breaker_resume(&gate->breaker);
}
