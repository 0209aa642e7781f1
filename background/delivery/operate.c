/*
 * Counts and orders are changed on the committer's thread, as the change becomes durable: so they come in the order of
 * the commits, whoever else changes the same targets at the same time.
 */
#include "background/delivery/operate.h"

#include <assert.h>
#include <string.h>

#include "background/delivery/breaker.h"
#include "background/delivery/pool_internal.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "config/log.h"

/* "hooks" names all targets of hooks. */
static bool named(const struct target *target, const char *name)
{
	return strcmp(target->config->name, name) == 0 || strcmp(target->config->effect, name) == 0;
}

static void order(struct target *target, unsigned orders)
{
	atomic_fetch_or(&target->orders, orders);
	worker_nudge(target->worker);
}

struct holding {
	struct pool *pool;
	const char *name, *reason; /* NULL: to be let go */
	int64_t now_ms;
};

static int hold_run(struct db *db, void *arg)
{
	const struct holding *holding = arg;
	int err = 0;
	for (size_t i = 0; err == 0 && i < holding->pool->target_count; i++) {
		const struct target *target = &holding->pool->targets[i];
		if (!named(target, holding->name))
			continue;
		if (holding->reason != NULL)
			err = pause_add(db, target->config->name, holding->reason, holding->now_ms);
		else
			err = pause_remove(db, target->config->name);
		if (err == ERR_NOT_FOUND) /* what is not paused may have an open breaker */
			err = 0;
	}
	return err;
}

static void hold_done(void *arg, int err)
{
	const struct holding *holding = arg;
	for (size_t i = 0; err == 0 && i < holding->pool->target_count; i++) {
		struct target *target = &holding->pool->targets[i];
		if (!named(target, holding->name))
			continue;
		if (holding->reason == NULL)
			target_say(target, SAYING_PAUSE, "");
		else if (!atomic_load(&target->on_hold))
			target_say(target, SAYING_PAUSE, holding->reason);
		atomic_store(&target->on_hold, holding->reason != NULL);
		order(target, ORDER_HOLD);
	}
}

static int hold(struct pool *pool, const char *name, const char *reason)
{
	struct holding holding = {.pool = pool, .name = name, .reason = reason, .now_ms = clock_now_ms()};
	size_t targets = 0;
	for (size_t i = 0; i < pool->target_count; i++)
		targets += named(&pool->targets[i], name);
	if (targets == 0)
		return ERR_NOT_FOUND;
	int err = committer_run_then(pool->committer, hold_run, hold_done, &holding);
	if (err == 0)
		log_write(LOG_WARN, reason != NULL ? "target paused by an operator" : "target resumed by an operator",
			LOG_STR("effect", name), LOG_STR("reason", reason), LOG_INT("targets", (int64_t)targets));
	return err;
}

int pool_pause(struct pool *pool, const char *name, const char *reason)
{
	return hold(pool, name, reason);
}

int pool_resume(struct pool *pool, const char *name)
{
	return hold(pool, name, NULL);
}

/* One batch of a change. */
struct batch {
	struct pool *pool;
	const struct outbox_filter *filter;
	struct target *target; /* replay: the one whose rows these are */
	int64_t after_row, now_ms;
	int limit;
	bool done;
	struct outbox_tally tally;
};

static int replay_run(struct db *db, void *arg)
{
	struct batch *batch = arg;
	return outbox_replay(db, batch->filter, batch->after_row, batch->limit, batch->now_ms, &batch->tally);
}

/* The places were reserved before; those that were not needed are given back. */
static void replay_done(void *arg, int err)
{
	struct batch *batch = arg;
	struct target *target = batch->target;
	int64_t taken = 0;
	batch->done = true;
	for (size_t i = 0; err == 0 && i < batch->tally.count; i++) {
		if (strcmp(batch->tally.items[i].effect, target->config->name) != 0)
			continue;
		target_add_dead(target, batch->tally.items[i].cause, -batch->tally.items[i].rows);
		taken += batch->tally.items[i].rows;
	}
	target_release_rows(target, batch->limit - taken);
	counter_add(target->replayed, (uint64_t)taken);
	if (taken > 0)
		order(target, ORDER_NOTE);
}

/*
 * Once a stop has begun: a stop has its time, and a million rows would take longer. The caller is told that there are
 * more.
 */
static bool left_off(struct pool *pool, struct outbox_tally *sum)
{
	if (!atomic_load(&pool->ending))
		return false;
	sum->more = true;
	return true;
}

/* All that fit of one target. */
static int replay_target(
	struct pool *pool, const struct outbox_filter *filter, struct target *target, struct outbox_tally *sum)
{
	struct outbox_filter own = *filter;
	struct batch batch = {.pool = pool, .filter = &own, .target = target, .now_ms = clock_now_ms()};
	int err = 0;

	own.effect = target->config->name;
	own.whole_name = true;
	own.any_state = false;
	own.state = EFFECT_DEAD;
	do {
		batch.limit = (int)target_reserve_rows(target, LIMIT_OUTBOX_BATCH);
		if (batch.limit == 0) {
			sum->more = true;
			break;
		}
		batch.done = false;
		batch.tally = (struct outbox_tally){.last_row = batch.after_row};
		err = committer_run_then(pool->committer, replay_run, replay_done, &batch);
		if (!batch.done) /* it could not be posted */
			target_release_rows(target, batch.limit);
		if (err == 0)
			outbox_tally_sum(sum, &batch.tally);
		batch.after_row = batch.tally.last_row;
	} while (err == 0 && batch.tally.more && !left_off(pool, sum));
	return err;
}

