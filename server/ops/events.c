#include "server/ops/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/operate.h"
#include "background/store/outbox.h"
#include "config/clock.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/ops/effects_json.h"

/* One event's effects on their way into the answer. */
struct effect_list {
	struct app *app;
	const char *event_id;
	bool admin;
	json_t *list;
};

/* One effect as the answer shows it. */
struct shown {
	const char *name, *delivery, *state, *log, *cause, *reason;
	const char *recipient; /* NULL: not to be shown */
	int part;
	int64_t due_ms; /* of a pending one */
};

static const char *text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

static struct target *find_target(struct app *app, const char *name)
{
	size_t count;
	struct target *targets = pool_targets(app->pool, &count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(targets[i].config->name, name) == 0)
			return &targets[i];
	return NULL;
}

/*
 * What a receiver says may name the addresses of others that a mail goes to, which are the operator's matter: a star in place
 * of every word with an '@'. Changes the text.
 */
static void hide_addresses(char *text)
{
	static const char between[] = " <>()[]{}\"',;:=/";
	char *out = text;
	while (*text != '\0') {
		size_t len = strcspn(text, between);
		if (len == 0) {
			*out++ = *text++;
		} else if (memchr(text, '@', len) != NULL) {
			*out++ = '*';
			text += len;
		} else {
			memmove(out, text, len);
			out += len;
			text += len;
		}
	}
	*out = '\0';
}

/* A reason as this reader may see it; null for none. NULL: no memory. */
static json_t *reason_json(const struct effect_list *effects, const char *reason)
{
	json_t *json = effects_json_text(reason);
	char *text = effects->admin || !json_is_string(json) ? NULL : strdup(json_string_value(json));
	if (text != NULL) {
		hide_addresses(text);
		(void)json_string_set(json, text);
		free(text);
	} else if (!effects->admin && json_is_string(json)) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

/* The attempts of a row, as this reader may see them. NULL: no memory. */
static json_t *attempts_json(const struct effect_list *effects, const char *log)
{
	json_t *attempts = log != NULL ? json_loads(log, 0, NULL) : NULL, *attempt;
	size_t i;
	if (attempts == NULL)
		return json_array();
	json_array_foreach(attempts, i, attempt)
	{
		const char *reason = json_string_value(json_object_get(attempt, "reason"));
		if (reason == NULL || json_object_set_new(attempt, "reason", reason_json(effects, reason)) == 0)
			continue;
		json_decref(attempts);
		return NULL;
	}
	return attempts;
}

static int add_effect(struct effect_list *effects, const struct shown *shown)
{
	const struct target *target = find_target(effects->app, shown->name);
	bool pending = strcmp(shown->state, effect_state_text(EFFECT_PENDING)) == 0;
	char id[EFFECT_ID_SIZE], next[RFC3339_SIZE];
	int64_t next_ms = 0;
	const char *waits_for =
		pending ? pool_next_attempt(effects->app->pool, shown->name, shown->due_ms, &next_ms) : NULL;

	effect_id(id, effects->event_id, shown->name, shown->part);
	if (next_ms > 0)
		clock_rfc3339(next, next_ms);
	json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:s?, s:o}", "id", id, "name", shown->name,
		"delivery", shown->delivery, "state", shown->state, "attempts", attempts_json(effects, shown->log),
		"next_attempt", next_ms > 0 ? next : NULL, "waits_for", waits_for, "cause", text_or_null(shown->cause),
		"reason", reason_json(effects, shown->reason));
	int failed = entry == NULL;
	if (!failed && target != NULL && target->config->target != NULL) {
		failed |= json_object_set_new(entry, "effect", json_string(target->config->effect)) != 0;
		failed |= json_object_set_new(entry, "target", json_string(target->config->target)) != 0;
	}
	if (!failed && shown->part > 0)
		failed |= json_object_set_new(entry, "part", json_integer(shown->part)) != 0;
	if (!failed && shown->part > 0 && text_or_null(shown->recipient) != NULL)
		failed |= json_object_set_new(entry, "recipient", json_string(shown->recipient)) != 0;
	if (failed)
		json_decref(entry);
	return !failed && json_array_append_new(effects->list, entry) == 0 ? 0 : ERR_MEMORY;
}

