#include "background/delivery/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/dispatch.h"
#include "background/delivery/pool_internal.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "config/log.h"

enum {
	LAG_MAX_US = 5 * 1000 * 1000,	 /* a worker that leaves a message for longer does not progress */
	START_UNDO_US = 2 * 1000 * 1000, /* for workers that began before the start failed */
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
	if (!pending)
		return 0;
	gauge_add(pool->orphans, count);
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

struct beginning {
	int64_t run, back_ms, rows;
};

static int begin_run(struct db *db, void *arg)
{
	struct beginning *beginning = arg;
	return outbox_begin_run(db, clock_now_ms(), &beginning->run, &beginning->back_ms, &beginning->rows);
}

static int take_pause(void *arg, const char *name, const char *reason, int64_t since_ms)
{
	struct pool *pool = arg;
	for (size_t i = 0; i < pool->target_count; i++) {
		struct target *target = &pool->targets[i];
		if (strcmp(target->config->name, name) != 0)
			continue;
		atomic_store(&target->on_hold, true);
		gauge_set(target->paused, 1);
		target_park(target, TARGET_PAUSED, INT64_MAX);
		target_say(target, SAYING_PAUSE, reason);
		log_write(LOG_WARN, "target is paused: its effects wait until it is resumed", LOG_STR("effect", name),
			LOG_STR("reason", reason), LOG_INT("for_ms", clock_now_ms() - since_ms));
	}
	return 0;
}

/* What the store knows from before: what is owed, what is paused, how often it has been begun. */
static int take_over(struct pool *pool, int64_t *ret_run)
{
	struct beginning beginning = {.run = 0};
	struct db *reader = NULL;
	int err = committer_run(pool->committer, begin_run, &beginning);
	if (err == 0)
		err = store_reader(pool->store, &reader);
	if (err == 0)
		err = outbox_counts(reader, take_count, pool);
	if (err == 0)
		err = pause_list(reader, take_pause, pool);
	db_close(reader);
	if (err != 0)
		return err;
	if (beginning.back_ms > 0)
		log_write(LOG_WARN,
			"the wall clock has gone back since the store was last written: retries keep their delays",
			LOG_INT("back_ms", beginning.back_ms), LOG_INT("rows_brought_forward", beginning.rows));
	*ret_run = beginning.run;
	return 0;
}

static int set_up(struct pool *pool, const struct config *config, struct metrics *metrics)
{
	pool->targets = calloc(config->effect_count + 1, sizeof(*pool->targets));
	pool->recent = recent_new();
	if (pool->targets == NULL || pool->recent == NULL)
		return ERR_MEMORY;
	quarantine_init(&pool->quarantine);
	pool->target_count = config->effect_count;
	for (size_t i = 0; i < pool->target_count; i++)
		target_init(&pool->targets[i], &config->effects[i], metrics);
	pool->cost_seconds = metrics_histogram(metrics, "tokenfirst_login_blocking_cost_seconds",
		"What a login's answer would have taken had every effect been inline.", &histogram_seconds, NULL);
	pool->orphans = metrics_gauge(metrics, "tokenfirst_effects_orphaned",
		"Effects owed for effects or targets that are configured no more: they wait.", 1, NULL);
	gauge_set(pool->orphans, 0);
	pool->cost_skipped = metrics_counter(metrics, "tokenfirst_login_blocking_cost_skipped_total",
		"Logins whose blocking cost could not be measured.", NULL);
	return 0;
}

int pool_prepare(const struct config *config, struct store *store, struct committer *committer, struct metrics *metrics,
	struct pool **ret_pool)
{
	if (dispatch_most(config) > LIMIT_DISPATCH)
		return ERR_LIMIT;
	struct pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return ERR_MEMORY;
	pool->store = store;
	pool->committer = committer;
	struct worker_options options = {.store = store, .committer = committer, .metrics = metrics};
	int err = set_up(pool, config, metrics);
	if (err == 0)
		err = take_over(pool, &options.run);
	options.recent = pool->recent;
	options.quarantine = &pool->quarantine;
	options.targets = pool->targets;
	options.target_count = pool->target_count;
	if (err == 0)
		err = start_workers(pool, config, &options);
	if (err == 0) {
		metrics_on_render(metrics, refresh, pool);
		*ret_pool = pool;
		return 0;
	}
	pool_drain(pool, clock_mono_us() + START_UNDO_US);
	/* what the workers posted comes back to them before they are freed */
	(void)!committer_run(committer, write_nothing, NULL);
	pool_stop(pool, NULL);
	return err;
}

void pool_set_links(struct pool *pool, const struct link_maker *links)
{
	for (size_t i = 0; i < pool->target_count; i++)
		pool->targets[i].links = links;
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
	if (pool == NULL)
		return;
	atomic_store(&pool->ending, true);
	pool->delivered_before = count_ends(pool, END_DELIVERED);
	for (size_t i = 0; i < pool->worker_count; i++)
		worker_end_waits(pool->workers[i], at_us);
}

int64_t pool_spill_us(const struct pool *pool)
{
	return pool != NULL ? targets_in_memory(pool->targets, pool->target_count) * LIMIT_DRAIN_SPILL_US : 0;
}

void pool_drain(struct pool *pool, int64_t deadline_us)
{
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
