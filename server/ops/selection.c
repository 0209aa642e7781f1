#include "server/ops/selection.h"

#include <stdio.h>
#include <string.h>

#include "background/effects/effect.h"
#include "config/clock.h"
#include "config/units.h"

static const char *const causes[] = {CAUSE_CONDEMNED, CAUSE_UNBUILDABLE, CAUSE_ATTEMPTS, CAUSE_AGE, CAUSE_BACKLOG_FULL,
	CAUSE_REJECTED, CAUSE_POISON};

int selection_time(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	int64_t ago_ms;

	if (units_parse_duration(text, &ago_ms) != 0)
		return clock_parse_rfc3339(text, ret_ms);
	if (ago_ms > now_ms)
		return ERR_INVALID;
	*ret_ms = now_ms - ago_ms;
	return 0;
}

static int read_state(const char *text, struct outbox_filter *filter)
{
	filter->any_state = strcmp(text, "all") == 0;
	if (filter->any_state)
		return 0;
	for (enum effect_state state = EFFECT_PENDING; state <= EFFECT_SKIPPED; state++) {
		if (strcmp(text, effect_state_text(state)) != 0)
			continue;
		filter->state = state;
		return 0;
	}
	return ERR_INVALID;
}

static int read_cause(const char *text, struct outbox_filter *filter)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (strcmp(text, causes[i]) != 0)
			continue;
		filter->cause = causes[i];
		return 0;
	}
	return ERR_INVALID;
}

static int read_ids(const json_t *ids, struct selection *selection)
{
	char event_id[ID_SIZE], name[LIMIT_TARGET_KEY + 1];
	size_t i;
	json_t *id;
	int part;

	if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > SELECTION_IDS)
		return ERR_INVALID;
	json_array_foreach(ids, i, id)
	{
		if (!json_is_string(id) || !effect_id_parse(json_string_value(id), event_id, name, &part) ||
			!id_valid(event_id))
			return ERR_INVALID;
	}
	selection->ids = ids;
	return 0;
}

/* What each member may hold, for people. */
static const char *form_of(const char *member)
{
	static const struct {
		const char *member, *form;
	} forms[] = {
		{"ids", "1 to 100 ids of effects or events"},
		{"effect", "the name of an effect or of one of its targets"},
		{"state", "pending, delivered, dead, discarded, skipped or all"},
		{"cause", "condemned, unbuildable, attempts, age, backlog_full, rejected or poison"},
		{"since", "a time like 2026-01-02T03:04:05Z, a date, or a duration before now like 2h"},
		{"until", "a time like 2026-01-02T03:04:05Z, a date, or a duration before now like 2h"},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strcmp(forms[i].member, member) == 0)
			return forms[i].form;
	}
	return NULL;
}

static int read_member(struct selection *selection, const char *member, const json_t *value, int64_t now_ms)
{
	struct outbox_filter *filter = &selection->filter;
	const char *text = json_string_value(value);

	if (strcmp(member, "ids") == 0)
		return read_ids(value, selection);
	if (!text || !*text)
		return ERR_INVALID;
	if (strcmp(member, "state") == 0)
		return read_state(text, filter);
	if (strcmp(member, "cause") == 0)
		return read_cause(text, filter);
	if (strcmp(member, "since") == 0)
		return selection_time(text, now_ms, &filter->since_ms);
	if (strcmp(member, "until") == 0)
		return selection_time(text, now_ms, &filter->until_ms);
	if (strlen(text) > LIMIT_TARGET_KEY)
		return ERR_INVALID;
	filter->effect = text;
	return 0;
}

int selection_read(const json_t *json, const char *fallback, int64_t now_ms, struct selection *ret_selection,
	char ret_why[SELECTION_WHY])
{
	struct selection selection = {.filter = {.part = -1, .any_state = true}};
	const char *member;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)json, member, value)
	{
		const char *form = form_of(member);
		if (!form) {
			(void)snprintf(ret_why, SELECTION_WHY,
				"\"%.40s\" is unknown: ids, effect, state, cause, since and until are possible",
				member);
			return ERR_INVALID;
		}
		if (read_member(&selection, member, value, now_ms) != 0) {
			(void)snprintf(ret_why, SELECTION_WHY, "\"%s\" must be %s", member, form);
			return ERR_INVALID;
		}
	}
	if (!json_object_get(json, "state") && read_state(fallback, &selection.filter) != 0)
		return ERR_INVALID;
	if (selection.ids && selection.filter.effect) {
		(void)snprintf(ret_why, SELECTION_WHY, "\"ids\" and \"effect\" exclude each other");
		return ERR_INVALID;
	}
	*ret_selection = selection;
	return 0;
}

bool selection_narrow(const struct selection *selection)
{
	const struct outbox_filter *filter = &selection->filter;

	return selection->ids || filter->effect || filter->cause || filter->since_ms || filter->until_ms;
}

const struct outbox_filter *selection_next(struct selection *selection)
{
	const size_t count = selection->ids ? json_array_size(selection->ids) : 1;
	struct outbox_filter *filter = &selection->filter;
	const size_t i = selection->next++;

	if (i >= count)
		return NULL;
	if (selection->ids) {
		/* checked when it was read */
		(void)effect_id_parse(json_string_value(json_array_get(selection->ids, i)), selection->event_id,
			selection->effect, &filter->part);
		filter->event_id = selection->event_id;
		filter->effect = selection->effect[0] ? selection->effect : NULL;
	}
	return filter;
}
