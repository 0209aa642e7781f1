#include "server/auth/throttle_rules.h"

struct throttle_rule throttle_ladder(int64_t free, int64_t first_ms, int64_t cap_ms, int64_t forget_ms)
{
	return (struct throttle_rule){
		.ladder = true, .free = free, .first_ms = first_ms, .cap_ms = cap_ms, .forget_ms = forget_ms};
}

/* One failure costs the whole period, of which each millisecond gives `count`: exact in whole numbers. */
struct throttle_rule throttle_meter(int64_t burst, int64_t count, int64_t period_ms)
{
	return (struct throttle_rule){.capacity = burst * period_ms, .cost = period_ms, .per_ms = count};
}

/* After so many failures. */
static int64_t delay_ms(const struct throttle_rule *rule, int64_t failures)
{
	int64_t delay = rule->first_ms;

	if (failures < rule->free)
		return 0;
	for (int64_t i = rule->free; i < failures && delay < rule->cap_ms; i++)
		delay *= 2;
	return delay < rule->cap_ms ? delay : rule->cap_ms;
}

static int64_t ladder_failures(const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms)
{
	int64_t delay = delay_ms(rule, state->used);
	int64_t kept_ms = rule->forget_ms > delay ? rule->forget_ms : delay; /* forgetting cuts no delay short */

	return now_ms - state->last_ms < kept_ms ? state->used : 0;
}

static int64_t meter_units(const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms)
{
	int64_t rest_ms = now_ms - state->last_ms;

	/* compared as times, since after a long rest the product would overflow */
	if (rest_ms > state->used / rule->per_ms)
		return 0;
	return rest_ms > 0 ? state->used - rest_ms * rule->per_ms : state->used;
}

static enum throttle_verdict decide_ladder(
	const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms, int64_t *ret_retry_ms)
{
	int64_t failures = ladder_failures(rule, state, now_ms);
	int64_t left_ms = state->last_ms + delay_ms(rule, failures) - now_ms;
	/* once a delay is over, there is one attempt until the next */
	int64_t at_once = failures < rule->free ? rule->free - failures : 1;

	if (failures >= rule->free && left_ms > 0) {
		*ret_retry_ms = left_ms;
		return VERDICT_REFUSE;
	}
	return state->in_flight < at_once ? VERDICT_ADMIT : VERDICT_WAIT;
}

static enum throttle_verdict decide_meter(
	const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms, int64_t *ret_retry_ms)
{
	int64_t with_it = meter_units(rule, state, now_ms) + rule->cost;

	if (with_it > rule->capacity) {
		*ret_retry_ms = (with_it - rule->capacity + rule->per_ms - 1) / rule->per_ms;
		return VERDICT_REFUSE;
	}
	return with_it + state->in_flight * rule->cost <= rule->capacity ? VERDICT_ADMIT : VERDICT_WAIT;
}

enum throttle_verdict throttle_decide(
	const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms, int64_t *ret_retry_ms)
{
	return rule->ladder ? decide_ladder(rule, state, now_ms, ret_retry_ms)
			    : decide_meter(rule, state, now_ms, ret_retry_ms);
}

void throttle_count(const struct throttle_rule *rule, struct throttle_state *state, int64_t now_ms)
{
	if (rule->ladder)
		state->used = ladder_failures(rule, state, now_ms) + 1;
	else
		state->used = meter_units(rule, state, now_ms) + rule->cost;
	state->last_ms = now_ms;
}

int64_t throttle_remembered(const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms)
{
	if (rule->ladder)
		return ladder_failures(rule, state, now_ms);
	return (meter_units(rule, state, now_ms) + rule->cost - 1) / rule->cost;
}