static int add_row(void *arg, const struct outbox_effect *effect)
{
	struct effect_list *effects = arg;
	const struct shown shown = {
		.name = effect->effect,
		.delivery = effect->delivery,
		.state = effect_state_text(effect->state),
		.log = effect->log,
		.cause = effect->cause,
		.reason = effect->reason,
		/* the other addresses that a mail goes to are the operator's matter, not the user's */
		.recipient = effects->admin ? effect->recipient : NULL,
		.part = effect->part,
		.due_ms = effect->due_ms,
	};
	return add_effect(effects, &shown);
}

struct memory_effect {
	struct effect_list *effects;
	const char *name;
	int part, err;
};

static void add_memory(void *arg, const struct recent_state *state)
{
	struct memory_effect *effect = arg;
	const struct shown shown = {
		.name = effect->name,
		.delivery = delivery_text(DELIVERY_FIRE_AND_FORGET),
		.state = state->state,
		.log = state->log,
		.reason = state->reason,
		.part = effect->part,
		.due_ms = state->due_ms,
	};
	effect->err = add_effect(effect->effects, &shown);
}

static bool has_row(const json_t *list, const char *id)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "id")), id) == 0)
			return true;
	return false;
}

/* Effects without rows: from memory, or unknown after a restart. One that was spilled has a row by now. */
static int add_unrecorded(struct effect_list *effects, char *keys)
{
	char *rest = NULL;
	int err = 0;
	for (char *key = strtok_r(keys, ",", &rest); err == 0 && key != NULL; key = strtok_r(NULL, ",", &rest)) {
		char id[EFFECT_ID_SIZE], event_id[ID_SIZE], name[LIMIT_TARGET_KEY + 1];
		struct memory_effect effect = {.effects = effects, .name = name};
		struct shown unknown = {
			.name = name,
			.delivery = delivery_text(DELIVERY_FIRE_AND_FORGET),
			.state = "unknown",
			.reason = "not recorded, and the server has restarted or forgotten it since",
		};
		(void)snprintf(id, sizeof(id), "%s-%s", effects->event_id, key);
		if (!effect_id_parse(id, event_id, name, &effect.part) || has_row(effects->list, id))
			continue;
		unknown.part = effect.part;
		err = recent_find(pool_recent(effects->app->pool), event_id, key, add_memory, &effect);
		err = err == ERR_NOT_FOUND ? add_effect(effects, &unknown) : err != 0 ? err : effect.err;
	}
	return err;
}

/* An event of somebody else's is not found, as one that does not exist is. */
static bool may_see(const struct session_owner *owner, const struct outbox_event *event, bool admin)
{
	return admin || owner->user_id == event->user_id;
}

void events_show(struct exchange *x, struct request_thread *thread)
{
	struct app *app = thread->app;
	const char *id = exchange_parameter(x);
	struct session_owner owner;
	struct outbox_event event = {0};
	struct effect_list effects = {.app = app, .event_id = id};
	char created[RFC3339_SIZE];
	int err;

	if (bearer_authenticate(x, thread, &owner) != 0)
		return;
	err = id_valid(id) ? outbox_find_event(thread->db, id, &event) : ERR_NOT_FOUND;
	effects.admin = owner.admin;
	if (err == 0 && !may_see(&owner, &event, effects.admin))
		err = ERR_NOT_FOUND;
	if (err != 0)
		goto done;

	effects.list = json_array();
	err = effects.list != NULL ? outbox_event_effects(thread->db, event.row, add_row, &effects) : ERR_MEMORY;
	if (err == 0)
		err = add_unrecorded(&effects, event.unrecorded);
	if (err != 0)
		goto done;
	clock_rfc3339(created, event.created_ms);
	exchange_answer_json(x, 200,
		json_pack("{s:s, s:s, s:s, s:s, s:O}", "event_id", id, "type", event.type, "subject", event.subject,
			"created", created, "effects", effects.list));
done:
	if (err == ERR_NOT_FOUND)
		exchange_problem(x, 404, "event_not_found", "There is no such event, or it is not yours to see.");
	else if (err != 0)
		exchange_unavailable(x, "The event can't be read right now.");
	json_decref(effects.list);
	outbox_event_release(&event);
}
