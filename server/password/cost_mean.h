/*
 * What one Argon2id of today costs: the running mean of what checks of it took, in microseconds of processor time. Any
 * thread; two at once may lose one of two measurements, which does no harm.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_COST_MEAN_H
#define TOKENFIRST_SERVER_PASSWORD_COST_MEAN_H

#include <stdatomic.h>
#include <stdint.h>

struct cost_mean {
	atomic_int_fast64_t us;	   /* 0: nothing was measured yet */
	atomic_int_fast64_t early; /* measurements to come that may be those of a thread's first hash */
};

/* `threads`: how many there are that hash. */
void cost_mean_init(struct cost_mean *mean, int64_t threads);
int64_t cost_mean_us(struct cost_mean *mean);
void cost_mean_observe(struct cost_mean *mean, int64_t took_us);

#endif
