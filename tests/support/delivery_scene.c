#include "tests/support/delivery_scene.h"

#include <curl/curl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"

static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	json_error_t why;

	if (copy == NULL)
		harness_fail("out of memory");
	for (char *c = copy; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	json_t *json = json_loads(copy, 0, &why);
	if (json == NULL)
		harness_fail("%s: %s", why.text, text);
	free(copy);
	return json;
}

static json_t *effects_json(const struct delivery_effect *effects, size_t count)
{
	json_t *all = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *one = parse("{'type':'bus','format':'json','on':['*'],'delivery':'durable','timeout':'5s',"
				    "'retry':{'first':'20ms','cap':'40ms'},"
				    "'breaker':{'failures':1000,'failure_share':0,'open_for':'100ms'}}");
		if (effects[i].url != NULL)
			json_object_set_new(one, "url", json_string(effects[i].url));
		if (effects[i].more != NULL) {
			json_t *more = parse(effects[i].more);
			if (json_object_get(more, "type") != NULL) /* another kind has other formats */
				json_object_del(one, "format");
			json_object_update_recursive(one, more);
			json_decref(more);
			if (json_is_null(json_object_get(one, "format")))
				json_object_del(one, "format");
		}
		json_object_set_new(all, effects[i].name != NULL ? effects[i].name : "bus", one);
	}
	return all;
}

static void load(struct delivery_scene *scene, const struct delivery_effect *effects, size_t count)
{
	struct config_errors errors, warnings;
	char path[200];
	json_t *json = json_pack("{s:{s:i}, s:o}", "background", "workers", 2, "effects", effects_json(effects, count));

	snprintf(path, sizeof(path), "%s/config.json", scene->opened.scratch.folder);
	if (json == NULL || json_dump_file(json, path, 0) != 0)
		harness_fail("%s can't be written", path);
	json_decref(json);
	const struct config_source source = {.file = path};
	if (config_load(&source, &scene->config, &errors, &warnings) != 0)
		harness_fail("config: %s: %s", errors.count > 0 ? errors.items[0].path : "",
			errors.count > 0 ? errors.items[0].message : "out of memory");
	config_errors_release(&errors);
	config_errors_release(&warnings);
}

void delivery_scene_start(struct delivery_scene *scene)
{
	if (scene->opened.committer == NULL &&
		committer_start(scene->opened.store, scene->opened.metrics, &scene->opened.committer) != 0)
		harness_fail("no committer");
	int err = pool_start(
		scene->config, scene->opened.store, scene->opened.committer, scene->opened.metrics, &scene->pool);
	if (err != 0)
		harness_fail("pool: %s", err_text(err));
}

void delivery_scene_make(struct delivery_scene *scene, const struct delivery_effect *effects, size_t count)
{
	*scene = (struct delivery_scene){.pool = NULL};
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		harness_fail("no libraries");
	json_object_seed(0);
	open_store_make(&scene->opened);
	if (store_reader(scene->opened.store, &scene->reader) != 0)
		harness_fail("no reader");
	load(scene, effects, count);
	delivery_scene_start(scene);
}

struct pool_totals delivery_scene_stop(struct delivery_scene *scene, int64_t drain_ms)
{
	struct pool_totals totals = {0};

	if (scene->pool != NULL)
		pool_drain(scene->pool, clock_mono_us() + drain_ms * 1000);
	committer_stop(scene->opened.committer);
	scene->opened.committer = NULL;
	pool_stop(scene->pool, &totals);
	scene->pool = NULL;
	return totals;
}

void delivery_scene_remove(struct delivery_scene *scene)
{
	(void)delivery_scene_stop(scene, 0);
	db_close(scene->reader);
	open_store_remove(&scene->opened);
	config_free(scene->config);
	curl_global_cleanup();
}

struct login {
	struct commit_job job;
	struct dispatch dispatch;
	struct event *event;
	int err;
};

static const char login_data[] =
	"{\"user\":{\"id\":\"01BX5ZZKBKACTAV9WEVGEMMVRZ\",\"username\":\"alice\",\"email\":null}}";

static void login_plan(struct login *login, struct delivery_scene *scene, const char *type, const char *data)
{
	char id[ID_SIZE];

	id_new(id, clock_now_ms());
	login->event = event_new(id, type, "01BX5ZZKBKACTAV9WEVGEMMVRZ", data, 7, "", clock_now_ms());
	if (login->event == NULL || dispatch_plan(&login->dispatch, scene->pool, login->event) != 0)
		harness_fail("out of memory");
}

static int login_write(struct db *db, void *arg)
{
	struct login *login = arg;

	return dispatch_write(&login->dispatch, db);
}

static void login_written(void *arg, int err)
{
	struct login *login = arg;

	login->err = err;
	if (err == 0)
		dispatch_committed(&login->dispatch);
	else
		dispatch_abandon(&login->dispatch);
}

int delivery_scene_event(struct delivery_scene *scene, char ret_id[ID_SIZE])
{
	return delivery_scene_event_of(scene, "user.login", NULL, ret_id);
}

int delivery_scene_event_of(struct delivery_scene *scene, const char *type, const char *data, char ret_id[ID_SIZE])
{
	struct login login;

	login_plan(&login, scene, type, data != NULL ? data : login_data);
	int err = committer_run_then(scene->opened.committer, login_write, login_written, &login);
	if (err == 0)
		err = dispatch_inline(&login.dispatch);
	memcpy(ret_id, login.event->id, ID_SIZE);
	event_unref(login.event);
	return err;
}

