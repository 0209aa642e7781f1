/*
 * Token bucket of one lane: at most `per_second` attempts begin, after a rest up to `burst` at once.
 *
 * Pure, and exact in whole numbers: an attempt costs 1,000 units, and each millisecond gives `per_second` of them, so
 * that nothing is rounded away and nothing drifts. What comes in a millisecond always fits, else a small burst would
 * bound the rate to one attempt a millisecond. (The leaky bucket as a meter, ITU-T I.371 annex A.)
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_BUCKET_H
#define TOKENFIRST_BACKGROUND_DELIVERY_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "config/options.h"

struct bucket {
	int64_t per_second; /* 0: no limit */
	int64_t capacity;   /* units */
	int64_t units;	    /* at last_ms */
	int64_t last_ms;
};

/* Full. `config` is read here only. */
void bucket_init(struct bucket *bucket, const struct rate_config *config);
/* Takes one attempt out. False: there is none. */
bool bucket_take(struct bucket *bucket, int64_t now_ms);
/* An attempt that was taken out did not begin after all. */
void bucket_put_back(struct bucket *bucket);
/* When bucket_take will next succeed, if nothing is taken before; 0: at any time. */
int64_t bucket_due_ms(const struct bucket *bucket);

#endif
