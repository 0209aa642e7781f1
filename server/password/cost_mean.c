/*
 * A thread's first hash takes up to twice as long, for which its memory is not there yet; a mean that began with it would
 * be made up for by dozens of checks. So while threads may still be at their first, a measurement far below the mean takes
 * its place. Later it is one of many: it says something of the processor at that moment, and would have the checks
 * after it topped up to too little.
 */
#include "server/password/cost_mean.h"

enum {
	MEAN_SHARE = 16,  /* of one measurement in the mean */
	FAR_SHARE = 4,	  /* of the mean; lower by more is far below */
	EARLY_HASHES = 2, /* of each thread: its first, and one that shows it */
};

void cost_mean_init(struct cost_mean *mean, int64_t threads)
{
	atomic_init(&mean->us, 0);
	atomic_init(&mean->early, threads * EARLY_HASHES);
}

int64_t cost_mean_us(struct cost_mean *mean)
{
	return atomic_load(&mean->us);
}

void cost_mean_observe(struct cost_mean *mean, int64_t took_us)
{
	const int64_t early = atomic_load(&mean->early);
	int64_t us = atomic_load(&mean->us);

	if (us == 0 || (early > 0 && took_us < us - us / FAR_SHARE))
		us = took_us;
	else
		us += (took_us - us) / MEAN_SHARE;
	atomic_store(&mean->us, us);
	if (early > 0)
		atomic_store(&mean->early, early - 1);
}
