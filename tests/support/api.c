#include "tests/support/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"

enum { POLL_MS = 5 };

void api_get(const struct server *server, const char *path, const char *authorization, struct http_reply *ret_reply)
{
	char url[SERVER_URL];
	const char *const headers[] = {authorization, NULL};

	http_do(&(struct http_call){.url = server_url(server, path, url), .headers = headers}, ret_reply);
}

void api_post(const struct server *server, const char *path, const char *authorization, const char *body,
	struct http_reply *ret_reply)
{
	char url[SERVER_URL];
	const char *const headers[] = {authorization, NULL};

	http_do(&(struct http_call){.url = server_url(server, path, url), .headers = headers, .body = body}, ret_reply);
}

struct api_login api_login(const struct server *server, const char *username, const char *password)
{
	struct api_login login = {0};
	json_t *credentials = json_pack("{s:s, s:s}", "username", username, "password", password);
	char *body = json_dumps(credentials, JSON_COMPACT);
	struct http_reply reply;

	if (body == NULL)
		harness_fail("credentials that are no JSON");
	api_post(server, "/login", NULL, body, &reply);
	login.status = reply.status;
	login.ms = reply.ms;
	if (reply.status == 200) {
		const char *token = http_reply_text(&reply, "access_token");

		snprintf(login.access_token, sizeof(login.access_token), "%s", token);
		snprintf(login.authorization, sizeof(login.authorization), "Authorization: Bearer %s", token);
		snprintf(login.refresh_token, sizeof(login.refresh_token), "%s",
			http_reply_text(&reply, "refresh_token"));
		snprintf(login.event_id, sizeof(login.event_id), "%s", http_reply_text(&reply, "event_id"));
	}
	http_reply_release(&reply);
	free(body);
	json_decref(credentials);
	return login;
}

json_t *api_event(const struct server *server, const struct api_login *login)
{
	char path[API_ID + 16];
	struct http_reply reply;
	json_t *event = NULL;

	snprintf(path, sizeof(path), "/events/%s", login->event_id);
	api_get(server, path, login->authorization, &reply);
	if (reply.status == 200)
		event = json_incref(reply.json);
	http_reply_release(&reply);
	return event;
}

json_t *api_event_effect(const json_t *event, const char *name)
{
	json_t *effect;
	size_t i;

	json_array_foreach(json_object_get(event, "effects"), i, effect)
	{
		const char *found = json_string_value(json_object_get(effect, "name"));

		if (found != NULL && strcmp(found, name) == 0)
			return effect;
	}
	return NULL;
}

static bool state_is(const json_t *effect, const char *state)
{
	const char *found = json_string_value(json_object_get(effect, "state"));

	return found != NULL && strcmp(found, state) == 0;
}

static bool all_settled(const json_t *event)
{
	json_t *effect;
	size_t i;

	json_array_foreach(json_object_get(event, "effects"), i, effect)
	{
		if (state_is(effect, "pending"))
			return false;
	}
	return event != NULL;
}

json_t *api_event_settled(const struct server *server, const struct api_login *login, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	for (;;) {
		json_t *event = api_event(server, login);

		if (all_settled(event))
			return event;
		json_decref(event);
		if (harness_mono_us() >= until_us)
			return NULL;
		harness_sleep_ms(POLL_MS);
	}
}

bool api_effect_wait(const struct server *server, const struct api_login *login, const char *effect, const char *state,
	int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	for (;;) {
		json_t *event = api_event(server, login);
		bool there = state_is(api_event_effect(event, effect), state);

		json_decref(event);
		if (there || harness_mono_us() >= until_us)
			return there;
		harness_sleep_ms(POLL_MS);
	}
}

double metric_value(const struct server *server, const char *series)
{
	struct http_reply reply;
	size_t len = strlen(series);
	double value = NAN;

	api_get(server, "/metrics", NULL, &reply);
	for (const char *line = reply.body; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, series, len) == 0 && line[len] == ' ') {
			value = strtod(line + len + 1, NULL);
			break;
		}
	}
	http_reply_release(&reply);
	return value;
}

bool metric_wait(const struct server *server, const char *series, double at_least, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	for (;;) {
		if (metric_value(server, series) >= at_least)
			return true;
		if (harness_mono_us() >= until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
}

bool metric_wait_below(const struct server *server, const char *series, double at_most, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	for (;;) {
		if (metric_value(server, series) <= at_most)
			return true;
		if (harness_mono_us() >= until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
}
