#include "config/slice.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NICEST = 19 };

/* struct sched_attr of sched_setattr(2), for which Debian 12's libc has neither the call nor the struct. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

static_assert(sizeof(struct attributes) == 48, "its first version, which every kernel takes");

int slice_ask(int64_t turn_us, int nicer)
{
	int policy = sched_getscheduler(0);
	struct attributes attributes = {
		.size = sizeof(attributes),
		.policy = (uint32_t)policy,
		.runtime_ns = (uint64_t)turn_us * 1000,
	};

	if (policy != SCHED_OTHER && policy != SCHED_BATCH)
		return policy < 0 ? ERR_SYSTEM : 0;
	errno = 0; /* -1 is a niceness, too */
	const int niceness = getpriority(PRIO_PROCESS, 0);
	attributes.nice = niceness + nicer < NICEST ? niceness + nicer : NICEST;
	if (errno || syscall(SYS_sched_setattr, 0, &attributes, 0))
		return ERR_SYSTEM;
	return 0;
}
