#include "background/delivery/quarantine.h"

#include <assert.h>
#include <stddef.h>

static const int_fast64_t SHUT = (int_fast64_t)1 << 40;

void quarantine_init(struct quarantine *quarantine)
{
	atomic_init(&quarantine->state, 0);
	atomic_init(&quarantine->holder, NULL);
	atomic_init(&quarantine->shut_us, 0);
	atomic_init(&quarantine->open_until_us, 0);
}

/* Counted first: who shuts the gate at the same time sees the count, or is seen. */
bool quarantine_enter(struct quarantine *quarantine)
{
	if (atomic_fetch_add(&quarantine->state, 1) < SHUT)
		return true;
	atomic_fetch_sub(&quarantine->state, 1);
	return false;
}

void quarantine_leave(struct quarantine *quarantine)
{
	int_fast64_t before = atomic_fetch_sub(&quarantine->state, 1);
	assert(before % SHUT > 0);
	(void)before;
}

bool quarantine_shut(const struct quarantine *quarantine)
{
	return atomic_load(&quarantine->state) >= SHUT;
}

bool quarantine_ask(struct quarantine *quarantine, const void *who, bool urgent, int64_t now_us)
{
	const void *nobody = NULL;
	int_fast64_t idle = 0;

	if (atomic_load(&quarantine->holder) == who)
		return atomic_load(&quarantine->state) == SHUT;
	if (now_us < atomic_load(&quarantine->open_until_us) ||
		!atomic_compare_exchange_strong(&quarantine->holder, &nobody, who))
		return false;
	atomic_store(&quarantine->shut_us, now_us);
	if (urgent)
		return atomic_fetch_or(&quarantine->state, SHUT) == 0;
	if (atomic_compare_exchange_strong(&quarantine->state, &idle, SHUT))
		return true;
	atomic_store(&quarantine->holder, NULL);
	return false;
}

void quarantine_open(struct quarantine *quarantine, const void *who, int64_t now_us)
{
	if (atomic_load(&quarantine->holder) != who)
		return;
	int64_t shut_us = now_us - atomic_load(&quarantine->shut_us);
	int64_t rest_us = shut_us > QUARANTINE_REST_US ? shut_us : QUARANTINE_REST_US;
	atomic_store(&quarantine->open_until_us, now_us + rest_us);
	atomic_fetch_and(&quarantine->state, ~SHUT);
	atomic_store(&quarantine->holder, NULL);
}
