#include "tests/support/scene.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"

enum { POLL_MS = 5, STORE_BUSY_MS = 2000 };

static const char base[] =
	"{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'},"
	" 'effects':{'bus':{'type':'bus', 'format':'json', 'on':['user.login'], 'delivery':'durable',"
	"  'url':'%s', 'timeout':'2s', 'connect_timeout':'1s', 'retry':{'first':'20ms', 'cap':'200ms'},"
	"  'breaker':{'failures':1000, 'failure_share':0, 'open_for':'200ms'}}}}";

static char *with_quotes(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	return text;
}

char *scene_text_of(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		harness_fail("out of memory");
	return with_quotes(text);
}

char *scene_text(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = scene_text_of(format, args);
	va_end(args);
	return text;
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (object == NULL)
		harness_fail("a scene's configuration, column %d: %s", error.column, error.text);
	return object;
}

char *scene_config(char *base_text, const char *more)
{
	char *quoted = scene_text("%s", more == NULL ? "{}" : more), *merged;
	json_t *config = parse(base_text), *changes = parse(quoted);

	if (json_object_update_recursive(config, changes) != 0)
		harness_fail("out of memory");
	merged = json_dumps(config, JSON_COMPACT);
	json_decref(changes);
	json_decref(config);
	free(quoted);
	free(base_text);
	return merged;
}

struct server *scene_server_with(const struct server_options *options)
{
	struct server *server;

	server = server_start(options);
	server_add_user(server, "alice", "alice@example.com", SCENE_PASSWORD, false);
	return server;
}

struct server *scene_server(const char *config, const char *const *settings)
{
	return scene_server_with(&(struct server_options){.config = config, .settings = settings});
}

void scene_set(struct scene *scene, const struct peer_step *steps, size_t count, const char *more)
{
	char url[PEER_TEXT];

	scene->peer = peer_start(steps, count);
	scene->config = scene_config(scene_text(base, peer_url(scene->peer, "/bus", url)), more);
	scene->server = scene_server(scene->config, NULL);
}

void scene_clear(struct scene *scene)
{
	server_free(scene->server);
	peer_stop(scene->peer);
	free(scene->config);
}

struct api_login scene_login(const struct scene *scene)
{
	struct api_login login = api_login(scene->server, "alice", SCENE_PASSWORD);

	if (login.status != 200)
		harness_fail("alice's login is answered with %d", login.status);
	return login;
}

const char *scene_key(const struct api_login *login, const char *effect, char key[PEER_TEXT])
{
	snprintf(key, PEER_TEXT, "%s-%s", login->event_id, effect);
	return key;
}

size_t scene_key_count(struct peer *peer, const char *key)
{
	size_t requests = peer_count(peer);
	size_t count = 0;

	for (size_t i = 0; i < requests && i < PEER_REQUESTS; i++) {
		struct peer_request request = peer_request(peer, i);
		char value[PEER_TEXT];

		count += strcmp(peer_header(&request, "Idempotency-Key", value), key) == 0;
	}
	return count;
}

bool scene_key_wait(struct peer *peer, const char *key, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	while (scene_key_count(peer, key) == 0) {
		if (harness_mono_us() >= until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
	return true;
}

json_t *scene_attempt(const json_t *event, const char *effect, size_t index)
{
	return json_array_get(json_object_get(api_event_effect(event, effect), "attempts"), index);
}

const char *scene_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

char *scene_query(const struct server *server, const char *sql)
{
	char path[SERVER_URL];
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	char *text = NULL;

	snprintf(path, sizeof(path), "%s/tokenfirst.db", server_folder(server));
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
		sqlite3_busy_timeout(db, STORE_BUSY_MS) != SQLITE_OK ||
		sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(statement) == SQLITE_ROW)
		text = strdup((const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return text == NULL ? strdup("") : text;
}

void scene_change(const struct server *server, const char *sql)
{
	char path[SERVER_URL];
	sqlite3 *db = NULL;

	if (server_running(server))
		harness_fail("the store is the server's while it runs");
	snprintf(path, sizeof(path), "%s/tokenfirst.db", server_folder(server));
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}
