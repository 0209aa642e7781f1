#include "background/delivery/dispatch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/worker.h"
#include "config/clock.h"
#include "config/log.h"

/* What an event of this type would cause. */
static size_t parts_for(const struct config *config, const char *type)
{
	size_t parts = 0;
	for (size_t i = 0; i < config->effect_count; i++)
		if (effect_config_wants(&config->effects[i], type))
			parts += (size_t)effect_parts(&config->effects[i]);
	return parts;
}

/*
 * Whatever type an event has, the patterns that match it are those that match its own name, if that is one of them, or
 * else the longest prefix that does with something behind it. So it is enough to ask for those.
 */
size_t dispatch_most(const struct config *config)
{
	char type[LIMIT_CONFIG_TEXT + 2];
	size_t most = 0;
	for (size_t i = 0; i < config->effect_count; i++)
		for (size_t j = 0; j < config->effects[i].on_count; j++) {
			(void)snprintf(
				type, sizeof(type), "%s", config->effects[i].on[j]); /* its '*' is something, too */
			size_t parts = parts_for(config, type);
			most = parts > most ? parts : most;
		}
	return most;
}

/*
 * Where a fire-and-forget effect goes: memory while there is room and the target takes effects, else what on_full says.
 */
static void plan_memory(struct dispatch_entry *entry)
{
	struct target *target = entry->target;
	entry->why = target_parked(target, clock_now_ms());
	if (entry->why == NULL && target_reserve_memory(target)) {
		entry->way = DISPATCH_MEMORY;
	} else if (target->config->on_full == ON_FULL_SPILL && target_reserve_row(target)) {
		entry->way = DISPATCH_ROW;
		entry->spilled = true;
	} else {
		entry->way = DISPATCH_DROPPED;
		if (entry->why == NULL)
			entry->why = "limit of effects in memory reached";
	}
}

/* On the request's thread: the one that dispatch_committed runs on must not wait for whoever reads the log. */
static void tell_full(const struct dispatch_entry *entry)
{
	struct target *target = entry->target;
	int64_t untold;
	if (!target_tell(&target->full_told, clock_mono_us(), &untold))
		return;
	log_write(LOG_ERROR,
		entry->way == DISPATCH_DROPPED ? "new effects are dropped"
					       : "max_pending reached: new effects become dead letters",
		LOG_STR("effect", target->config->name), LOG_STR("reason", entry->why),
		LOG_INT("pending", atomic_load(&target->pending)),
		LOG_INT("in_memory", atomic_load(&target->in_memory)), LOG_INT("others_since_last_line", untold));
}

static int plan_entry(struct dispatch *dispatch, struct target *target, int part)
{
	assert(dispatch->count < LIMIT_DISPATCH); /* dispatch_most is checked at start */
	struct dispatch_entry *entry = &dispatch->entries[dispatch->count++];
	*entry = (struct dispatch_entry){
		.target = target,
		.part = part,
		.recipient = effect_recipient(target->config, part),
		.delivery = target->config->delivery,
	};
	if (entry->delivery == DELIVERY_FIRE_AND_FORGET)
		plan_memory(entry);
	else
		entry->way = target_reserve_row(target) ? DISPATCH_ROW : DISPATCH_BACKLOG_FULL;

	if (entry->way != DISPATCH_ROW && entry->way != DISPATCH_MEMORY) {
		tell_full(entry);
		return 0;
	}
	entry->item = item_new(dispatch->event, dispatch->event->created_ms);
	if (entry->item == NULL)
		return ERR_MEMORY;
	entry->item->part = part;
	if (entry->recipient[0] == '\0')
		return 0;
	entry->item->recipient = strdup(entry->recipient);
	return entry->item->recipient != NULL ? 0 : ERR_MEMORY;
}

/* One entry, or one for each recipient, numbered from 1. */
static int plan_target(struct dispatch *dispatch, struct target *target)
{
	int parts = effect_parts(target->config), err = 0;
	for (int part = parts > 1; err == 0 && part <= (parts > 1 ? parts : 0); part++)
		err = plan_entry(dispatch, target, part);
	return err;
}

int dispatch_plan(struct dispatch *dispatch, struct pool *pool, struct event *event)
{
	size_t target_count;
	struct target *targets = pool_targets(pool, &target_count);

	*dispatch = (struct dispatch){.pool = pool, .event = event};
	for (size_t i = 0; i < target_count; i++) {
		if (!effect_config_wants(targets[i].config, event->type))
			continue;
		if (plan_target(dispatch, &targets[i]) != 0) {
			dispatch_abandon(dispatch);
			return ERR_MEMORY;
		}
	}
	return 0;
}

void dispatch_measure_cost(struct dispatch *dispatch)
{
	int parts = 1; /* the request's own time */

	for (size_t i = 0; i < dispatch->count; i++)
		parts += dispatch->entries[i].item != NULL;
	if (parts > 1)
		pool_measure_cost(dispatch->pool, dispatch->event, parts);
}

/* What an effect's id has behind the event's: its name, and its part if it is one of several. */
static const char *key_of(const struct dispatch *dispatch, const struct dispatch_entry *entry, char id[EFFECT_ID_SIZE])
{
	effect_id(id, dispatch->event->id, entry->target->config->name, entry->part);
	return id + ID_SIZE;
}

/* The effects that leave no row, so that /events/{id} can say "unknown" of them after a restart. */
static void name_unrecorded(const struct dispatch *dispatch, struct buf *names)
{
	for (size_t i = 0; i < dispatch->count; i++) {
		const struct dispatch_entry *entry = &dispatch->entries[i];
		if (entry->way != DISPATCH_MEMORY && entry->way != DISPATCH_DROPPED)
			continue;
		char id[EFFECT_ID_SIZE];
		if (names->len > 0)
			buf_append_text(names, ",");
		buf_append_text(names, key_of(dispatch, entry, id));
	}
}

int dispatch_write(struct dispatch *dispatch, struct db *db)
{
	struct buf names;
	buf_init(&names, (size_t)LIMIT_DISPATCH * EFFECT_ID_SIZE);
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
			.part = entry->part,
			.recipient = entry->recipient,
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
	struct recent *recent = pool_recent(dispatch->pool);
	struct item *item = entry->item;
	struct target *target = entry->target;
	char id[EFFECT_ID_SIZE];
	const char *key = key_of(dispatch, entry, id);
	const struct recent_state state = {
		.state = entry->way == DISPATCH_DROPPED ? "dropped" : "pending",
		.due_ms = dispatch->event->created_ms,
		.reason = entry->way == DISPATCH_DROPPED ? entry->why : "",
	};
	entry->item = NULL;
	counter_add(target->created, 1);
	switch (entry->way) {
	case DISPATCH_BACKLOG_FULL:
		target_count_end(target, END_DEAD, CAUSE_BACKLOG_FULL);
		break;
	case DISPATCH_DROPPED:
		(void)recent_add(recent, dispatch->event->id, key, &state);
		target_count_end(target, END_DROPPED, NULL);
		break;
	case DISPATCH_MEMORY:
		item->recent = recent_add(recent, dispatch->event->id, key, &state);
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
