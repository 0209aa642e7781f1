/*
 * What handlers may use: the services of a running server, put together by cli/serve.c.
 * Constant once the first request is accepted, but for `draining` and `session_id`.
 */
#ifndef TOKENFIRST_SERVER_APP_H
#define TOKENFIRST_SERVER_APP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "background/delivery/pool.h"
#include "background/effects/link.h"
#include "background/store/committer.h"
#include "background/telemetry/metrics.h"
#include "config/options.h"
#include "server/auth/access_cache.h"
#include "server/auth/login_watch.h"
#include "server/auth/page.h"
#include "server/auth/throttle.h"
#include "server/http/route.h"
#include "server/password/password.h"
#include "server/password/policy.h"
#include "server/token/keys.h"
#include "server/token/token.h"

struct app {
	const struct config *config;
	struct metrics *metrics;
	struct store *store;
	struct committer *committer;
	struct pool *pool;
	struct passwords *passwords;
	struct policy *policy;
	struct throttle *throttle;
	struct keys *keys;
	struct access_cache *access_cache;
	struct token_issuer issuer;
	struct link_maker links;
	char *openapi; /* the document, rendered */
	struct pages pages;
	struct login_metrics login_metrics;
	int64_t started_us; /* clock_mono_us */
	atomic_bool draining;
	atomic_int_fast64_t session_id; /* the last one handed out */
};

/* server/routes.c */
extern const struct route app_routes[];
extern const size_t app_route_count;

#endif
