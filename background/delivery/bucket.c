#include "background/delivery/bucket.h"

enum { ATTEMPT_UNITS = 1000 };

void bucket_init(struct bucket *bucket, const struct rate_config *config)
{
	int64_t burst = config->burst > 0 ? config->burst : 1;
	int64_t capacity = burst * ATTEMPT_UNITS;
	*bucket = (struct bucket){.per_second = config->per_second};
	bucket->capacity = capacity > config->per_second ? capacity : config->per_second;
	bucket->units = bucket->capacity;
}

bool bucket_take(struct bucket *bucket, int64_t now_ms)
{
	if (bucket->per_second <= 0)
		return true;
	if (now_ms > bucket->last_ms) {
		/* compared as times, since after a long rest the product would overflow */
		int64_t missing = bucket->capacity - bucket->units;
		if (now_ms - bucket->last_ms > missing / bucket->per_second)
			bucket->units = bucket->capacity;
		else
			bucket->units += (now_ms - bucket->last_ms) * bucket->per_second;
		bucket->last_ms = now_ms;
	}
	if (bucket->units < ATTEMPT_UNITS)
		return false;
	bucket->units -= ATTEMPT_UNITS;
	return true;
}

void bucket_put_back(struct bucket *bucket)
{
	if (bucket->per_second > 0)
		bucket->units += ATTEMPT_UNITS;
	if (bucket->units > bucket->capacity)
		bucket->units = bucket->capacity;
}

int64_t bucket_due_ms(const struct bucket *bucket)
{
	if (bucket->per_second <= 0 || bucket->units >= ATTEMPT_UNITS)
		return 0;
	int64_t missing = ATTEMPT_UNITS - bucket->units;
	return bucket->last_ms + (missing + bucket->per_second - 1) / bucket->per_second;
}
