/*
 * What browsers and proxies ask of the HTTP edge: preflights, cookies, forms, addresses, headers of every answer.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/limits.h"
#include "server/http/cors.h"
#include "tests/support/edge.h"

static struct test_edge edge;
static struct reply_text reply;

#define APP   "https://app.example.com"
#define HOST  "Host: a\r\n"
#define CLOSE "Connection: close\r\n"
#define FROM  "Origin: " APP "\r\n"

static char *origins[] = {(char *)APP, (char *)"http://localhost:3000"};
static char *proxies[] = {(char *)"127.0.0.1", (char *)"10.0.0.0/8"};

static void prepare(void)
{
	edge_prepare(&edge);
	edge.config.public_url = (char *)"http://Auth.example.com:80/auth/";
	edge.config.cors.origins = origins;
	edge.config.cors.origin_count = 2;
	edge.config.cors.max_age_ms = 600000;
	edge.config.cookie.name = (char *)"__Secure-t";
	edge.config.cookie.same_site = (char *)"Strict";
	edge.config.http.forwarded_header = (char *)"X-Forwarded-For";
}

static void end(void)
{
	edge_release_all(&edge);
}

TestSuite(http_browser, .init = prepare, .fini = end, .timeout = 30);

static void talk(const char *request)
{
	edge_talk(&edge, request, strlen(request), &reply);
}

static int status(void)
{
	return strncmp(reply.text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply.text + 9, NULL, 10) : 0;
}

static bool says(const char *text)
{
	return strstr(reply.text, text) != NULL;
}

static size_t lines_of(const char *name)
{
	size_t count = 0;
	char line[64];

	snprintf(line, sizeof(line), "\r\n%s: ", name);
	for (const char *at = reply.text; (at = strstr(at, line)); at++)
		count++;
	return count;
}

static void guarded(const char *policy, const char *resources)
{
	char line[128];

	snprintf(line, sizeof(line), "\r\nContent-Security-Policy: %s\r\n", policy);
	cr_expect(says(line), "%s", reply.text);
	cr_expect(says("\r\nX-Content-Type-Options: nosniff\r\n"));
	cr_expect(says("\r\nX-Frame-Options: DENY\r\n"));
	cr_expect(says("\r\nReferrer-Policy: no-referrer\r\n"));
	snprintf(line, sizeof(line), "\r\nCross-Origin-Resource-Policy: %s\r\n", resources);
	cr_expect(says(line), "%s", reply.text);
	cr_expect(!says("Strict-Transport-Security"));
	cr_expect_eq(lines_of("Content-Security-Policy"), 1);
}

#define NOTHING "default-src 'none'; frame-ancestors 'none'"

/* The answers of the edge itself, for a listed origin: all of them can be read by its pages. */
static const struct {
	int status;
	const char *request;
} answers[] = {
	{200, "GET /loop HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{200, "GET /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{200, "HEAD /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{204, "OPTIONS /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{404, "GET /nothing HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{405, "PUT /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
	{411, "POST /echo HTTP/1.1\r\n" HOST CLOSE FROM "Content-Type: application/json\r\n\r\n"},
	{413, "POST /echo HTTP/1.1\r\n" HOST FROM "Content-Type: application/json\r\nContent-Length: 1001\r\n\r\n"},
	{415, "POST /echo HTTP/1.1\r\n" HOST FROM "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"},
	{400, "GET /loop%00 HTTP/1.1\r\n" HOST FROM "\r\n"},
	{500, "GET /mute HTTP/1.1\r\n" HOST CLOSE FROM "\r\n"},
};

Test(http_browser, a_listed_origin_may_read_every_answer)
{
	edge_begin(&edge);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		talk(answers[i].request);
		cr_expect_eq(status(), answers[i].status, "%s", reply.text);
		cr_expect(says("\r\nAccess-Control-Allow-Origin: " APP "\r\n"), "%s", reply.text);
		cr_expect(says("\r\nAccess-Control-Expose-Headers: " CORS_EXPOSED "\r\n"));
		cr_expect(says("\r\nVary: Origin\r\n"));
		cr_expect(!says("Access-Control-Allow-Credentials"));
		guarded(NOTHING, "cross-origin");
	}
}

static int requested(const char *request)
{
	int fd = edge_connect(&edge);

	edge_send(fd, request, strlen(request));
	return fd;
}

Test(http_browser, requests_that_are_shed_can_be_read)
{
	edge.config.requests.other = (struct crew_config){.threads = 1, .queue = 1, .deadline_ms = EDGE_PATIENCE_MS};
	edge_begin(&edge);
	int held = requested("GET /wait HTTP/1.1\r\n" HOST "\r\n");
	edge_await(&edge.app.running, 1);
	int waiting = requested("GET /other HTTP/1.1\r\n" HOST "\r\n");
	/* once this is answered, the one before it is in the queue */
	talk("GET /loop HTTP/1.1\r\n" HOST CLOSE "\r\n");
	talk("GET /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n");
	cr_expect_eq(status(), 503, "%s", reply.text);
	cr_expect(says("\r\nAccess-Control-Allow-Origin: " APP "\r\n"));
	guarded(NOTHING, "cross-origin");
	edge_open_gate(&edge);
	close(waiting);
	close(held);
}

Test(http_browser, preflights)
{
	edge_begin(&edge);
	talk("OPTIONS /grant HTTP/1.1\r\n" HOST CLOSE FROM "Access-Control-Request-Method: DELETE\r\n"
	     "Access-Control-Request-Headers: authorization\r\n\r\n");
	cr_expect_eq(status(), 204);
	cr_expect(says("\r\nAccess-Control-Allow-Origin: " APP "\r\n"));
	cr_expect(says("\r\nAccess-Control-Allow-Methods: POST, DELETE, OPTIONS\r\n"));
	cr_expect(says("\r\nAccess-Control-Allow-Headers: " CORS_ALLOWED "\r\n"));
	cr_expect(says("\r\nAccess-Control-Max-Age: 600\r\n"));
	cr_expect(says("\r\nVary: Origin\r\n"));
	cr_expect(!says("\r\nContent-Length: "), "RFC 9110 8.6: none in a 204");
	talk("OPTIONS /nothing HTTP/1.1\r\n" HOST CLOSE FROM "Access-Control-Request-Method: GET\r\n\r\n");
	cr_expect_eq(status(), 404);
	cr_expect(!says("Access-Control-Allow-Methods"));
}

Test(http_browser, options_without_a_page)
{
	edge_begin(&edge);
	talk("OPTIONS /grant HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 204);
	cr_expect(says("\r\nAllow: POST, DELETE, OPTIONS\r\n"));
	cr_expect(says("\r\nVary: Origin\r\n"));
	cr_expect(!says("Access-Control-"));
	guarded(NOTHING, "same-origin");
	talk("OPTIONS * HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect_eq(status(), 400);
}

Test(http_browser, other_origins_get_nothing)
{
	static const char *const others[] = {"null", "https://evil.test", APP "/", APP ":443",
		"https://APP.example.com", APP ", " APP, APP "\r\nOrigin: " APP, ""};
	char request[512];

	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(request, sizeof(request),
			"OPTIONS /grant HTTP/1.1\r\n" HOST CLOSE "Origin: %s\r\n"
			"Access-Control-Request-Method: POST\r\n\r\n",
			others[i]);
		talk(request);
		cr_expect_eq(status(), 204, "%s", others[i]);
		cr_expect(!says("Access-Control-"), "%s", others[i]);
		cr_expect(says("\r\nVary: Origin\r\n"));
		snprintf(
			request, sizeof(request), "GET /other HTTP/1.1\r\n" HOST CLOSE "Origin: %s\r\n\r\n", others[i]);
		talk(request);
		cr_expect_eq(status(), 200);
		cr_expect(!says("Access-Control-"), "%s", others[i]);
		guarded(NOTHING, "same-origin");
	}
}

Test(http_browser, what_belongs_to_operators_is_no_pages)
{
	edge_begin(&edge);
	talk("GET /ops HTTP/1.1\r\n" HOST CLOSE FROM "\r\n");
	cr_expect_eq(status(), 200);
	cr_expect(!says("Access-Control-"));
	cr_expect(says("\r\nVary: Origin\r\n"));
	talk("OPTIONS /ops HTTP/1.1\r\n" HOST CLOSE FROM "Access-Control-Request-Method: GET\r\n\r\n");
	cr_expect_eq(status(), 204);
	cr_expect(!says("Access-Control-"));
	guarded(NOTHING, "same-origin");
}

Test(http_browser, without_origins_nothing_is_said_of_them)
{
	edge.config.cors.origin_count = 0;
	edge_begin(&edge);
	talk("OPTIONS /other HTTP/1.1\r\n" HOST CLOSE FROM "Access-Control-Request-Method: GET\r\n\r\n");
	cr_expect_eq(status(), 204);
	cr_expect(!says("Access-Control-") && !says("Vary: "));
	guarded(NOTHING, "same-origin");
}

Test(http_browser, credentials_where_there_are_cookies)
{
	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	talk("GET /other HTTP/1.1\r\n" HOST CLOSE FROM "\r\n");
	cr_expect(says("\r\nAccess-Control-Allow-Credentials: true\r\n"));
	talk("OPTIONS /other HTTP/1.1\r\n" HOST CLOSE FROM "Access-Control-Request-Method: GET\r\n\r\n");
	cr_expect(says("\r\nAccess-Control-Allow-Credentials: true\r\n"));
}

Test(http_browser, a_page_has_its_own_policy)
{
	edge_begin(&edge);
	talk("GET /page HTTP/1.1\r\n" HOST CLOSE "\r\n");
	guarded("default-src 'self'", "same-origin");
}

/* As many lines as are taken, and as many bytes: the last line is as long as it takes. */
static void largest_head(const char *line, const char *more, const char *body)
{
	const size_t head = (size_t)edge.config.http.header_bytes;
	const size_t size = head + strlen(body) + 1;
	char *request = malloc(size);

	cr_assert_not_null(request);
	size_t used = (size_t)snprintf(request, size, "%s HTTP/1.1\r\n" HOST CLOSE FROM "%s", line, more);
	for (int i = *more ? 5 : 3; i < LIMIT_HTTP_HEADERS - 1; i++)
		used += (size_t)snprintf(request + used, size - used, "X-%d: %0*d\r\n", i, 60, i);
	cr_assert_lt(used + strlen("Last: \r\n\r\n"), head);
	used += (size_t)snprintf(
		request + used, size - used, "Last: %0*d\r\n\r\n", (int)(head - used - strlen("Last: \r\n\r\n")), 1);
	cr_assert_eq(used, head);
	memcpy(request + used, body, strlen(body) + 1);
	talk(request);
	cr_expect_eq(status(), 200, "%s", reply.text);
	cr_expect(says("\r\nX-Full-15: "));
	free(request);
}

/* The largest head that is taken, and the largest that is sent: both have their place in a connection's memory. */
Test(http_browser, the_largest_heads_have_room)
{
	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	largest_head("GET /full", "", "");
	largest_head("POST /full", "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}");
}

/* libmicrohttpd copies a Cookie line, and keeps each cookie apart. */
Test(http_browser, many_cookies_and_a_long_token_have_room)
{
	char request[8 << 10];
	size_t used = (size_t)snprintf(request, sizeof(request),
		"GET /full HTTP/1.1\r\n" HOST CLOSE FROM "Authorization: Bearer %0*d\r\nCookie: a=1", 2000, 1);

	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	for (int i = 0; i < 30; i++)
		used += (size_t)snprintf(request + used, sizeof(request) - used, "; c%02d=%0*d", i, 95, i);
	for (int i = 0; i < 30; i++)
		used += (size_t)snprintf(request + used, sizeof(request) - used, "\r\nX-%02d: some twenty bytes", i);
	snprintf(request + used, sizeof(request) - used, "\r\n\r\n");
	talk(request);
	cr_expect_eq(status(), 200, "%s", reply.text);
}

static void form(const char *type, const char *body, int wanted, const char *said)
{
	char request[512];

	snprintf(request, sizeof(request),
		"POST /form HTTP/1.1\r\n" HOST CLOSE "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
		strlen(body), body);
	talk(request);
	cr_expect_eq(status(), wanted, "%s", body);
	cr_expect(says(said), "%s: %s", body, reply.text);
}

Test(http_browser, forms_and_json_read_alike)
{
	edge_begin(&edge);
	form("application/x-www-form-urlencoded", "token=a%2Bb&hint=c+d", 200,
		"\r\n\r\n{\"token\":\"a+b\",\"hint\":\"c d\"}");
	form("application/x-www-form-urlencoded; charset=utf-8", "", 200, "\r\n\r\n{}");
	form("application/json", "{\"token\":\"a\"}", 200, "\r\n\r\n{\"token\":\"a\"}");
	form("application/x-www-form-urlencoded", "a=1&a=2", 400, "\"code\":\"malformed_form\"");
	form("application/x-www-form-urlencoded", "a=%00", 400, "\"code\":\"malformed_form\"");
	form("application/json", "a=1", 400, "\"code\":\"malformed_json\"");
	form("text/plain", "a=1", 415, "\"code\":\"unsupported_media_type\"");
}

Test(http_browser, cookies)
{
	edge_begin(&edge);
	talk("GET /cookie HTTP/1.1\r\n" HOST CLOSE "Cookie: a=b; name=value\r\n\r\n");
	cr_expect(says("\r\n\r\n[value]["));
	talk("GET /cookie HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(says("\r\n\r\n[none]["));
	talk("GET /cookie HTTP/1.1\r\n" HOST CLOSE "Cookie: name=a; name=b\r\n\r\n");
	cr_expect(says("\r\n\r\n[none]["));
	talk("GET /cookie HTTP/1.1\r\n" HOST CLOSE "Cookie: name=a\r\nCookie: c=d\r\n\r\n");
	cr_expect(says("\r\n\r\n[none]["), "RFC 6265 5.4: one line");
	talk("GET /cookie HTTP/1.1\r\n" HOST CLOSE "Cookie: c=d\r\nCookie: name=a\r\n\r\n");
	cr_expect(says("\r\n\r\n[none]["));
}

#define GET_COOKIE "GET /cookie HTTP/1.1\r\n" HOST CLOSE

Test(http_browser, the_address_that_a_trusted_proxy_says)
{
	edge.config.http.trusted_proxies = proxies;
	edge.config.http.trusted_proxy_count = 2;
	edge_begin(&edge);
	talk(GET_COOKIE "X-Forwarded-For: 1.1.1.1, 198.51.100.7, 10.1.1.1\r\n\r\n");
	cr_expect(says("][198.51.100.7]"));
	talk(GET_COOKIE "x-forwarded-for: 198.51.100.7\r\nX-FORWARDED-FOR: 10.1.1.1\r\n\r\n");
	cr_expect(says("][198.51.100.7]"));
	talk(GET_COOKIE "X-Forwarded-For: [2001:db8::1]:80\r\n\r\n");
	cr_expect(says("][2001:db8::1]"));
	talk(GET_COOKIE "X-Forwarded-For: nonsense\r\n\r\n");
	cr_expect(says("][127.0.0.1]"));
	talk(GET_COOKIE "Forwarded: for=198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n\r\n");
	cr_expect(says("][127.0.0.1]"), "the other header is not looked at");
}

Test(http_browser, the_standard_header)
{
	edge.config.http.trusted_proxies = proxies;
	edge.config.http.trusted_proxy_count = 2;
	edge.config.http.forwarded_header = (char *)"Forwarded";
	edge_begin(&edge);
	talk(GET_COOKIE "Forwarded: for=\"[2001:db8::1]:80\";proto=https, for=10.1.1.1\r\n"
			"X-Forwarded-For: 1.1.1.1\r\n\r\n");
	cr_expect(says("][2001:db8::1]"));
}

Test(http_browser, nobody_is_trusted_unless_configured)
{
	edge_begin(&edge);
	talk(GET_COOKIE "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\n\r\n");
	cr_expect(says("][127.0.0.1]"));
}

#define COOKIE	"Cookie: __Secure-t=tok\r\n"
#define REFRESH "POST /refresh HTTP/1.1\r\n" HOST CLOSE "Content-Length: 0\r\n"

Test(http_browser, a_refresh_cookie_is_set_and_cleared)
{
	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	talk("POST /grant HTTP/1.1\r\n" HOST CLOSE "Content-Length: 0\r\n\r\n");
	cr_expect(says("\r\nSet-Cookie: __Secure-t=the-token; Path=/auth/token; HttpOnly; Secure; SameSite=Strict; "
		       "Max-Age=90\r\n"),
		"%s", reply.text);
	talk("DELETE /grant HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(
		says("\r\nSet-Cookie: __Secure-t=; Path=/auth/token; HttpOnly; Secure; SameSite=Strict; Max-Age=0\r\n"),
		"%s", reply.text);
}

Test(http_browser, a_refresh_cookie_comes_from_a_page_that_may)
{
	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	talk(REFRESH FROM COOKIE "\r\n");
	cr_expect(says("\r\n\r\ntok"));
	talk(REFRESH "Origin: http://auth.example.com\r\n" COOKIE "\r\n");
	cr_expect(says("\r\n\r\ntok"), "public_url's own");
	talk(REFRESH "\r\n");
	cr_expect(says("\r\n\r\nnone"), "without a cookie no origin is asked for");
	talk(REFRESH "Origin: https://evil.test\r\n\r\n");
	cr_expect(says("\r\n\r\nnone"));
}

Test(http_browser, a_refresh_cookie_from_elsewhere_is_refused)
{
	static const char *const origins_elsewhere[] = {"", "Origin: null\r\n", "Origin: https://evil.test\r\n",
		"Origin: https://auth.example.com\r\n", "Origin: http://auth.example.com:8080\r\n",
		"Origin: http://auth.example.com/auth\r\n", "Origin: http://Auth.example.com\r\n", "Origin: \r\n",
		"Origin: http://a\r\n", "Referer: " APP "/\r\n"};
	char request[512];

	edge.config.cookie.enabled = true;
	edge_begin(&edge);
	for (size_t i = 0; i < sizeof(origins_elsewhere) / sizeof(origins_elsewhere[0]); i++) {
		snprintf(request, sizeof(request), REFRESH "%s" COOKIE "\r\n", origins_elsewhere[i]);
		talk(request);
		cr_expect_eq(status(), 403, "%s", origins_elsewhere[i]);
		cr_expect(says("\"code\":\"origin_not_allowed\""));
		cr_expect(!says("tok\""));
	}
}

Test(http_browser, no_refresh_cookie_where_they_are_not_enabled)
{
	edge_begin(&edge);
	talk(REFRESH FROM COOKIE "\r\n");
	cr_expect(says("\r\n\r\nnone"));
	talk("DELETE /grant HTTP/1.1\r\n" HOST CLOSE "\r\n");
	cr_expect(!says("Set-Cookie"));
}
