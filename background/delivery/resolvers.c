#include "background/delivery/resolvers.h"

static void forget_ended(struct resolvers *resolvers, int64_t now_ms)
{
	size_t kept = 0;
	for (size_t i = 0; i < resolvers->count; i++)
		if (resolvers->left[i].until_ms > now_ms)
			resolvers->left[kept++] = resolvers->left[i];
	resolvers->count = kept;
}

void resolvers_leave(struct resolvers *resolvers, size_t lane, int64_t now_ms)
{
	forget_ended(resolvers, now_ms);
	/*
	 * those that were under way already when the last place was taken find none: the oldest is forgotten for them
	 */
	if (resolvers->count == LIMIT_RESOLVERS)
		resolvers->left[0] = resolvers->left[--resolvers->count];
	resolvers->left[resolvers->count].until_ms = now_ms + LIMIT_RESOLVER_MS;
	resolvers->left[resolvers->count++].lane = lane;
}

bool resolvers_admit(struct resolvers *resolvers, size_t lane, int64_t now_ms)
{
	if (resolvers->count < LIMIT_RESOLVERS)
		return true;
	forget_ended(resolvers, now_ms);
	if (resolvers->count < LIMIT_RESOLVERS)
		return true;
	for (size_t i = 0; i < resolvers->count; i++)
		if (resolvers->left[i].lane == lane)
			return false;
	return true;
}
