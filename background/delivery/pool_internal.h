/* What the two files of a pool share: pool.c (its life), operate.c (what operators do to it). */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_POOL_INTERNAL_H
#define TOKENFIRST_BACKGROUND_DELIVERY_POOL_INTERNAL_H

#include "background/delivery/pool.h"
#include "background/delivery/quarantine.h"
#include "background/delivery/worker.h"

struct pool {
	struct store *store;
	struct committer *committer;
	struct recent *recent;
	struct target *targets;
	size_t target_count;
	struct quarantine quarantine;
	struct worker *workers[LIMIT_WORKERS];
	size_t worker_count;
	struct histogram *cost_seconds;
	struct counter *cost_skipped;
	struct gauge *orphans; /* rows owed for targets that are configured no more */
	int64_t delivered_before;
	atomic_bool ending; /* long work of operators is left where it is */
};

#endif
