/*
 * The watch on one login: how long each stage of it took, and the whole, by what came of it. Both steps of a login that
 * takes two are observed, each as a request of its own.
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGIN_WATCH_H
#define TOKENFIRST_SERVER_AUTH_LOGIN_WATCH_H

#include <stdint.h>

#include "background/effects/event.h"
#include "background/telemetry/metrics.h"

enum login_stage {
	STAGE_PARSE,
	STAGE_THROTTLE,
	STAGE_LOOKUP,
	STAGE_PASSWORD_WAIT,
	STAGE_PASSWORD,
	STAGE_TOKEN,
	STAGE_COMMIT,
	STAGE_INLINE,
	STAGE_COUNT
};

enum login_outcome {
	LOGIN_OK,
	LOGIN_INVALID,	      /* 401 */
	LOGIN_MALFORMED,      /* 400 */
	LOGIN_SHED,	      /* 503: too many hashes are waiting */
	LOGIN_UNAVAILABLE,    /* 503: the store can't write; 500 */
	LOGIN_REJECTED,	      /* 502: an inline effect that may refuse a login did */
	LOGIN_THROTTLED,      /* 429 */
	LOGIN_SECOND_FACTOR,  /* 200: the password was right, a code is asked for */
	LOGIN_RESET_REQUIRED, /* 403: it was right, and may not be used any more */
	LOGIN_OUTCOMES
};

/* Constant after login_metrics_register. */
struct login_metrics {
	struct histogram *stage_seconds[STAGE_COUNT];
	struct histogram *duration_seconds[LOGIN_OUTCOMES];
};
void login_metrics_register(struct login_metrics *login_metrics, struct metrics *metrics);

struct login_watch {
	const struct login_metrics *metrics; /* borrowed */
	int64_t started_us, stage_us, inline_us;
};

/* `started_us`: clock_mono_us when the request line was read. */
void login_watch_start(struct login_watch *watch, const struct login_metrics *metrics, int64_t started_us);
/* A stage ends now, and the next one begins. */
void login_watch_mark(struct login_watch *watch, enum login_stage stage);
/* The next one begins now; what the last ones took is told otherwise. */
void login_watch_skip(struct login_watch *watch);
/*
 * The answer has been handed over: what it took and, of one with tokens, what it would have taken had every effect of
 * `event` been inline. `event` may be NULL for any other outcome.
 */
void login_watch_answered(const struct login_watch *watch, enum login_outcome outcome, struct event *event);

#endif
