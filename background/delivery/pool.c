#include "background/delivery/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/dispatch.h"
#include "background/delivery/worker.h"
#include "config/clock.h"
#include "config/log.h"

enum {
	LAG_MAX_US = 5 * 1000 * 1000,	 /* a worker that leaves a message for longer does not progress */
	START_UNDO_US = 2 * 1000 * 1000, /* for workers that began before the start failed */
};

struct pool {
	struct recent *recent;
	struct target *targets;
	size_t target_count;
	struct worker *workers[LIMIT_WORKERS];
	size_t worker_count;
	struct histogram *cost_seconds;
	struct counter *cost_skipped;
	int64_t delivered_before;
};

static void refresh(void *arg)
{
	struct pool *pool = arg;
	int64_t now_ms = clock_now_ms();
	for (size_t i = 0; i < pool->target_count; i++)
		target_refresh(&pool->targets[i], now_ms);
}

static int take_count(void *arg, const char *effect, const char *kind, int64_t count)
{
	struct pool *pool = arg;
	bool pending = strcmp(kind, "pending") == 0;
	for (size_t i = 0; i < pool->target_count; i++) {
		struct target *target = &pool->targets[i];
		if (strcmp(target->config->name, effect) != 0)
			continue;
		if (pending)
			atomic_store(&target->pending, count);
		else
			target_add_dead(target, kind, count);
		return 0;
	}
	if (pending && count > 0)
		log_write(LOG_WARN, "effects are owed for an effect that is configured no more: they wait",
			LOG_STR("effect", effect), LOG_INT("pending", count));
	return 0;
}

static int start_workers(struct pool *pool, const struct config *config, const struct worker_options *shared)
{
	int err = 0;
	for (int64_t i = 0; err == 0 && i < config->background.workers; i++) {
		struct worker_options options = *shared;
		options.number = (int)i;
		err = worker_new(&options, &pool->workers[i]);
		pool->worker_count += err == 0;
	}
	for (size_t i = 0; err == 0 && i < pool->target_count; i++)
		err = worker_add_target(pool->workers[i % pool->worker_count], &pool->targets[i]);
	for (size_t i = 0; err == 0 && i < pool->worker_count; i++)
		err = worker_start(pool->workers[i]);
	return err;
}

static int write_nothing(struct db *db, void *arg)
{
	(void)db;
	(void)arg;
	return 0;
}

int pool_prepare(const struct config *config, struct store *store, struct committer *committer, struct metrics *metrics,
	struct pool **ret_pool)
{
	struct db *reader = NULL;
	if (dispatch_most(config) > LIMIT_DISPATCH)
		return ERR_LIMIT;
	struct pool *pool = calloc(1, sizeof(*pool));
	int err = ERR_MEMORY;
	if (pool == NULL)
		return ERR_MEMORY;
	pool->targets = calloc(config->effect_count + 1, sizeof(*pool->targets));
	pool->recent = recent_new();
	if (pool->targets == NULL || pool->recent == NULL)
		goto done;
	pool->target_count = config->effect_count;
	for (size_t i = 0; i < pool->target_count; i++)
		target_init(&pool->targets[i], &config->effects[i], metrics);
	pool->cost_seconds = metrics_histogram(metrics, "tokenfirst_login_blocking_cost_seconds",
		"What a login's answer would have taken had every effect been inline.", &histogram_seconds, NULL);
	pool->cost_skipped = metrics_counter(metrics, "tokenfirst_login_blocking_cost_skipped_total",
		"Logins whose blocking cost could not be measured.", NULL);

	err = store_reader(store, &reader);
	if (err == 0)
		err = outbox_counts(reader, take_count, pool);
	if (err != 0)
		goto done;
	const struct worker_options options = {
		.store = store, .committer = committer, .metrics = metrics, .recent = pool->recent};
	err = start_workers(pool, config, &options);
	if (err == 0)
		metrics_on_render(metrics, refresh, pool);
done:
	db_close(reader);
	if (err != 0) {
		pool_drain(pool, clock_mono_us() + START_UNDO_US);
		/* what the workers posted comes back to them before they are freed */
		(void)!committer_run(committer, write_nothing, NULL);
		pool_stop(pool, NULL);
	} else {
		*ret_pool = pool;
	}
	return err;
}

void pool_begin(struct pool *pool)
{
	for (size_t i = 0; i < pool->worker_count; i++)
		worker_begin(pool->workers[i]);
}

int pool_start(const struct config *config, struct store *store, struct committer *committer, struct metrics *metrics,
	struct pool **ret_pool)
{
	int err = pool_prepare(config, store, committer, metrics, ret_pool);
	if (err == 0)
		pool_begin(*ret_pool);
	return err;
}

struct target *pool_targets(struct pool *pool, size_t *ret_count)
{
	*ret_count = pool->target_count;
	return pool->targets;
}

struct recent *pool_recent(struct pool *pool)
{
	return pool->recent;
}

void pool_measure_cost(struct pool *pool, struct event *event, int parts)
{
	event_cost_begin(event, parts, pool->cost_seconds, pool->cost_skipped);
}

bool pool_progressing(struct pool *pool)
{
	for (size_t i = 0; i < pool->worker_count; i++)
		if (worker_lag_us(pool->workers[i]) > LAG_MAX_US)
			return false;
	return true;
}

static int64_t count_ends(const struct pool *pool, enum effect_end end)
{
	int64_t sum = 0;
	for (size_t i = 0; i < pool->target_count; i++)
		sum += (int64_t)atomic_load(&pool->targets[i].ends[end]->value);
	return sum;
}

void pool_end_waits(struct pool *pool, int64_t at_us)
{
	for (size_t i = 0; pool != NULL && i < pool->worker_count; i++)
		worker_end_waits(pool->workers[i], at_us);
}

void pool_drain(struct pool *pool, int64_t deadline_us)
{
	if (pool->worker_count > 0)
		pool->delivered_before = count_ends(pool, END_DELIVERED);
	for (size_t i = 0; i < pool->worker_count; i++)
		worker_drain(pool->workers[i], deadline_us);
	for (size_t i = 0; i < pool->worker_count; i++)
		worker_join(pool->workers[i]);
}

void pool_stop(struct pool *pool, struct pool_totals *ret_totals)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->worker_count; i++)
		worker_free(pool->workers[i]);
	if (ret_totals != NULL) {
		*ret_totals = (struct pool_totals){
			.delivered = count_ends(pool, END_DELIVERED) - pool->delivered_before,
			.dropped = count_ends(pool, END_DROPPED),
		};
		for (size_t i = 0; i < pool->target_count; i++)
			ret_totals->kept += atomic_load(&pool->targets[i].pending);
	}
	recent_free(pool->recent);
	for (size_t i = 0; i < pool->target_count; i++)
		target_release(&pool->targets[i]);
	free(pool->targets);
	free(pool);
}
