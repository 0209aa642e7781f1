/*
 * The turns in which a thread wants a core, where it shares it with others.
 *
 * Since Linux 6.12 a thread may ask for them (sched_setattr(2), sched_runtime of SCHED_OTHER). Each gets the same share of
 * the core as before; but whoever wakes and takes shorter turns goes first at once, and need not wait until the turn
 * of the one that runs is over. So a thread that computes for long at a time asks for long turns, and is in nobody's
 * way. Older kernels take no notice.
 */
#ifndef TOKENFIRST_CONFIG_SLICE_H
#define TOKENFIRST_CONFIG_SLICE_H

#include <stdint.h>

#include "config/err.h"

/*
 * For the calling thread and those that it starts from now on: turns of that length (the kernel takes 0.1 to 100 ms), and a
 * niceness higher by that much, which lowers its share of a core where others want all of it. A thread that somebody
 * has given a policy other than SCHED_OTHER or SCHED_BATCH stays as it is. ERR_SYSTEM and errno: a sandbox refuses.
 */
int slice_ask(int64_t turn_us, int nicer) MUST_CHECK;

#endif
