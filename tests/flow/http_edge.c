/*
 * What the HTTP edge does with requests, well-formed and not, over real sockets.
 */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/limits.h"
#include "tests/support/edge.h"

static struct test_edge edge;
static struct reply_text reply;

static void begin(void)
{
	edge_prepare(&edge);
	edge_begin(&edge);
}

static void end(void)
{
	edge_release_all(&edge);
}

TestSuite(http_edge, .init = begin, .fini = end, .timeout = 30);

#define HOST  "Host: a\r\n"
#define CLOSE "Connection: close\r\n"

static void talk(const char *request)
{
	edge_talk(&edge, request, strlen(request), &reply);
}

static int status(void)
{
	return strncmp(reply.text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply.text + 9, NULL, 10) : 0;
}

static size_t answers(void)
{
	size_t count = 0;

	for (const char *at = reply.text; (at = strstr(at, "HTTP/1.1 ")); at++)
		count++;
	return count;
}

static bool says(const char *text)
{
	return strstr(reply.text, text) != NULL;
}

Test(http_edge, answers_on_loop_and_crews)
{
	talk("GET /loop HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 200);
	cr_expect(says("\r\n\r\nloop"));
	talk("GET /other HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(says("\r\n\r\nother"));
	talk("GET /login HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(says("\r\n\r\nother"));
	cr_expect_eq(edge_request_count(&edge, "/other", "200"), 1);
}

Test(http_edge, headers_of_every_answer)
{
	talk("GET /headers HTTP/1.1\r\n" HOST CLOSE "X-Request-Id: given-1.x_Y\r\n\r\n");
	cr_expect(says("\r\nX-Request-Id: given-1.x_Y\r\n"));
	cr_expect(says("\r\nCache-Control: no-store\r\n"));
	cr_expect(says("\r\nX-Content-Type-Options: nosniff\r\n"));
	cr_expect(says("\r\nContent-Type: text/plain\r\n"));
	cr_expect(says("\r\nX-Extra: one\r\n"));
	cr_expect(!says("X-Bad"));
	cr_expect(!says("X-Injected"));
}

Test(http_edge, request_ids_that_are_not_taken_over)
{
	talk("GET /loop HTTP/1.1\r\n" HOST CLOSE "X-Request-Id: a b\r\n\r\n");
	cr_expect(!says("X-Request-Id: a"));
	const char *id = strstr(reply.text, "X-Request-Id: ");
	cr_assert_not_null(id);
	cr_expect_eq(strcspn(id + strlen("X-Request-Id: "), "\r"), 26);
}

Test(http_edge, what_a_handler_sees)
{
	talk("GET /items/a%20b?x=1&q=two%26 HTTP/1.1\r\n" HOST CLOSE
	     "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
	cr_expect(says(
		"[GET][/items/a b][a b][two&][127.0.0.1][00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01]"));
	talk("GET /items/1 HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(says("[GET][/items/1][1][none][127.0.0.1][00-"));
}

Test(http_edge, bodies)
{
	talk("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Type: application/json\r\nContent-Length: 5\r\n\r\nhello");
	cr_expect_eq(status(), 201);
	cr_expect(says("\r\n\r\nhello"));
	talk("POST /json HTTP/1.1\r\n" HOST CLOSE
	     "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
	cr_expect(says("\r\n\r\n{\"a\":1}"));
	talk("POST /echo HTTP/1.1\r\n" HOST CLOSE "Expect: 100-continue\r\n"
	     "Content-Type: application/json\r\nContent-Length: 5\r\n\r\nhello");
	cr_expect(says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201"));
}

Test(http_edge, json_that_is_none)
{
	const char *const bodies[] = {
		"", "[1]", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{"};
	char request[512];

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		snprintf(request, sizeof(request),
			"POST /json HTTP/1.1\r\n" HOST CLOSE
			"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			strlen(bodies[i]), bodies[i]);
		talk(request);
		cr_expect_eq(status(), 400, "%s", bodies[i]);
		cr_expect(says("\"code\":\"malformed_json\""));
	}
}

Test(http_edge, keep_alive_and_pipelining)
{
	int fd = edge_connect(&edge);

	for (int i = 0; i < 5; i++) {
		const char one[] = "GET /other HTTP/1.1\r\n" HOST "\r\n";
		edge_send(fd, one, sizeof(one) - 1);
		edge_read(fd, "\r\n\r\nother", &reply);
		cr_expect_eq(status(), 200);
		cr_expect(!says("Connection: close"));
	}
	const char missing[] = "GET /nothing HTTP/1.1\r\n" HOST "\r\n";
	edge_send(fd, missing, sizeof(missing) - 1);
	edge_read(fd, "request_id\":\"", &reply);
	cr_expect_eq(status(), 404, "an unknown path does not end a connection");
	close(fd);

	talk("GET /other HTTP/1.1\r\n" HOST "\r\nGET /loop HTTP/1.1\r\n" HOST "\r\nGET /items/1 HTTP/1.1\r\n" HOST CLOSE
	     "\r\n");
	cr_expect_eq(answers(), 3);
}

Test(http_edge, unknown_paths_and_methods)
{
	talk("GET /nothing HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 404);
	cr_expect(says("application/problem+json"));
	talk("DELETE /echo HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 405);
	cr_expect(says("\r\nAllow: POST, OPTIONS\r\n"));
	talk("PUT /loop HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(says("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
	cr_expect_eq(edge_request_count(&edge, "unknown", "404"), 1);
	cr_expect_eq(edge_request_count(&edge, "unknown", "405"), 2);
}

Test(http_edge, head_where_get_is)
{
	talk("HEAD /other HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 200);
	cr_expect(says("\r\nContent-Length: 5\r\n"));
	cr_expect_eq(strcmp(strstr(reply.text, "\r\n\r\n"), "\r\n\r\n"), 0, "no body");
	talk("HEAD /echo HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 405);
}

Test(http_edge, bodies_that_are_not_taken)
{
	talk("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
	cr_expect_eq(status(), 415);
	talk("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Length: 5\r\n\r\nhello");
	cr_expect_eq(status(), 415);
	talk("POST /echo HTTP/1.1\r\n" HOST CLOSE "Content-Type: application/json\r\n\r\n");
	cr_expect_eq(status(), 411);
	talk("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "5\r\nhello\r\n0\r\n\r\nGET /loop HTTP/1.1\r\n" HOST "\r\n");
	cr_expect_eq(status(), 411);
	cr_expect_eq(answers(), 1);
	talk("GET /loop HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /loop HTTP/1.1\r\n" HOST
	     "\r\n");
	cr_expect_eq(status(), 411);
	cr_expect_eq(answers(), 1);
}

Test(http_edge, a_large_body_is_refused_before_it_is_sent)
{
	talk("POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n");
	cr_expect_eq(status(), 413);
	cr_expect(says("Connection: close"));
	talk("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
	     "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n");
	cr_expect_eq(status(), 413);
	cr_expect(!says("100 Continue"));
	cr_expect_eq(edge_request_count(&edge, "/echo", "413"), 2);
}

Test(http_edge, a_body_where_none_is_wanted)
{
	talk("GET /loop HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloGET /other HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(answers(), 2);
	cr_expect(says("\r\n\r\nother"));
	talk("GET /loop HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
	cr_expect_eq(status(), 413);
}

/* Each of these must be answered with that status, and whatever follows on the connection must not be looked at. */
#define NEXT "GET /other HTTP/1.1\r\n" HOST "\r\n"
#define CASE(status, text)                                                                                             \
	{                                                                                                              \
		status, text NEXT, sizeof(text NEXT) - 1                                                               \
	}
static const struct {
	int status;
	const char *request;
	size_t len;
} malformed[] = {
	CASE(400, "GET /loop HTTP/1.1\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST
		  "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "Content-: 45\r\n Length\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\nHost: a\0b\r\nX: y\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "X(Y): a\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST ": a\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST ":\r\n\r\n"),
	CASE(400, "GET /loop HTTP/1.1\r\n: a\r\n" HOST "\r\n"),
	CASE(400, "POST /echo HTTP/1.1\r\n" HOST ": a\r\nContent-Length: 3\r\n\r\nabc"),
	CASE(400, "GET /loop HTTP/1.1\r\n" HOST "no colon\r\n\r\n"),
	CASE(400, "GET /loop\0x HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET\0 /loop HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET /loop HTTP/1.1\0x\r\n" HOST "\r\n"),
	CASE(400, "GET /loop%00x HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET /loop?a=%00 HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET /lo op HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET http://a/loop HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
	CASE(400, "GET /loop\r\n" HOST "\r\n"),
	CASE(505, "GET /loop HTTP/2.0\r\n" HOST "\r\n"),
	CASE(501, "TRACE /loop HTTP/1.1\r\n" HOST "\r\n"),
	CASE(501, "BREW /loop HTTP/1.1\r\n" HOST "\r\n"),
	CASE(501, "get /loop HTTP/1.1\r\n" HOST "\r\n"),
};

Test(http_edge, malformed_requests_end_the_connection)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		edge_talk(&edge, malformed[i].request, malformed[i].len, &reply);
		cr_expect_eq(status(), malformed[i].status, "case %zu: %s", i, reply.text);
		cr_expect_eq(answers(), 1, "case %zu: %s", i, reply.text);
		cr_expect(reply.closed);
	}
	cr_expect_eq(edge_request_count(&edge, "/other", "200"), 0);
}

Test(http_edge, a_length_that_is_no_number)
{
	/* libmicrohttpd 0.9.75 answers this by itself, with its head sent twice; what counts is that it ends there */
	talk("POST /echo HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc" NEXT);
	cr_expect_eq(status(), 400);
	cr_expect(reply.closed);
	talk("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3a\r\n\r\nabc" NEXT);
	cr_expect_eq(status(), 400);
	cr_expect(reply.closed);
	cr_expect_eq(edge_request_count(&edge, "/other", "200"), 0);
	cr_expect_eq(edge_request_count(&edge, "unknown", "400"), 2);
}

/* The head must be refused whatever the byte that it ends with; `what` says how often it comes. */
static void repeated(const char *what, size_t times, const char *before, const char *behind, int wanted)
{
	size_t len = strlen(what);
	char *request = malloc(strlen(before) + strlen(behind) + len * times + 1);

	cr_assert_not_null(request);
	size_t used = strlen(before);
	memcpy(request, before, used);
	for (size_t i = 0; i < times; i++, used += len)
		memcpy(request + used, what, len);
	memcpy(request + used, behind, strlen(behind) + 1);
	talk(request);
	cr_expect_eq(status(), wanted, "%s", reply.text);
	cr_expect(reply.closed);
	free(request);
}

Test(http_edge, too_much_of_something)
{
	repeated("X: y\r\n", LIMIT_HTTP_HEADERS - 2, "GET /loop HTTP/1.1\r\n" HOST CLOSE, "\r\n", 200);
	repeated("X: y\r\n", LIMIT_HTTP_HEADERS, "GET /loop HTTP/1.1\r\n" HOST, "\r\n", 431);
	repeated("x", 20000, "GET /loop HTTP/1.1\r\n" HOST "X: ", "\r\n\r\n", 431);
	repeated("x", LIMIT_HTTP_PATH - 1, "GET /", " HTTP/1.1\r\n" HOST CLOSE "\r\n", 404);
	repeated("x", LIMIT_HTTP_PATH, "GET /", " HTTP/1.1\r\n" HOST "\r\n", 414);
	repeated("x", 20000, "GET /", " HTTP/1.1\r\n" HOST "\r\n", 414);
}

/* The answer's head needs room in the connection's memory too: there was none, and the connection just closed. */
Test(http_edge, headers_of_nearly_the_limit_are_answered)
{
	repeated("x", (8 << 10) - 100, "GET /loop HTTP/1.1\r\n" HOST CLOSE "X: ", "\r\n\r\n", 200);
	repeated("x", (8 << 10) + 500, "GET /loop HTTP/1.1\r\n" HOST "X: ", "\r\n\r\n", 431);
	cr_expect(says("\r\nX-Request-Id: "));
	cr_expect(says("\"code\":\"headers_too_large\""));
}

Test(http_edge, a_handler_that_does_not_answer)
{
	talk("GET /mute HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 500);
	talk("GET /loop-mute HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 500);
	cr_expect_eq(edge_request_count(&edge, "/mute", "500"), 1);
}

Test(http_edge, a_large_answer_arrives_whole)
{
	const char request[] = "GET /large HTTP/1.1\r\n" HOST CLOSE "\r\n";
	static char chunk[1 << 16];
	size_t total = 0;
	ssize_t got;
	int fd = edge_connect(&edge);

	edge_send(fd, request, sizeof(request) - 1);
	while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
		total += (size_t)got;
	cr_assert_eq(got, 0);
	cr_assert_gt(total, (size_t)EDGE_LARGE_BODY);
	close(fd);
}
