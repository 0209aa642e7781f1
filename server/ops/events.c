#include "server/ops/events.h"

#include <string.h>

#include "background/delivery/pool.h"
#include "background/store/outbox.h"
#include "config/clock.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/auth/users.h"

/* One effect as the answer shows it. `due_ms` 0: no next attempt. */
static json_t *effect_json(const char *name, const char *delivery, const char *state, const char *log, int64_t due_ms,
	const char *cause, const char *reason)
{
	char next[RFC3339_SIZE];
	json_t *attempts = log != NULL ? json_loads(log, 0, NULL) : NULL;
	if (attempts == NULL)
		attempts = json_array();
	if (due_ms > 0)
		clock_rfc3339(next, due_ms);
	return json_pack("{s:s, s:s, s:s, s:o, s:s?, s:s?, s:s?}", "name", name, "delivery", delivery, "state", state,
		"attempts", attempts, "next_attempt", due_ms > 0 ? next : NULL, "cause",
		cause != NULL && cause[0] != '\0' ? cause : NULL, "reason",
		reason != NULL && reason[0] != '\0' ? reason : NULL);
}

static int add_row(void *arg, const struct outbox_effect *effect)
{
	bool pending = effect->state == EFFECT_PENDING;
	json_t *entry = effect_json(effect->effect, effect->delivery, effect_state_text(effect->state), effect->log,
		pending ? effect->due_ms : 0, effect->cause, effect->reason);
	return json_array_append_new(arg, entry) == 0 ? 0 : ERR_MEMORY;
}

struct memory_effect {
	json_t *list;
	const char *name;
};

static void add_memory(void *arg, const struct recent_state *state)
{
	const struct memory_effect *effect = arg;
	bool pending = strcmp(state->state, effect_state_text(EFFECT_PENDING)) == 0;
	(void)json_array_append_new(
		effect->list, effect_json(effect->name, delivery_text(DELIVERY_FIRE_AND_FORGET), state->state,
				      state->log, pending ? state->due_ms : 0, NULL, state->reason));
}

static bool has_row(const json_t *list, const char *name)
{
	size_t i;
	json_t *entry;
	json_array_foreach(
		list, i, entry) if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0) return true;
	return false;
}

/* Effects without rows: from memory, or unknown after a restart. One that was spilled has a row by now. */
static int add_unrecorded(struct app *app, const char *event_id, char *names, json_t *list)
{
	char *rest = NULL;
	for (char *name = strtok_r(names, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
		struct memory_effect effect = {.list = list, .name = name};
		if (has_row(list, name))
			continue;
		int err = recent_find(pool_recent(app->pool), event_id, name, add_memory, &effect);
		if (err == ERR_NOT_FOUND)
			err = json_array_append_new(list,
				effect_json(name, delivery_text(DELIVERY_FIRE_AND_FORGET), "unknown", NULL, 0, NULL,
					"not recorded, and the server has restarted or forgotten it since"));
		if (err != 0)
			return ERR_MEMORY;
	}
	return 0;
}

/* An event of somebody else's is not found, as one that does not exist is. */
static bool may_see(struct db *db, const struct session_owner *owner, const struct outbox_event *event)
{
	struct user user;
	if (owner->user_id == event->user_id)
		return true;
	return users_find_by_public_id(db, owner->public_id, &user) == 0 && user.admin;
}

void events_show(struct exchange *x, struct request_thread *thread)
{
	struct app *app = thread->app;
	const char *id = exchange_parameter(x);
	struct session_owner owner;
	struct outbox_event event = {0};
	json_t *effects = NULL;
	char created[RFC3339_SIZE];
	int err;

	if (bearer_authenticate(x, thread, &owner) != 0)
		return;
	err = id_valid(id) ? outbox_find_event(thread->db, id, &event) : ERR_NOT_FOUND;
	if (err == 0 && !may_see(thread->db, &owner, &event))
		err = ERR_NOT_FOUND;
	if (err != 0)
		goto done;

	effects = json_array();
	err = effects != NULL ? outbox_event_effects(thread->db, event.row, add_row, effects) : ERR_MEMORY;
	if (err == 0)
		err = add_unrecorded(app, id, event.unrecorded, effects);
	if (err != 0)
		goto done;
	clock_rfc3339(created, event.created_ms);
	exchange_answer_json(x, 200,
		json_pack("{s:s, s:s, s:s, s:s, s:O}", "event_id", id, "type", event.type, "subject", event.subject,
			"created", created, "effects", effects));
done:
	if (err == ERR_NOT_FOUND)
		exchange_problem(x, 404, "event_not_found", "There is no such event, or it is not yours to see.");
	else if (err != 0)
		exchange_problem_retry(x, 503, "unavailable", "The event can't be read right now.", 1000);
	json_decref(effects);
	outbox_event_release(&event);
}
