/*
 * Look-ups that were given up and may still go on. libcurl resolves a host name on a thread of its own, which can't be
 * ended: when a transfer is given up before the answer came, its thread stays until the system's resolver gives up as
 * well. With a name server that never answers they would pile up, one for each attempt.
 *
 * So each one that is left behind takes a place until LIMIT_RESOLVER_MS have passed, and while all places are taken
 * those lanes that took them don't begin another. Others go on: their names are answered, or their connections stand. A
 * worker's own.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_RESOLVERS_H
#define TOKENFIRST_BACKGROUND_DELIVERY_RESOLVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/limits.h"

struct resolvers {
	size_t count;
	struct {
		int64_t until_ms;
		size_t lane;
	} left[LIMIT_RESOLVERS];
};

/* An attempt of this lane left one behind. */
void resolvers_leave(struct resolvers *resolvers, size_t lane, int64_t now_ms);
/* Whether this lane may begin an attempt. */
bool resolvers_admit(struct resolvers *resolvers, size_t lane, int64_t now_ms);

#endif
