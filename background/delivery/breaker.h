/*
 * Circuit breaker of one lane: closed, open, half-open.
 *
 * Pure: now and random numbers come in. It opens with the attempt that makes it `failures` in a row, or that brings the
 * failures to `failure_share` percent of the last `window_ms`; or at once when the target itself is condemned (401,
 * 403, …). Open, it lets nothing through until `open_for_ms`, and up to a quarter more, has passed: targets that broke
 * together are not probed together. Then half-open: one probe at a time, whose end decides; what was begun before it
 * opened may end meanwhile and says nothing newer. `paused` is open without an end, for a target that said 410.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_BREAKER_H
#define TOKENFIRST_BACKGROUND_DELIVERY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/limits.h"
#include "config/options.h"

/* As exported in tokenfirst_breaker_state. */
enum breaker_state { BREAKER_CLOSED = 0, BREAKER_HALF_OPEN = 1, BREAKER_OPEN = 2 };

/* The window of the failure share slides by a slice of it at a time. */
struct breaker_slice {
	int64_t number; /* which slice of all time, from 1; 0: never used */
	int64_t attempts, failures;
};

enum { BREAKER_CAUSE_SIZE = 96 };

struct breaker {
	enum breaker_state state;
	int64_t failures; /* consecutive */
	int64_t open_until_ms;
	bool probing; /* half-open, with its one probe under way */
	bool paused;
	struct breaker_slice slices[LIMIT_BREAKER_PARTS];
	char cause[BREAKER_CAUSE_SIZE]; /* why it opened last: "5 failures in a row"; "" before the first time */
};

enum breaker_result {
	BREAKER_SUCCESS,   /* the target answered as it should, whatever became of the effect */
	BREAKER_FAILURE,   /* it did not */
	BREAKER_CONDEMNED, /* it will not until something is done about it */
	BREAKER_GONE,	   /* it never will again */
};

/* Whether one more attempt may begin now. Turns open into half-open when its time has come. */
bool breaker_admits(struct breaker *breaker, int64_t now_ms);
/* An admitted attempt begins. True if it is the probe, which its end has to tell. */
bool breaker_begin(struct breaker *breaker);
/* An admitted attempt ended without an answer about the target (not sent after all). */
void breaker_withdraw(struct breaker *breaker, bool probe);
/* An attempt ended. True if the state changed (to be logged). `random` is uniform. */
bool breaker_end(struct breaker *breaker, const struct breaker_config *config, enum breaker_result result, bool probe,
	int64_t now_ms, uint32_t random);
/* An operator says that the target is well: a pause ends, and an open breaker is half-open at once. */
void breaker_resume(struct breaker *breaker);
/* When breaker_admits may next turn true; 0: now, INT64_MAX: not by time alone. */
int64_t breaker_due_ms(const struct breaker *breaker);

const char *breaker_state_text(enum breaker_state state);

#endif
