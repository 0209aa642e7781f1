/*
 * The order of the checks is that of their cost and of what the client can do about them: first whether this is a
 * request at all, then whether there is such a thing here, then whether its body can be taken. A refusal is sent before
 * the body where there is one; without a body the connection stays good for the next request, so the answer waits
 * for the engine's second call (an answer in its first call ends the connection).
 */
#include "server/http/intake.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/clock.h"
#include "config/id.h"
#include "server/http/cors.h"
#include "server/http/crew.h"
#include "server/http/engine.h"

void intake_target(struct exchange *x, const char *target)
{
	x->target = guard_target(target);
	x->raw_target = target;
	x->raw_target_len = strlen(target);
}

static void take_request_id(struct exchange *x)
{
	const char *given = engine_header(x, "X-Request-Id");

	if (guard_request_id(given))
		memcpy(x->request_id, given, strlen(given) + 1);
	else
		id_series_next(&x->edge->request_ids, x->request_id, clock_now_ms());
}

static bool refused(struct exchange *x, const struct guard_verdict *verdict)
{
	if (!verdict->status)
		return false;
	x->reply.close = true;
	exchange_problem(x, verdict->status, verdict->code, verdict->detail);
	return true;
}

static bool intact(const struct exchange *x, const struct intake_head *head)
{
	return guard_lines_intact(head->headers, head->count, head->end) &&
	       guard_request_line_intact(
		       x->method, x->raw_target, x->raw_target_len, head->version, head->headers[0].name);
}

static bool guarded(struct exchange *x, const struct intake_head *head, struct guard_body *ret_body)
{
	static const struct guard_verdict torn = {
		400, "malformed_request", "A line is folded, has no name, or has a NUL."};
	static const struct guard_verdict large = {
		431, "headers_too_large", "The request line and headers are larger than this server takes."};
	struct guard_verdict method = guard_method(x->method);
	struct guard_verdict lines = guard_headers(head->headers, head->count, ret_body);

	if (refused(x, &x->target))
		return true;
	if (head->size > (size_t)x->edge->config->http.header_bytes)
		return refused(x, &large);
	if (refused(x, &lines))
		return true;
	/* there is a first line by now: Host */
	return refused(x, intact(x, head) ? &method : &torn);
}

/* The values of the lines that have this name, in their order. */
static size_t find_lines(const struct intake_head *head, const char *name, const char *ret_values[LIMIT_HTTP_HEADERS])
{
	size_t found = 0;

	for (size_t i = 0; i < head->count && i < LIMIT_HTTP_HEADERS; i++) {
		if (strcasecmp(head->headers[i].name, name) == 0)
			ret_values[found++] = head->headers[i].value;
	}
	return found;
}

/* Who is asking: past trusted proxies, and from which page. Before the guard, so that a page can read its refusals. */
static void recognise(struct exchange *x, const struct intake_head *head)
{
	const struct edge *edge = x->edge;
	const char *values[LIMIT_HTTP_HEADERS];
	struct cidr peer;

	if (edge->config->cors.origin_count > 0 && find_lines(head, "Origin", values) == 1)
		x->cors_origin = cors_match(edge->config, values[0]);
	if (edge->forwarded.count == 0 || cidr_parse_address(x->connection->client, &peer))
		return;
	size_t count = find_lines(head, edge->forwarded.header, values);
	struct cidr client = forwarded_client(&edge->forwarded, &peer, values, count);
	(void)inet_ntop(client.family, client.bytes, x->client, sizeof(x->client));
}

/* The path is known, and not with this method: OPTIONS asks for those that it has (RFC 9110 9.3.7), others are refused. */
static void answer_methods(struct exchange *x, const char *allowed)
{
	char methods[sizeof((struct route_match){0}.allow) + sizeof(", OPTIONS")];

	(void)snprintf(methods, sizeof(methods), "%s, OPTIONS", allowed);
	exchange_add_header(x, "Allow", methods);
	if (strcmp(x->method, "OPTIONS") != 0) {
		exchange_problem(x, 405, "method_not_allowed", "The path has other methods; see Allow.");
		return;
	}
	if (x->cors_origin && engine_header(x, "Access-Control-Request-Method"))
		cors_preflight(x, x->edge->config, methods);
	exchange_answer(x, 204, NULL, NULL, 0);
}