/* Of each target that is configured. */
static int count_targets(struct pool *pool, const struct outbox_filter *filter, struct outbox_tally *sum)
{
	struct outbox_filter own = *filter;
	struct outbox_tally tally;
	struct db *reader = NULL;
	int err = store_reader(pool->store, &reader);
	own.any_state = false;
	own.state = EFFECT_DEAD;
	for (size_t i = 0; err == 0 && i < pool->target_count; i++) {
		if (filter->effect != NULL && !named(&pool->targets[i], filter->effect))
			continue;
		own.effect = pool->targets[i].config->name;
		own.whole_name = true;
		tally = (struct outbox_tally){.rows = 0};
		err = outbox_tally(reader, &own, &tally);
		if (err == 0)
			outbox_tally_sum(sum, &tally);
	}
	db_close(reader);
	return err;
}

int pool_replay(struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally)
{
	int err = 0;
	*ret_tally = (struct outbox_tally){.rows = 0};
	if (dry_run)
		return count_targets(pool, filter, ret_tally);
	for (size_t i = 0; err == 0 && i < pool->target_count; i++)
		if (filter->effect == NULL || named(&pool->targets[i], filter->effect))
			err = replay_target(pool, filter, &pool->targets[i], ret_tally);
	return err;
}

static struct target *find(struct pool *pool, const char *name)
{
	for (size_t i = 0; i < pool->target_count; i++)
		if (strcmp(pool->targets[i].config->name, name) == 0)
			return &pool->targets[i];
	return NULL;
}

static int discard_run(struct db *db, void *arg)
{
	struct batch *batch = arg;
	return outbox_discard(db, batch->filter, batch->after_row, batch->limit, batch->now_ms, &batch->tally);
}

/* A dead letter has had its end already; what was pending has it now. */
static void discard_done(void *arg, int err)
{
	struct batch *batch = arg;
	for (size_t i = 0; err == 0 && i < batch->tally.count; i++) {
		struct target *target = find(batch->pool, batch->tally.items[i].effect);
		int64_t rows = batch->tally.items[i].rows;
		const char *cause = batch->tally.items[i].cause; /* "": they were pending */
		if (target == NULL) {
			gauge_add(batch->pool->orphans, cause[0] == '\0' ? -rows : 0);
			continue;
		}
		if (cause[0] != '\0') {
			target_add_dead(target, cause, -rows);
			continue;
		}
		target_release_rows(target, rows);
		counter_add(target->ends[END_DISCARDED], (uint64_t)rows);
		order(target, ORDER_REREAD);
	}
}

int pool_discard(struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally)
{
	struct batch batch = {.pool = pool, .filter = filter, .limit = LIMIT_OUTBOX_BATCH, .now_ms = clock_now_ms()};
	struct db *reader = NULL;
	int err = 0;

	*ret_tally = (struct outbox_tally){.rows = 0};
	if (dry_run) {
		err = store_reader(pool->store, &reader);
		if (err == 0)
			err = outbox_tally(reader, filter, ret_tally);
		db_close(reader);
		return err;
	}
	do {
		batch.tally = (struct outbox_tally){.last_row = batch.after_row};
		err = committer_run_then(pool->committer, discard_run, discard_done, &batch);
		if (err == 0)
			outbox_tally_sum(ret_tally, &batch.tally);
		batch.after_row = batch.tally.last_row;
	} while (err == 0 && batch.tally.more && !left_off(pool, ret_tally));
	return err;
}

void pool_removed(struct pool *pool, const struct outbox_tally *tally)
{
	for (size_t i = 0; i < tally->count; i++) {
		struct target *target = find(pool, tally->items[i].effect);
		if (target != NULL)
			target_add_dead(target, tally->items[i].cause, -tally->items[i].rows);
	}
}

const char *pool_next_attempt(struct pool *pool, const char *name, int64_t due_ms, int64_t *ret_next_ms)
{
	const struct target *target = find(pool, name);
	const char *parked = target != NULL ? target_parked(target, clock_now_ms()) : NULL;
	int64_t until_ms = parked != NULL ? atomic_load(&target->parked_until_ms) : 0;
	*ret_next_ms = until_ms > due_ms ? until_ms : due_ms;
	if (target == NULL || until_ms == INT64_MAX)
		*ret_next_ms = 0;
	if (target == NULL)
		return "no such effect is configured any more";
	return parked;
}

int pool_view(struct pool *pool, size_t index, struct target_view *ret_view)
{
	if (index >= pool->target_count)
		return ERR_NOT_FOUND;
	struct target *target = &pool->targets[index];
	const struct effect_config *config = target->config;
	int64_t told_ms = atomic_load(&target->told_until_ms);
	const char *parked = target_parked(target, clock_now_ms());
	int64_t parked_ms = parked != NULL ? atomic_load(&target->parked_until_ms) : 0;
	*ret_view = (struct target_view){
		.name = config->name,
		.effect = config->effect,
		.target = config->target,
		.type = config->type,
		.delivery = delivery_text(config->delivery),
		.breaker = breaker_state_text((enum breaker_state)gauge_get(target->breaker)),
		.paused = gauge_get(target->paused) != 0,
		.told_until_ms = told_ms > clock_now_ms() ? told_ms : 0,
		.waits_for = parked,
		.waits_until_ms = parked_ms < INT64_MAX ? parked_ms : 0,
		.pending = atomic_load(&target->pending) + atomic_load(&target->in_memory),
		.in_flight = gauge_get(target->in_flight),
		.oldest_due_ms = atomic_load(&target->oldest_due_ms),
	};
	target_said(target, SAYING_BREAKER, ret_view->breaker_cause);
	target_said(target, SAYING_PAUSE, ret_view->pause_reason);
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		ret_view->dead[i] = gauge_get(target->dead[i]);
	return 0;
}
