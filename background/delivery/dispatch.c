#include "background/delivery/dispatch.h"

#include <string.h>

#include "background/delivery/worker.h"
#include "config/clock.h"
#include "config/log.h"

/* Where a fire-and-forget effect goes: memory while there is room, then what on_full says. */
static void plan_memory(struct dispatch_entry *entry)
{
	if (target_reserve_memory(entry->target)) {
		entry->way = DISPATCH_MEMORY;
	} else if (entry->target->config->on_full == ON_FULL_SPILL && target_reserve_row(entry->target)) {
		entry->way = DISPATCH_ROW;
		entry->spilled = true;
	} else {
		entry->way = DISPATCH_DROPPED;
	}
}

/* On the request's thread: the one that dispatch_committed runs on must not wait for whoever reads the log. */
static void tell_full(struct target *target, bool dropped)
{
	int64_t untold;
	if (!target_tell(&target->full_told, clock_mono_us(), &untold))
		return;
	log_write(LOG_ERROR,
		dropped ? "limit of effects in memory reached: new ones are dropped"
			: "max_pending reached: new effects become dead letters",
		LOG_STR("effect", target->config->name), LOG_INT("pending", atomic_load(&target->pending)),
		LOG_INT("in_memory", atomic_load(&target->in_memory)), LOG_INT("others_since_last_line", untold));
}

static int plan_entry(struct dispatch *dispatch, struct target *target)
{
	struct dispatch_entry *entry = &dispatch->entries[dispatch->count++];
	*entry = (struct dispatch_entry){.target = target, .delivery = target->config->delivery};
	if (entry->delivery == DELIVERY_FIRE_AND_FORGET)
		plan_memory(entry);
	else
		entry->way = target_reserve_row(target) ? DISPATCH_ROW : DISPATCH_BACKLOG_FULL;

	if (entry->way != DISPATCH_ROW && entry->way != DISPATCH_MEMORY) {
		tell_full(target, entry->way == DISPATCH_DROPPED);
		return 0;
	}
	entry->item = item_new(dispatch->event, dispatch->event->created_ms);
	return entry->item != NULL ? 0 : ERR_MEMORY;
}

int dispatch_plan(struct dispatch *dispatch, struct pool *pool, struct event *event)
{
	size_t target_count;
	struct target *targets = pool_targets(pool, &target_count);
	int parts = 1; /* the request's own time */

	*dispatch = (struct dispatch){.pool = pool, .event = event};
	for (size_t i = 0; i < target_count; i++) {
		if (!effect_config_wants(targets[i].config, event->type))
			continue;
		if (plan_entry(dispatch, &targets[i]) != 0) {
			dispatch_abandon(dispatch);
			return ERR_MEMORY;
		}
		parts += dispatch->entries[dispatch->count - 1].item != NULL;
	}
	if (parts > 1)
		pool_measure_cost(pool, event, parts);
	return 0;
}

/* Names of the effects that leave no row, so that /events/{id} can say "unknown" of them after a restart. */
static void name_unrecorded(const struct dispatch *dispatch, struct buf *names)
{
	for (size_t i = 0; i < dispatch->count; i++) {
		const struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->way != DISPATCH_MEMORY && entry->way != DISPATCH_DROPPED)
			continue;
		if (names->len > 0)
			buf_append_text(names, ",");
		buf_append_text(names, entry->target->config->name);
	}
}

int dispatch_write(struct dispatch *dispatch, struct db *db)
{
	struct buf names;
	buf_init(&names, (size_t)LIMIT_EFFECTS * (LIMIT_EFFECT_NAME + 1));
	name_unrecorded(dispatch, &names);
	int err = buf_error(&names);
	if (err == 0)
		err = outbox_add_event(db, dispatch->event, names.data);
	buf_release(&names);

	for (size_t i = 0; err == 0 && i < dispatch->count; i++) {
		struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->way == DISPATCH_MEMORY || entry->way == DISPATCH_DROPPED)
			continue;
		const struct new_effect effect = {
			.effect = entry->target->config->name,
			.delivery = delivery_text(entry->delivery),
			.dead_cause = entry->way == DISPATCH_BACKLOG_FULL ? CAUSE_BACKLOG_FULL : NULL,
			.due_ms = dispatch->event->created_ms,
		};
		err = outbox_add_effect(db, dispatch->event, &effect, &entry->row);
	}
	return err;
}

static void offer(struct dispatch *dispatch, struct dispatch_entry *entry)
{
	struct item *item = entry->item;
	struct target *target = entry->target;
	const struct recent_state state = {
		.state = entry->way == DISPATCH_DROPPED ? "dropped" : "pending",
		.due_ms = dispatch->event->created_ms,
		.reason = entry->way == DISPATCH_DROPPED ? "limit of effects in memory reached" : "",
	};
	entry->item = NULL;
	counter_add(target->created, 1);
	switch (entry->way) {
	case DISPATCH_BACKLOG_FULL:
		target_count_end(target, END_DEAD, CAUSE_BACKLOG_FULL);
		break;
	case DISPATCH_DROPPED:
		(void)recent_add(pool_recent(dispatch->pool), dispatch->event->id, target->config->name, &state);
		target_count_end(target, END_DROPPED, NULL);
		break;
	case DISPATCH_MEMORY:
		item->recent =
			recent_add(pool_recent(dispatch->pool), dispatch->event->id, target->config->name, &state);
		worker_offer(target, item, false);
		break;
	case DISPATCH_ROW:
		item->row = entry->row;
		counter_add(target->spilled, entry->spilled);
		worker_offer(target, item, entry->delivery == DELIVERY_INLINE);
		break;
	}
}

void dispatch_committed(struct dispatch *dispatch)
{
	for (size_t i = 0; i < dispatch->count; i++)
		offer(dispatch, &dispatch->entries[i]);
}

void dispatch_abandon(struct dispatch *dispatch)
{
	for (size_t i = 0; i < dispatch->count; i++) {
		struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->way == DISPATCH_ROW)
			target_release_row(entry->target);
		else if (entry->way == DISPATCH_MEMORY)
			target_release_memory(entry->target);
		item_free(entry->item);
	}
	dispatch->count = 0;
}

/* The request is refused: inline effects whose turn has not come will have none. */
static void refuse_from(const struct dispatch *dispatch, size_t first)
{
	for (size_t i = first; i < dispatch->count; i++) {
		const struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->delivery == DELIVERY_INLINE && entry->way == DISPATCH_ROW)
			worker_refuse(entry->target, entry->row);
	}
}

int dispatch_inline(struct dispatch *dispatch)
{
	for (size_t i = 0; i < dispatch->count; i++) {
		const struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->delivery != DELIVERY_INLINE)
			continue;
		int err = entry->way == DISPATCH_ROW ? worker_run(entry->target, entry->row) : ERR_DENIED;
		if (err != 0 && entry->target->config->on_failure == ON_FAILURE_REJECT) {
			refuse_from(dispatch, i + 1);
			return ERR_DENIED;
		}
	}
	return 0;
}