static bool routed(struct exchange *x)
{
	struct route_match match;

	route_find(x->table->routes, x->table->count, x->method, x->path, &match);
	if (match.ops)
		x->cors_origin = NULL;
	if (match.route) {
		x->route = match.route;
		if (match.parameter)
			x->parameter = strndup(match.parameter, match.parameter_len);
		if (match.parameter && !x->parameter) {
			exchange_no_memory(x);
			return false;
		}
		return true;
	}
	if (match.allow[0]) {
		answer_methods(x, match.allow);
		return false;
	}
	exchange_problem(x, 404, "not_found", "There is nothing at this path.");
	return false;
}

static bool type_accepted(const struct exchange *x, enum body_kind kind, const struct guard_body *body)
{
	const char *type = engine_header((struct exchange *)(uintptr_t)x, "Content-Type");

	if (kind == BODY_NONE || (kind == BODY_JSON_OPTIONAL && !body->chunked && body->length == 0))
		return true;
	return guard_is_json(type) || (kind == BODY_FORM && guard_is_form(type));
}

/* A body that can't be taken is refused with its connection, as its bytes are on their way. */
static bool content_accepted(struct exchange *x, const struct guard_body *body)
{
	const enum body_kind kind = x->route->body;

	if (!type_accepted(x, kind, body)) {
		exchange_problem(x, 415, "unsupported_media_type",
			kind == BODY_FORM ? "The body must be application/x-www-form-urlencoded."
					  : "The body must be application/json.");
		return false;
	}
	if (body->chunked || ((kind == BODY_JSON || kind == BODY_FORM) && !body->has_length)) {
		x->reply.close = body->chunked;
		exchange_problem(x, 411, "length_required", "The request needs a Content-Length.");
		return false;
	}
	if (body->length > x->edge->config->http.body_bytes) {
		exchange_problem(x, 413, "body_too_large", "The body is larger than this server takes.");
		return false;
	}
	return true;
}

enum intake intake_headers(struct exchange *x, const struct intake_head *head)
{
	struct guard_body body = {0};

	x->headers_seen = true;
	take_request_id(x);
	recognise(x, head);
	if (guarded(x, head, &body))
		return INTAKE_ANSWER;
	bool wanted = routed(x) && content_accepted(x, &body);
	bool has_body = body.chunked || body.length > 0;
	return !wanted && has_body ? INTAKE_ANSWER : INTAKE_READ;
}

void intake_body(struct exchange *x, const char *bytes, size_t len)
{
	buf_append(&x->body, bytes, len);
}

enum intake intake_complete(struct exchange *x)
{
	if (x->answered)
		return INTAKE_ANSWER;
	if (buf_error(&x->body)) {
		exchange_no_memory(x);
		return INTAKE_ANSWER;
	}
	if (x->route->crew == CREW_LOOP) {
		struct request_thread thread = {.app = x->edge->app};
		exchange_handle(x, &thread);
		return INTAKE_ANSWER;
	}
	if (x->route->at_once) {
		struct request_thread thread = {.app = x->edge->app};
		x->route->at_once(x, &thread);
		if (x->answered)
			return INTAKE_ANSWER;
	}
	x->queued_us = clock_mono_us();
	x->with_crew = true;
	int err = crew_offer(x->edge->crews[x->route->crew], x);
	if (!err)
		return INTAKE_WAIT;
	x->with_crew = false;
	if (err == ERR_LIMIT) {
		edge_shed(x->edge, SHED_CREW_QUEUE);
		exchange_problem_retry(x, 503, "overloaded", "Too many requests are waiting.", LIMIT_HTTP_RETRY_MS);
	} else {
		exchange_problem_retry(x, 503, "stopping", "The server is shutting down.", LIMIT_HTTP_RETRY_MS);
	}
	return INTAKE_ANSWER;
}
