/*
 * What a hostile receiver costs: one attempt at it by the real pool, measured, and judged.
 *
 * The pool has a lane "hostile" and, owned by the same worker, a lane "beside" whose receiver is well and is sent to
 * all the time. Measured are how long the attempt holds its slot (by our own clock, from the commit of the event to
 * the count of the attempt), how far resident memory grows at its peak (the kernel's high-water mark; the peers of
 * the test are in this process and count, too), and what is delivered beside it.
 *
 *   struct hostile_run run;
 *   hostile_begin(&run, &(struct hostile_case){.name = "never answers", .url = url, .more = "{'timeout':'300ms'}",
 *       .held_ms = 300, .outcome = "timeout", .verdict = HOSTILE_RETRIED});
 *   … more checks on run.scene and run.row …
 *   hostile_end(&run);
 *
 * For Criterion tests.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_HOSTILE_H
#define TOKENFIRST_TESTS_SUPPORT_HOSTILE_H

#include "tests/support/delivery_scene.h"
#include "tests/support/peer.h"

enum {
	HOSTILE_TIMEOUT_MS = 300,	 /* of the lane "hostile", unless `more` says otherwise */
	HOSTILE_LONG_TIMEOUT_MS = 10000, /* the same for a case whose `held_ms` is 0: it must end before */
	HOSTILE_MARGIN_MS = 4000,	 /* on a busy machine, for what should come within milliseconds */
	HOSTILE_EARLY_MS = 50,		 /* by which a time-out may come before its time */
	HOSTILE_MEMORY_KIB = 4 << 10,
};

/* What is condemned. */
enum hostile_verdict {
	HOSTILE_DELIVERED,
	HOSTILE_RETRIED, /* nothing: it waits for its next attempt, and the breaker stays closed */
	HOSTILE_WAITS,	 /* nothing, and the state of the breaker is not looked at */
	HOSTILE_DEAD,	 /* the effect: dead letter */
	HOSTILE_PARKED,	 /* the target: the breaker is open, the effect waits */
};

struct hostile_case {
	const char *name; /* for the line of figures */
	const char *url;
	const char *more;    /* configuration of the lane "hostile", with ' for "; NULL: nothing */
	const char *data;    /* of the event; NULL: that of a login */
	int64_t held_ms;     /* the longest time that it may hold its slot, HOSTILE_MARGIN_MS aside; 0: next to none */
	int64_t least_ms;    /* and the shortest */
	int64_t memory_kib;  /* 0: HOSTILE_MEMORY_KIB */
	const char *outcome; /* of the first attempt */
	const char *reason;  /* a part of its reason; NULL: any that is not empty, or of a delivery none */
	enum hostile_verdict verdict;
};

struct hostile_run {
	struct delivery_scene scene;
	struct peer *beside;
	char id[ID_SIZE];		/* of the event that went to the hostile receiver */
	struct delivery_row row;	/* what became of it */
	int64_t committed_ms, ended_ms; /* clock_now_ms */
	int64_t held_us;
	int64_t grown_kib;
	size_t delivered_beside; /* while the slot was held */
};

/* Runs the case, checks all that it states, and prints its figures. */
void hostile_begin(struct hostile_run *run, const struct hostile_case *wanted);
/* Sends something by the lane beside, and waits for its delivery; fails after HOSTILE_MARGIN_MS. */
void hostile_beside(struct hostile_run *run);
/* Attempts at the hostile receiver that have ended, whatever their outcome. */
uint64_t hostile_attempts(struct hostile_run *run);
void hostile_end(struct hostile_run *run);

/* Threads of this process now. */
size_t hostile_threads(void);

#endif
