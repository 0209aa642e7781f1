/*
 * What is remembered of one name or one address, and what follows from it. Pure: state + now → verdict.
 *
 * Two rules. A ladder is for accounts: some failures are free, then each is followed by a delay that doubles. A meter
 * is for addresses and mails: so many at once, so many in the long run (the leaky bucket as a meter, ITU-T I.371 annex
 * A). Either counts what is under way as if it failed: what must wait for its outcome is told from what must be refused
 * whatever it is.
 */
#ifndef TOKENFIRST_SERVER_AUTH_THROTTLE_RULES_H
#define TOKENFIRST_SERVER_AUTH_THROTTLE_RULES_H

#include <stdbool.h>
#include <stdint.h>

enum throttle_verdict {
	VERDICT_ADMIT,
	VERDICT_WAIT,	/* it depends on what is under way */
	VERDICT_REFUSE, /* for so many milliseconds more, if nothing else happens */
};

struct throttle_rule {
	bool ladder;
	/*
	 * a ladder's: `free` failures, then first_ms, doubled by each further one up to cap_ms; forgotten forget_ms
	 * after the last
	 */
	int64_t free, first_ms, cap_ms, forget_ms;
	/* a meter's, in units: one failure costs `cost`, each millisecond gives `per_ms` back */
	int64_t capacity, cost, per_ms;
};

/* All zero: nothing is known. */
struct throttle_state {
	int64_t last_ms;   /* a ladder's last failure; when a meter was last read off */
	int64_t used;	   /* failures; of a meter units */
	int64_t in_flight; /* begun, and their outcome is not known */
};

struct throttle_rule throttle_ladder(int64_t free, int64_t first_ms, int64_t cap_ms, int64_t forget_ms);
/* `burst` at once, `count` in `period_ms` in the long run. */
struct throttle_rule throttle_meter(int64_t burst, int64_t count, int64_t period_ms);

/* On one more attempt. *ret_retry_ms is set with VERDICT_REFUSE only; at least 1. */
enum throttle_verdict throttle_decide(
	const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms, int64_t *ret_retry_ms);
/* One more failure. What is in flight is the caller's to count. */
void throttle_count(const struct throttle_rule *rule, struct throttle_state *state, int64_t now_ms);
/*
 * Failures that are remembered still, a begun one of a meter as a whole; 0: the state says no more than an empty one.
 */
int64_t throttle_remembered(const struct throttle_rule *rule, const struct throttle_state *state, int64_t now_ms);

#endif
