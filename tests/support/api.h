/*
 * The server's own API, as tests use it again and again: log in, look at an event, read a metric.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_API_H
#define TOKENFIRST_TESTS_SUPPORT_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/http_client.h"
#include "tests/support/server.h"

enum { API_TOKEN = 4608, API_ID = 64 };

struct api_login {
	int status;		       /* as replied; the texts are "" unless it is 200 */
	char authorization[API_TOKEN]; /* a header line: "Authorization: Bearer …" */
	char access_token[API_TOKEN];
	char refresh_token[256];
	char event_id[API_ID];
	double ms;
};

/* POST /login with a username. */
struct api_login api_login(const struct server *server, const char *username, const char *password);

/* GET with an Authorization header line (NULL: without). http_reply_release it. */
void api_get(const struct server *server, const char *path, const char *authorization, struct http_reply *ret_reply);
/* POST of a JSON text, likewise. */
void api_post(const struct server *server, const char *path, const char *authorization, const char *body,
	struct http_reply *ret_reply);

/* GET /events/{id}: the object, to be json_decref'ed; NULL unless 200. */
json_t *api_event(const struct server *server, const struct api_login *login);
/* The member of its "effects" that has this name; NULL: none. Belongs to the event. */
json_t *api_event_effect(const json_t *event, const char *name);
/* Waits until every effect has left the state "pending" (NULL: one did not in time). */
json_t *api_event_settled(const struct server *server, const struct api_login *login, int64_t deadline_ms);
/* Waits for one effect to be in a state. */
bool api_effect_wait(const struct server *server, const struct api_login *login, const char *effect, const char *state,
	int64_t deadline_ms);

/* The value of a series as /metrics writes it: "tokenfirst_effects_total{effect=\"crm\",outcome=\"delivered\"}".
   NAN: there is none such. */
double metric_value(const struct server *server, const char *series);
bool metric_wait(const struct server *server, const char *series, double at_least, int64_t deadline_ms);
/* The same for gauges that have to fall: until value <= at_most. */
bool metric_wait_below(const struct server *server, const char *series, double at_most, int64_t deadline_ms);

#endif
