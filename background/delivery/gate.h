/*
 * The gate of a lane: what lets an attempt begin. max_in_flight, the rate, the breaker, a pause by an operator, and
 * a pause that the target itself asked for by Retry-After; all of them must be open. No queue, no clock.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_GATE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_GATE_H

#include <stddef.h>

#include "background/delivery/breaker.h"
#include "background/delivery/bucket.h"
#include "background/effects/effect.h"
#include "config/options.h"

struct gate {
	const struct effect_config *config; /* must outlive it */
	struct breaker breaker;
	struct bucket bucket;
	size_t in_flight;
	bool paused; /* by an operator */
	int64_t told_until_ms;
};

void gate_init(struct gate *gate, const struct effect_config *config);

/* When one more attempt may begin; INT64_MAX: not by time alone. */
int64_t gate_due_ms(const struct gate *gate);
/* When the target itself, or an operator, lets attempts begin again; in the past: they may. */
int64_t gate_parked_until_ms(const struct gate *gate);

/* An attempt begins, while the gate is open. True if it is the breaker's probe, which its end has to tell. */
bool gate_begin(struct gate *gate, int64_t now_ms);
/* It was not sent after all. */
void gate_withdraw(struct gate *gate, bool probe);
/*
 * It ended. True if the breaker's state changed. `ret_told_until_ms`: the end of a pause that this reply asked for, if
 * that is longer than what was asked for before, else 0.
 */
bool gate_end(struct gate *gate, const struct verdict *verdict, bool probe, int64_t now_ms, uint32_t random,
	int64_t *ret_told_until_ms);

/* Ends the pauses of operators, of a 410 and of a Retry-After; an open breaker is half-open at once. */
void gate_resume(struct gate *gate);

#endif