void delivery_scene_burst(struct delivery_scene *scene, size_t count)
{
	struct login *logins = calloc(count, sizeof(*logins));
	struct gate gate;

	if (logins == NULL)
		harness_fail("out of memory");
	gate_shut(&gate, scene->opened.committer);
	for (size_t i = 0; i < count; i++) {
		login_plan(&logins[i], scene, "user.login", login_data);
		logins[i].job = (struct commit_job){.run = login_write, .done = login_written, .arg = &logins[i]};
		if (committer_post(scene->opened.committer, &logins[i].job) != 0)
			harness_fail("a burst is larger than the committer's queue");
	}
	gate_open(&gate);
	if (committer_run(scene->opened.committer, job_nothing, NULL) != 0)
		harness_fail("a burst was not committed");
	for (size_t i = 0; i < count; i++) {
		if (logins[i].err != 0)
			harness_fail("a burst was not committed: %s", err_text(logins[i].err));
		event_unref(logins[i].event);
	}
	free(logins);
}

struct wanted {
	const char *effect;
	struct delivery_row row;
};

static char *copy(const char *text)
{
	char *made = strdup(text != NULL ? text : "[]");

	if (made == NULL)
		harness_fail("out of memory");
	return made;
}

static int take_effect(void *arg, const struct outbox_effect *effect)
{
	struct wanted *wanted = arg;
	struct delivery_row *row = &wanted->row;

	if (strcmp(effect->effect, wanted->effect) != 0)
		return 0;
	snprintf(row->state, sizeof(row->state), "%s", effect_state_text(effect->state));
	snprintf(row->cause, sizeof(row->cause), "%s", effect->cause);
	snprintf(row->reason, sizeof(row->reason), "%s", effect->reason);
	snprintf(row->reply, sizeof(row->reply), "%s", effect->reply != NULL ? effect->reply : "");
	row->log = copy(effect->log);
	row->attempts = effect->attempts;
	row->due_ms = effect->due_ms;
	row->stored = true;
	return 0;
}

static void take_recent(void *arg, const struct recent_state *state)
{
	struct delivery_row *row = arg;

	snprintf(row->state, sizeof(row->state), "%s", state->state);
	snprintf(row->reason, sizeof(row->reason), "%s", state->reason);
	row->log = copy(state->log);
	row->attempts = state->attempts;
	row->due_ms = state->due_ms;
}

struct delivery_row delivery_scene_row(struct delivery_scene *scene, const char *event_id, const char *effect)
{
	struct wanted wanted = {.effect = effect};
	struct outbox_event event = {0};

	int err = outbox_find_event(scene->reader, event_id, &event);
	if (err == 0)
		err = outbox_event_effects(scene->reader, event.row, take_effect, &wanted);
	outbox_event_release(&event);
	if (err != 0)
		harness_fail("event %s: %s", event_id, err_text(err));
	if (!wanted.row.stored && scene->pool != NULL)
		(void)!recent_find(pool_recent(scene->pool), event_id, effect, take_recent, &wanted.row);
	return wanted.row;
}

void delivery_row_release(struct delivery_row *row)
{
	free(row->log);
	row->log = NULL;
}

bool delivery_scene_await(struct delivery_scene *scene, const char *event_id, const char *effect, const char *state)
{
	int64_t until_us = harness_mono_us() + DELIVERY_WAIT_MS * 1000;

	for (;;) {
		struct delivery_row row = delivery_scene_row(scene, event_id, effect);
		delivery_row_release(&row);
		if (strcmp(row.state, state) == 0)
			return true;
		if (harness_mono_us() > until_us)
			return false;
		harness_sleep_ms(2);
	}
}

struct target *delivery_scene_target(struct delivery_scene *scene, const char *effect)
{
	size_t count;
	struct target *targets = pool_targets(scene->pool, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(targets[i].config->name, effect) == 0)
			return &targets[i];
	harness_fail("no effect %s", effect);
}

static uint64_t counter_of(struct delivery_scene *scene, const char *name, const char *help, const char *labels)
{
	return atomic_load(&metrics_counter(scene->opened.metrics, name, help, labels)->value);
}

uint64_t delivery_scene_ended(struct delivery_scene *scene, const char *effect, const char *outcome)
{
	char labels[160];

	snprintf(labels, sizeof(labels), "effect=\"%s\",outcome=\"%s\"", effect, outcome);
	return counter_of(scene, "tokenfirst_effects_total", "What became of effects, each once.", labels);
}

bool delivery_scene_await_ended(struct delivery_scene *scene, const char *effect, const char *outcome, uint64_t count)
{
	int64_t until_us = harness_mono_us() + DELIVERY_WAIT_MS * 1000;

	while (delivery_scene_ended(scene, effect, outcome) < count && harness_mono_us() < until_us)
		harness_sleep_ms(2);
	return delivery_scene_ended(scene, effect, outcome) == count;
}

uint64_t delivery_scene_created(struct delivery_scene *scene, const char *effect)
{
	char labels[160];

	snprintf(labels, sizeof(labels), "effect=\"%s\"", effect);
	return counter_of(scene, "tokenfirst_effects_created_total", "Effects owed.", labels);
}

int64_t delivery_scene_pending(struct delivery_scene *scene, const char *effect)
{
	return outbox_rows_count(scene->reader, effect, "pending");
}
