#include "server/cli/slack.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"

/* -1: unknown. */
static int64_t resident_bytes(void)
{
	long pages = -1;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return -1;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = -1;
	fclose(file);
	return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* False: it can't be known. */
static bool look(struct slack *ret_now)
{
	const struct slack now = {.resident = resident_bytes(), .unused = (int64_t)mallinfo2().fordblks};

	if (now.resident < 0)
		return false;
	*ret_now = now;
	return true;
}

/* Looks for what all later is compared with. What can't be known is no size to grow from: the next look is the least. */
static bool begin(struct slack *slack)
{
	if (look(slack))
		return true;
	*slack = (struct slack){.resident = INT64_MAX, .unused = INT64_MAX};
	return false;
}

void slack_init(struct slack *slack)
{
	(void)begin(slack);
}

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

bool slack_is_due(struct slack *slack, const struct slack *now)
{
	slack->resident = lesser(slack->resident, now->resident);
	slack->unused = lesser(slack->unused, now->unused);
	return now->unused >= LIMIT_SLACK &&
	       (now->resident - slack->resident >= LIMIT_SLACK || now->unused - slack->unused >= LIMIT_SLACK);
}

void slack_give_back(struct slack *slack)
{
	struct slack before;

	if (!look(&before) || !slack_is_due(slack, &before))
		return;
	const int64_t start_us = clock_mono_us();
	(void)malloc_trim(0);
	const int64_t took_us = clock_mono_us() - start_us;
	/* what could not be given back is not tried again */
	if (begin(slack))
		log_write(LOG_INFO, "memory given back", LOG_INT("before_kib", before.resident / 1024),
			LOG_INT("after_kib", slack->resident / 1024), LOG_INT("took_us", took_us));
}
