/*
 * POST /login: the critical path. One function, read top to bottom, that does what the answer needs
 * and nothing else; what is owed beyond that is written down in the same transaction and
 * delivered by background/delivery after the answer.
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGIN_H
#define TOKENFIRST_SERVER_AUTH_LOGIN_H

#include "background/telemetry/metrics.h"
#include "server/http/route.h"

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

void login(struct exchange *x, struct request_thread *thread);

#endif
