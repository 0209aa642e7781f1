#include "server/ops/admin.h"

#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/ops/admin_request.h"
#include "server/ops/effects_command.h"
#include "server/ops/effects_json.h"

static void unavailable(struct exchange *x)
{
	exchange_unavailable(x, "The outbox can't be used right now.");
}

static void malformed(struct exchange *x, const char *why)
{
	exchange_problem(x, 400, "malformed", why);
}

/* The query as the object that selection_read takes. NULL: no memory. */
static json_t *query_selection(struct exchange *x)
{
	static const char *const members[] = {"effect", "state", "cause", "since", "until"};
	json_t *json = json_object();

	for (size_t i = 0; json && i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = exchange_query(x, members[i]);
		json_t *value = text ? json_string(text) : NULL;
		if (text && json_object_set_new(json, members[i], value ? value : json_string("")) != 0) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

struct page {
	struct pool *pool;
	json_t *effects;
	int64_t last_row;
};

/* With what its target waits for. NULL without memory. */
static json_t *entry_json(struct pool *pool, const struct outbox_entry *entry, bool whole)
{
	json_t *json = effects_json_entry(entry, whole);
	int64_t next_ms = 0;
	const char *why = NULL;

	if (entry->state == EFFECT_PENDING)
		why = pool_next_attempt(pool, entry->effect, entry->due_ms, &next_ms);
	if (json && effects_json_wait(json, why, next_ms) != 0) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

static int add_to_page(void *arg, const struct outbox_entry *entry)
{
	struct page *page = arg;

	page->last_row = entry->row;
	return json_array_append_new(page->effects, entry_json(page->pool, entry, false)) == 0 ? 0 : ERR_MEMORY;
}

static void list(struct exchange *x, struct request_thread *thread, const struct outbox_filter *filter)
{
	struct page page = {.pool = thread->app->pool, .effects = json_array()};
	int64_t limit, before;
	int seen;

	if (admin_request_number(x, "limit", ADMIN_PAGE_MAX, ADMIN_PAGE, &limit) != 0 ||
		admin_request_number(x, "before", INT64_MAX, 0, &before) != 0) {
		json_decref(page.effects);
		malformed(x, "\"limit\" is a number from 1 to 1000, \"before\" the \"next\" of another page.");
		return;
	}
	seen = page.effects ? outbox_list(thread->db, filter, before, (int)limit, add_to_page, &page) : ERR_MEMORY;
	if (seen < 0) {
		json_decref(page.effects);
		unavailable(x);
		return;
	}
	exchange_answer_json(x, 200,
		json_pack("{s:o, s:o}", "effects", page.effects, "next",
			seen == limit ? json_integer(page.last_row) : json_null()));
}

void admin_effects_list(struct exchange *x, struct request_thread *thread)
{
	struct selection selection;
	char why[SELECTION_WHY];
	struct user admin;
	json_t *query;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	query = query_selection(x);
	if (!query)
		unavailable(x);
	else if (selection_read(query, "all", clock_now_ms(), &selection, why) != 0)
		malformed(x, why);
	else
		list(x, thread, &selection.filter);
	json_decref(query);
}

struct shown {
	struct pool *pool;
	json_t *json;
};

static int take_entry(void *arg, const struct outbox_entry *entry)
{
	struct shown *shown = arg;

	shown->json = entry_json(shown->pool, entry, true);
	return shown->json ? 0 : ERR_MEMORY;
}

void admin_effects_show(struct exchange *x, struct request_thread *thread)
{
	char event_id[ID_SIZE], effect[LIMIT_TARGET_KEY + 1];
	struct outbox_filter filter = {.event_id = event_id, .effect = effect, .any_state = true};
	struct shown shown = {.pool = thread->app->pool};
	struct user admin;
	int seen = 0;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	if (effect_id_parse(exchange_parameter(x), event_id, effect, &filter.part) && effect[0])
		seen = outbox_list(thread->db, &filter, 0, 1, take_entry, &shown);
	if (seen < 0)
		unavailable(x);
	else if (seen == 0)
		exchange_problem(x, 404, "effect_not_found", "There is no effect of this id in the outbox.");
	else
		exchange_answer_json(x, 200, json_incref(shown.json));
	json_decref(shown.json);
}

/* Answers a change that has been made, and says in the log who did it. */
static void answer_change(struct exchange *x, const struct user *admin, const char *what, bool dry_run, json_t *reply)
{
	const json_int_t rows = json_integer_value(json_object_get(reply, "rows"));

	if (!dry_run)
		log_write(LOG_INFO, what, LOG_STR("by", admin->username), LOG_INT("rows", rows),
			LOG_STR("request_id", exchange_request_id(x)));
	exchange_answer_json(x, 200, reply);
}

/*
 * Takes a switch out of the body; what is not there is off. ERR_INVALID: neither true nor false, and what was meant by
 * "dry_run": 1 must not be guessed.
 */
static int take_switch(json_t *body, const char *name, bool *ret_on)
{
	const json_t *value = json_object_get(body, name);

	if (value && !json_is_boolean(value))
		return ERR_INVALID;
	*ret_on = json_is_true(value);
	(void)json_object_del(body, name);
	return 0;
}

/* The running pool, and who asks for the change. */
static struct effects_place place_of(
	struct exchange *x, struct request_thread *thread, const struct user *admin, char actor[AUDIT_ACTOR_SIZE])
{
	admin_request_actor(admin, actor);
	return (struct effects_place){
		.pool = thread->app->pool,
		.committer = thread->app->committer,
		.actor = actor,
		.client = exchange_client(x),
		.request_id = exchange_request_id(x),
	};
}

static void change(struct exchange *x, struct request_thread *thread, enum effects_change change)
{
	char why[SELECTION_WHY], actor[AUDIT_ACTOR_SIZE];
	struct effects_place place;
	struct selection selection;
	struct user admin;
	bool dry_run = false, all = false;
	json_t *body, *reply = NULL;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	body = exchange_json(x);
	if (!body)
		return;
	place = place_of(x, thread, &admin, actor);
	if (take_switch(body, "dry_run", &dry_run) != 0 || take_switch(body, "all", &all) != 0)
		malformed(x, "\"dry_run\" and \"all\" are true or false.");
	else if (selection_read(body, "dead", clock_now_ms(), &selection, why) != 0)
		malformed(x, why);
	else if (!all && !selection_narrow(&selection))
		malformed(x, "Say which: \"ids\", \"effect\", \"cause\", \"since\" or \"until\"; or \"all\": true.");
	else if (!effects_changeable(change, &selection))
		malformed(x, change == EFFECTS_REPLAY ? "Only dead effects can be replayed."
						      : "Only dead or pending effects can be discarded.");
	else if (effects_change(&place, change, &selection, dry_run, &reply) != 0)
		unavailable(x);
	else
		answer_change(
			x, &admin, change == EFFECTS_REPLAY ? "effects replayed" : "effects discarded", dry_run, reply);
	json_decref(body);
}

void admin_effects_replay(struct exchange *x, struct request_thread *thread)
{
	change(x, thread, EFFECTS_REPLAY);
}

void admin_effects_discard(struct exchange *x, struct request_thread *thread)
{
	change(x, thread, EFFECTS_DISCARD);
}

void admin_targets_list(struct exchange *x, struct request_thread *thread)
{
	struct user admin;

	if (bearer_authenticate_admin(x, thread, &admin) == 0)
		exchange_answer_json(x, 200, effects_json_targets(thread->app->pool));
}

static void answer_target(struct exchange *x, const struct user *admin, const char *what, const char *name, int err)
{
	if (err == ERR_NOT_FOUND) {
		exchange_problem(x, 404, "target_not_found", "There is no effect or target of this name.");
	} else if (err != 0) {
		unavailable(x);
	} else {
		log_write(LOG_INFO, what, LOG_STR("by", admin->username), LOG_STR("effect", name),
			LOG_STR("request_id", exchange_request_id(x)));
		exchange_answer_json(x, 200, json_pack("{s:s}", "name", name));
	}
}

void admin_targets_pause(struct exchange *x, struct request_thread *thread)
{
	const char *name = exchange_parameter(x), *reason = exchange_query(x, "reason");
	char by[LIMIT_USERNAME + 16], actor[AUDIT_ACTOR_SIZE];
	struct effects_place place;
	struct user admin;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	if (reason && !effects_reason_valid(reason)) {
		malformed(x, "\"reason\" is one line of less than 200 bytes.");
		return;
	}
	(void)snprintf(by, sizeof(by), "paused by %s", admin.username);
	place = place_of(x, thread, &admin, actor);
	answer_target(x, &admin, "target paused", name, effects_pause(&place, name, reason && *reason ? reason : by));
}

void admin_targets_resume(struct exchange *x, struct request_thread *thread)
{
	const char *name = exchange_parameter(x);
	char actor[AUDIT_ACTOR_SIZE];
	struct effects_place place;
	struct user admin;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	place = place_of(x, thread, &admin, actor);
	answer_target(x, &admin, "target resumed", name, effects_resume(&place, name));
}
