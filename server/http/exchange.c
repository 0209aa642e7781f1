#include "server/http/exchange_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/telemetry/trace.h"
#include "config/clock.h"
#include "config/json_text.h"
#include "config/log.h"
#include "server/http/cookie.h"
#include "server/http/crew.h"
#include "server/http/engine.h"
#include "server/http/form.h"
#include "server/http/loop.h"
#include "server/http/problem.h"

struct exchange *exchange_new(struct edge *edge, struct loop *loop, struct connection *c, int64_t now_us)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->edge = edge;
	x->loop = loop;
	x->connection = c;
	x->table = edge_table(edge, c);
	x->started_us = now_us;
	memcpy(x->client, c->client, sizeof(x->client));
	/* a login's body has a password in it */
	buf_init_secret(&x->body, (size_t)edge->config->http.body_bytes);
	return x;
}

static void drop_headers(struct reply *reply)
{
	for (size_t i = 0; i < reply->header_count; i++)
		free(reply->headers[i]);
	reply->header_count = 0;
}

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	drop_headers(&x->reply);
	if (!x->reply.lasting)
		free(x->reply.body);
	free(x->parameter);
	buf_release(&x->body);
	free(x);
}

const char *exchange_method(const struct exchange *x)
{
	return x->method;
}

const char *exchange_path(const struct exchange *x)
{
	return x->path;
}

const char *exchange_parameter(const struct exchange *x)
{
	return x->parameter ? x->parameter : "";
}

const char *exchange_query(struct exchange *x, const char *name)
{
	return engine_query(x, name);
}

const char *exchange_header(struct exchange *x, const char *name)
{
	return engine_header(x, name);
}

const char *exchange_body(const struct exchange *x, size_t *ret_len)
{
	*ret_len = x->body.len;
	return x->body.data;
}

const char *exchange_request_id(const struct exchange *x)
{
	return x->request_id;
}

const char *exchange_client(const struct exchange *x)
{
	return x->client;
}

const char *exchange_traceparent(const struct exchange *x)
{
	/* made when first asked for, by the one thread that has the exchange: most requests need none */
	struct exchange *own = (struct exchange *)x;

	if (own->traceparent[0])
		return own->traceparent;
	const char *given = engine_header(own, "traceparent");
	if (given && trace_valid(given))
		snprintf(own->traceparent, sizeof(own->traceparent), "%s", given);
	else
		trace_child(own->traceparent, "");
	return own->traceparent;
}

int64_t exchange_started_us(const struct exchange *x)
{
	return x->started_us;
}

bool exchange_gone(const void *x)
{
	const struct exchange *exchange = x;

	return atomic_load(&exchange->connection->gone);
}

json_t *exchange_json(struct exchange *x)
{
	json_t *body = NULL;

	if (json_text_read(x->body.data, x->body.len, &body, NULL) == ERR_MEMORY) {
		exchange_no_memory(x);
		return NULL;
	}
	if (json_is_object(body))
		return body;
	json_decref(body);
	exchange_problem(x, 400, "malformed_json", "The body must be one JSON object without duplicate members.");
	return NULL;
}

bool exchange_has_body(const struct exchange *x)
{
	return x->body.len > 0;
}

json_t *exchange_form(struct exchange *x)
{
	json_t *fields = NULL;

	if (!guard_is_form(engine_header(x, "Content-Type")))
		return exchange_json(x);
	int err = form_parse(x->body.data, x->body.len, &fields);
	if (!err)
		return fields;
	if (err == ERR_MEMORY)
		exchange_no_memory(x);
	else
		exchange_problem(x, 400, "malformed_form", "The body must be form fields in UTF-8, each of them once.");
	return NULL;
}

char *exchange_cookie(struct exchange *x, const char *name)
{
	const char *header = engine_header_once(x, "Cookie");

	return header ? cookie_find(header, name) : NULL;
}

void exchange_policy(struct exchange *x, const char *content_security_policy)
{
	x->reply.policy = content_security_policy;
}

void exchange_cache(struct exchange *x, const char *cache_control)
{
	if (strlen(cache_control) < sizeof(x->reply.cache))
		memcpy(x->reply.cache, cache_control, strlen(cache_control) + 1);
	else
		log_write(LOG_ERROR, "answer's Cache-Control left out", LOG_STR("request_id", x->request_id));
}

