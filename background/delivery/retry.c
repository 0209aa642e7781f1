#include "background/delivery/retry.h"

#include "background/store/outbox.h"

int64_t retry_bound_ms(const struct retry_config *config, int attempt)
{
	int64_t bound = config->first_ms;
	for (int i = 1; i < attempt && bound < config->cap_ms; i++)
		bound *= 2;
	return bound < config->cap_ms ? bound : config->cap_ms;
}

static int64_t jitter_ms(int64_t bound_ms, uint32_t random)
{
	/* scaled, not taken modulo: uniform whatever the bound */
	return (int64_t)(((double)random / ((double)UINT32_MAX + 1.0)) * (double)(bound_ms + 1));
}

struct retry_decision retry_decide(const struct retry_config *config, const struct retry_input *input)
{
	int64_t bound = retry_bound_ms(config, input->attempt);
	int64_t floor = input->retry_after_ms > 0 ? input->retry_after_ms : 0;
	/* everyone was told the same Retry-After: spread them behind it, by no more than the first delay */
	if (floor > 0 && bound > config->first_ms)
		bound = config->first_ms;

	int64_t due = input->now_ms + floor + jitter_ms(bound, input->random);
	int64_t end = input->since_ms + config->max_age_ms;
	struct retry_decision decision = {.again = true, .due_ms = due};
	if (input->counted && input->attempt >= config->max_attempts)
		decision = (struct retry_decision){.cause = CAUSE_ATTEMPTS, .why = "that was the last of max_attempts"};
	else if (due > end && input->now_ms + floor > end && input->now_ms <= end)
		decision = (struct retry_decision){.cause = CAUSE_AGE, .why = "Retry-After points beyond max_age"};
	else if (due > end)
		decision =
			(struct retry_decision){.cause = CAUSE_AGE, .why = "the next attempt would be beyond max_age"};
	return decision;
}
