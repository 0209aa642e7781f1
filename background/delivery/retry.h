/*
 * Retry: when an effect that was not delivered is tried again, or that it is not.
 *
 * Pure: state and now in, decision out. Delays are "full jitter", uniform between 0 and a bound that doubles from
 * `first` to `cap` (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and a Retry-After is a
 * floor that is never undercut, even above `cap`. An effect whose next attempt would come only beyond its max_age is
 * dead right away: nothing could become of it in the meantime.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_RETRY_H
#define TOKENFIRST_BACKGROUND_DELIVERY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"

struct retry_input {
	int attempt;	  /* the one that just ended, from 1; those before a replay are not counted */
	bool counted;	  /* false: the target was condemned, not the effect; only age can end it */
	int64_t since_ms; /* what the age counts from: the event's creation, or the replay */
	int64_t now_ms;
	int64_t retry_after_ms; /* from now; -1: none */
	uint32_t random;	/* uniform; the caller's, so that the decision is pure */
};

struct retry_decision {
	bool again;
	int64_t due_ms;	   /* again */
	const char *cause; /* not again: CAUSE_ATTEMPTS or CAUSE_AGE */
	const char *why;   /* not again: for people, to stand behind the attempt's own reason; static text */
};

struct retry_decision retry_decide(const struct retry_config *config, const struct retry_input *input);

/* The upper bound of the delay after this attempt, without Retry-After. */
int64_t retry_bound_ms(const struct retry_config *config, int attempt);

#endif