void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);
	bool valid = guard_is_token(name, name_len) && guard_is_field_value(value, value_len);
	char *line = NULL;

	if (valid && x->reply.header_count < LIMIT_HTTP_REPLY_HEADERS)
		line = malloc(name_len + value_len + 2);
	if (!line) {
		log_write(LOG_ERROR, "answer's header left out", LOG_STR("header", name),
			LOG_STR("request_id", x->request_id));
		return;
	}
	memcpy(line, name, name_len + 1);
	memcpy(line + name_len + 1, value, value_len + 1);
	x->reply.headers[x->reply.header_count++] = line;
}

void exchange_park(
	struct exchange *x, void (*then)(struct exchange *x, struct request_thread *thread, void *arg), void *arg)
{
	assert(x->with_crew && !x->then && !x->reply.status);
	x->then = then;
	x->then_arg = arg;
	*x->note = true;
	crew_park(x->edge->crews[x->route->crew]);
}

void exchange_resume(struct exchange *x)
{
	crew_resume(x->edge->crews[x->route->crew], x);
}

static void hand_over(struct exchange *x)
{
	if (x->note)
		*x->note = true;
	if (x->with_crew) {
		loop_answered(x->loop, x);
		return;
	}
	assert(!x->answered);
	x->answered = true;
}

/* `body` is on the heap and taken over; NULL: none. */
static void answer(struct exchange *x, int status, const char *content_type, char *body, size_t len)
{
	assert(status >= 200 && status <= 599 && !x->reply.status);
	x->reply.status = status;
	x->reply.content_type = content_type;
	x->reply.body = body;
	x->reply.len = len;
	hand_over(x);
}

void exchange_answer(struct exchange *x, int status, const char *content_type, const char *body, size_t len)
{
	char *copy = len ? malloc(len) : NULL;

	if (len && !copy) {
		exchange_no_memory(x);
		return;
	}
	if (len)
		memcpy(copy, body, len);
	answer(x, status, content_type, copy, len);
}

void exchange_answer_lasting(struct exchange *x, int status, const char *content_type, const char *body, size_t len)
{
	x->reply.lasting = true;
	answer(x, status, content_type, (char *)(uintptr_t)body, len);
}

void exchange_answer_json(struct exchange *x, int status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

	json_decref(body);
	if (text)
		exchange_answer_text(x, status, text);
	else
		exchange_no_memory(x);
}

void exchange_answer_text(struct exchange *x, int status, char *json)
{
	answer(x, status, "application/json", json, strlen(json));
}

void exchange_problem(struct exchange *x, int status, const char *code, const char *detail)
{
	char *text = problem_render(status, code, detail, x->request_id);

	/* without memory the status alone has to do */
	answer(x, status, text ? PROBLEM_CONTENT_TYPE : NULL, text, text ? strlen(text) : 0);
}

void exchange_problem_retry(
	struct exchange *x, int status, const char *code, const char *detail, int64_t retry_after_ms)
{
	int64_t seconds = retry_after_ms > 1000 ? (retry_after_ms + 999) / 1000 : 1;
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)seconds);
	exchange_add_header(x, "Retry-After", text);
	exchange_problem(x, status, code, detail);
}

void exchange_no_memory(struct exchange *x)
{
	exchange_problem_retry(
		x, 503, "unavailable", "The server is out of memory. Try again shortly.", LIMIT_RETRY_SOON_MS);
}

void exchange_unavailable(struct exchange *x, const char *detail)
{
	exchange_problem_retry(x, 503, "unavailable", detail, LIMIT_RETRY_SOON_MS);
}

void exchange_handle(struct exchange *x, struct request_thread *thread)
{
	const struct route *route = x->route; /* constant: may be read after the answer */
	void (*then)(struct exchange * x, struct request_thread * thread, void *arg) = x->then;
	bool done = false; /* with it, as answered or parked again */

	/* cppcheck-suppress autoVariables; only the handler, below, writes through it */
	x->note = &done;
	x->then = NULL;
	if (then)
		then(x, thread, x->then_arg);
	else
		route->handle(x, thread);
	if (done)
		return;
	log_write(LOG_ERROR, "handler gave no answer", LOG_STR("method", route->method), LOG_STR("route", route->path),
		LOG_STR("request_id", x->request_id));
	exchange_problem(x, 500, "internal", "The server failed to answer.");
}

void exchange_abandon(struct exchange *x)
{
	hand_over(x);
}
