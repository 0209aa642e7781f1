#include "server/ops/effects_json.h"

#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"
#include "config/clock.h"
#include "config/utf8.h"

/* null for 0: it has not been. */
static json_t *time_or_null(int64_t ms)
{
	char text[RFC3339_SIZE];

	if (ms <= 0)
		return json_null();
	clock_rfc3339(text, ms);
	return json_string(text);
}

json_t *effects_json_text(const char *text)
{
	json_t *json;
	char *mended;

	if (!text || !*text)
		return json_null();
	json = json_string(text);
	mended = json ? NULL : strdup(text);
	if (mended) {
		utf8_mend(mended);
		json = json_string(mended);
	}
	free(mended);
	return json;
}

static json_t *log_of(const struct outbox_entry *entry)
{
	json_t *log = json_loads(entry->log, 0, NULL);

	return log ? log : json_array();
}

json_t *effects_json_entry(const struct outbox_entry *entry, bool whole)
{
	const size_t name_len = strcspn(entry->effect, ".");
	const char *target = entry->effect[name_len] ? entry->effect + name_len + 1 : NULL;
	const bool pending = entry->state == EFFECT_PENDING;
	char id[EFFECT_ID_SIZE];
	json_t *json;

	effect_id(id, entry->event_id, entry->effect, entry->part);
	json = json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s?, s:o, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "id", id,
		"event_id", entry->event_id, "type", entry->type, "subject", entry->subject, "effect", entry->effect,
		name_len, "target", target, "recipient", effects_json_text(entry->recipient), "delivery",
		entry->delivery, "state", effect_state_text(entry->state), "attempts", entry->attempts, "cause",
		effects_json_text(entry->cause), "reason", effects_json_text(entry->reason), "created",
		time_or_null(entry->created_ms), "next_attempt", time_or_null(pending ? entry->due_ms : 0), "settled",
		time_or_null(pending ? 0 : entry->settled_ms), "replayed", time_or_null(entry->replayed_ms));
	if (json && whole &&
		(json_object_set_new(json, "attempt_log", log_of(entry)) != 0 ||
			json_object_set_new(json, "reply", effects_json_text(entry->reply)) != 0)) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

int effects_json_wait(json_t *entry, const char *waits_for, int64_t next_ms)
{
	return json_object_set_new(entry, "waits_for", effects_json_text(waits_for)) == 0 &&
			       json_object_set_new(entry, "next_attempt", time_or_null(next_ms)) == 0
		       ? 0
		       : ERR_MEMORY;
}

json_t *effects_json_tally(const struct outbox_tally *tally)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < tally->count; i++) {
		const char *cause = tally->items[i].cause;
		json_t *item = json_pack("{s:s, s:s?, s:I}", "effect", tally->items[i].effect, "cause",
			*cause ? cause : NULL, "rows", (json_int_t)tally->items[i].rows);
		if (json_array_append_new(list, item) != 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

static json_t *dead_letters(const struct target_view *view)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < CAUSE_COUNT; i++)
		if (view->dead[i] > 0)
			(void)json_object_set_new(json, target_causes[i], json_integer(view->dead[i]));
	return json;
}

static json_t *target_json(const struct target_view *view)
{
	return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s, s:s?, s:b, s:o, s:o, s:s?, s:o, s:I, s:I, s:o, s:o}", "name",
		view->name, "effect", view->effect, "target", view->target, "type", view->type, "delivery",
		view->delivery, "breaker", view->breaker, "cause", view->breaker_cause[0] ? view->breaker_cause : NULL,
		"paused", view->paused, "pause_reason", effects_json_text(view->paused ? view->pause_reason : NULL),
		"told_to_wait_until", time_or_null(view->told_until_ms), "waits_for", view->waits_for, "waits_until",
		time_or_null(view->waits_until_ms), "pending", (json_int_t)view->pending, "in_flight",
		(json_int_t)view->in_flight, "oldest_due", time_or_null(view->oldest_due_ms), "dead_letters",
		dead_letters(view));
}

json_t *effects_json_targets(struct pool *pool)
{
	struct target_view view;
	json_t *list = json_array();

	for (size_t i = 0; list && pool_view(pool, i, &view) == 0; i++) {
		if (json_array_append_new(list, target_json(&view)) != 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list ? json_pack("{s:o}", "targets", list) : NULL;
}
