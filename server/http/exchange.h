/*
 * One request and its answer, from the request line read to the answer handed over.
 *
 * Made and freed on its loop's thread (http/engine.c). A handler gets it on a request thread of
 * the route's crew (or on the loop thread, for routes that never block), reads it,
 * and answers exactly once. Answering hands it back: the handler must not touch the exchange
 * afterwards, but may go on with work of its own that the caller does not wait for.
 * A handler that returns without an answer gets a 500, unless it has parked the exchange: then something else will
 * resume it, and its thread is free for other requests meanwhile.
 *
 * Texts that the accessors return live until the answer.
 */
#ifndef TOKENFIRST_SERVER_HTTP_EXCHANGE_H
#define TOKENFIRST_SERVER_HTTP_EXCHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "background/effects/event.h"
#include "config/buf.h"

struct exchange;
struct request_thread;

const char *exchange_method(const struct exchange *x);
const char *exchange_path(const struct exchange *x);
/* The text that a route's "{…}" matched; "" if the route has none. */
const char *exchange_parameter(const struct exchange *x);
const char *exchange_query(struct exchange *x, const char *name);  /* NULL: absent */
const char *exchange_header(struct exchange *x, const char *name); /* NULL: absent; any case */
const char *exchange_body(const struct exchange *x, size_t *ret_len);
const char *exchange_request_id(const struct exchange *x); /* taken over if well-formed, else a new ULID */
/* Numeric address, without port; behind a trusted proxy the one that it passes on (forwarded.h). */
const char *exchange_client(const struct exchange *x);
/* The request's own traceparent if valid, else a new one. */
const char *exchange_traceparent(const struct exchange *x);
int64_t exchange_started_us(const struct exchange *x); /* clock_mono_us when the request line was read */

/*
 * Whether the client has closed its side: nobody will read the answer. Any thread, before the answer. `x` is an exchange; untyped, as
 * those who wait for something ask by a pointer to this (password_verify, throttle_admit).
 */
bool exchange_gone(const void *x);

/*
 * The body as a JSON object: duplicate members, trailing bytes, nesting beyond jansson's limit, NUL in strings are
 * errors.
 * On failure answers 400 by itself, or 503 for want of memory, and returns NULL. json_decref it.
 */
json_t *exchange_json(struct exchange *x);

/* Whether the request came with a body. */
bool exchange_has_body(const struct exchange *x);
/*
 * A body of form fields (https://url.spec.whatwg.org/#urlencoded-parsing) as an object of texts, so that handlers read both
 * kinds alike; one of JSON as exchange_json. 400 for a name that is there twice (RFC 6749 3.2) and bytes that are no UTF-8.
 */
json_t *exchange_form(struct exchange *x);
/* A cookie of the request (RFC 6265 4.2), copied; free() it. NULL: absent, there twice, or no such value (cookie.h). */
char *exchange_cookie(struct exchange *x, const char *name);

/* Before the answer: what Cache-Control says in place of "no-store" (copied). Too long: ignored and logged. */
void exchange_cache(struct exchange *x, const char *cache_control);
/*
 * Before the answer: what Content-Security-Policy says in place of "default-src 'none'; frame-ancestors 'none'", for a page. It
 * must live as long as the server.
 */
void exchange_policy(struct exchange *x, const char *content_security_policy);
/* Before the answer: an extra header (copied). Invalid or too many: ignored and logged, it is our bug. */
void exchange_add_header(struct exchange *x, const char *name, const char *value);

/*
 * Before the answer, in a handler of a crew: the handler returns, and once somebody has called exchange_resume, a thread
 * of the same crew (another one, with a read connection of its own) calls `then`, which is a handler as the first one
 * was. From here on x and `arg` are that one's: who parks hands over to whoever resumes, and touches neither any more.
 * It must be resumed once, whatever happens: the crew does not end before.
 */
void exchange_park(
	struct exchange *x, void (*then)(struct exchange *x, struct request_thread *thread, void *arg), void *arg);
/* Any thread; it may run already by the time this returns. */
void exchange_resume(struct exchange *x);

/* The ways to answer. `body` of exchange_answer is copied; `content_type` is static text, NULL: none. exchange_answer_json takes over the reference;
   a NULL body (no memory) becomes a 503. */
void exchange_answer(struct exchange *x, int status, const char *content_type, const char *body, size_t len);
void exchange_answer_json(struct exchange *x, int status, json_t *body);
/* A text of JSON made before, on the heap; taken over. It takes no memory any more, for what must be said once it is done. */
void exchange_answer_text(struct exchange *x, int status, char *json);
/* A body that lives as long as the server, and is not copied. */
void exchange_answer_lasting(struct exchange *x, int status, const char *content_type, const char *body, size_t len);
/* RFC 9457 problem: `code` is a stable word ("invalid_credentials"), `detail` a sentence for people. */
void exchange_problem(struct exchange *x, int status, const char *code, const char *detail);
/* The same with Retry-After in whole seconds, at least 1. */
void exchange_problem_retry(
	struct exchange *x, int status, const char *code, const char *detail, int64_t retry_after_ms);
/* 503 "unavailable", with Retry-After: nothing could be done, and the client can't help it. */
void exchange_no_memory(struct exchange *x);
/* 503 "unavailable", with Retry-After: something that this takes, the store say, does not work just now. */
void exchange_unavailable(struct exchange *x, const char *detail);

#endif
