#include "tests/support/edge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/auth/refresh_cookie.h"
#include "tests/support/harness.h"

/* What a parked exchange is resumed by. */
struct parking {
	struct exchange *x;
	struct app *app;
};

static void text(struct exchange *x, const char *body)
{
	exchange_answer(x, 200, "text/plain", body, strlen(body));
}

static void loop(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	text(x, "loop");
}

static void other(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	text(x, "other");
}

static void headers(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_add_header(x, "X-Extra", "one");
	exchange_add_header(x, "X-Bad\r\nName", "two");
	exchange_add_header(x, "X-Bad-Value", "a\r\nX-Injected: b");
	text(x, "headers");
}

static void echo(struct exchange *x, struct request_thread *thread)
{
	size_t len;
	const char *body = exchange_body(x, &len);

	(void)thread;
	exchange_answer(x, 201, "application/octet-stream", body, len);
}

static void json(struct exchange *x, struct request_thread *thread)
{
	json_t *body = exchange_json(x);

	(void)thread;
	if (!body)
		return;
	exchange_answer_json(x, 200, json_pack("{s:O?}", "a", json_object_get(body, "a")));
	json_decref(body);
}

static void items(struct exchange *x, struct request_thread *thread)
{
	const char *q = exchange_query(x, "q");
	char line[512];

	(void)thread;
	snprintf(line, sizeof(line), "[%s][%s][%s][%s][%s][%s]", exchange_method(x), exchange_path(x),
		exchange_parameter(x), q ? q : "none", exchange_client(x), exchange_traceparent(x));
	text(x, line);
}

static void wait_at_gate(struct exchange *x, struct request_thread *thread)
{
	atomic_fetch_add(&thread->app->running, 1);
	while (!atomic_load(&thread->app->gate) && !exchange_gone(x))
		harness_sleep_ms(1);
	if (exchange_gone(x))
		atomic_fetch_add(&thread->app->gone, 1);
	text(x, exchange_gone(x) ? "gone" : "opened");
}

static void after(struct exchange *x, struct request_thread *thread)
{
	text(x, "answered");
	atomic_fetch_add(&thread->app->running, 1);
	while (!atomic_load(&thread->app->gate))
		harness_sleep_ms(1);
	atomic_fetch_add(&thread->app->finished, 1);
}

static void resumed(struct exchange *x, struct request_thread *thread, void *arg)
{
	text(x, arg == thread->app ? "resumed" : "not what was parked");
}

/* Only x is its own by then; the services live until the crew has ended, which waits for this. */
static void *resume_at_gate(void *arg)
{
	struct parking *parking = arg;

	while (!atomic_load(&parking->app->gate))
		harness_sleep_ms(1);
	exchange_resume(parking->x);
	free(parking);
	return NULL;
}

static void park(struct exchange *x, struct request_thread *thread)
{
	struct parking *parking = malloc(sizeof(*parking));
	pthread_t resumer;

	if (!parking)
		harness_fail("no memory");
	*parking = (struct parking){.x = x, .app = thread->app};
	exchange_park(x, resumed, thread->app);
	atomic_fetch_add(&thread->app->running, 1); /* and it counts as waiting by now */
	if (pthread_create(&resumer, NULL, resume_at_gate, parking) != 0 || pthread_detach(resumer) != 0)
		harness_fail("no thread");
}

static void mute(struct exchange *x, struct request_thread *thread)
{
	(void)x;
	(void)thread;
}

static void form(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	json_t *fields = exchange_form(x);
	if (fields)
		exchange_answer_json(x, 200, fields);
}

static void cookie(struct exchange *x, struct request_thread *thread)
{
	char *value = exchange_cookie(x, "name");
	char line[256];

	(void)thread;
	snprintf(line, sizeof(line), "[%s][%s]", value ? value : "none", exchange_client(x));
	free(value);
	text(x, line);
}

static void refresh(struct exchange *x, struct request_thread *thread)
{
	char *token = NULL;

	if (refresh_cookie_take(x, thread->app->config, &token))
		return;
	text(x, token ? token : "none");
	free(token);
}

static void grant(struct exchange *x, struct request_thread *thread)
{
	if (strcmp(exchange_method(x), "DELETE") == 0)
		refresh_cookie_clear(x, thread->app->config);
	else
		refresh_cookie_set(x, thread->app->config, "the-token", 90500);
	text(x, "granted");
}

static void page(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_policy(x, "default-src 'self'");
	text(x, "page");
}

static void full(struct exchange *x, struct request_thread *thread)
{
	char name[16];

	(void)thread;
	for (int i = 0; i < LIMIT_HTTP_REPLY_HEADERS; i++) {
		snprintf(name, sizeof(name), "X-Full-%d", i);
		exchange_add_header(x, name, "some thirty bytes of a header");
	}
	text(x, "full");
}

/* Says which thread runs it. */
static void thread_name(struct exchange *x, struct request_thread *thread)
{
	char name[16] = "";

	(void)thread;
	(void)pthread_getname_np(pthread_self(), name, sizeof(name));
	text(x, name);
}

static void large(struct exchange *x, struct request_thread *thread)
{
	char *body = calloc(1, EDGE_LARGE_BODY);

	(void)thread;
	exchange_answer(x, 200, "application/octet-stream", body, body ? EDGE_LARGE_BODY : 0);
	free(body);
}

static const struct route routes[] = {
	{"GET", "/loop", CREW_LOOP, false, false, loop, NULL},
	{"GET", "/health/live", CREW_LOOP, false, false, loop, NULL},
	{"GET", "/other", CREW_OTHER, false, false, other, NULL},
	{"GET", "/headers", CREW_OTHER, false, false, headers, NULL},
	{"GET", "/login", CREW_LOGIN, false, false, other, NULL},
	{"GET", "/ops", CREW_OTHER, false, true, other, NULL},
	{"POST", "/echo", CREW_OTHER, true, false, echo, NULL},
	{"POST", "/json", CREW_OTHER, true, false, json, NULL},
	{"GET", "/items/{id}", CREW_OTHER, false, false, items, NULL},
	{"GET", "/wait", CREW_OTHER, false, false, wait_at_gate, NULL},
	{"GET", "/after", CREW_OTHER, false, false, after, NULL},
	{"GET", "/mute", CREW_OTHER, false, false, mute, NULL},
	{"GET", "/park", CREW_OTHER, BODY_NONE, false, park, NULL},
	{"GET", "/large", CREW_OTHER, false, false, large, NULL},
	{"POST", "/form", CREW_OTHER, BODY_FORM, false, form, NULL},
	{"GET", "/cookie", CREW_OTHER, BODY_NONE, false, cookie, NULL},
	{"POST", "/refresh", CREW_OTHER, BODY_NONE, false, refresh, NULL},
	{"POST", "/grant", CREW_OTHER, BODY_NONE, false, grant, NULL},
	{"DELETE", "/grant", CREW_OTHER, BODY_NONE, false, grant, NULL},
	{"GET", "/page", CREW_LOOP, BODY_NONE, false, page, NULL},
	{"GET", "/full", CREW_OTHER, BODY_NONE, false, full, NULL},
	{"POST", "/full", CREW_OTHER, BODY_JSON, false, full, NULL},
	{"GET", "/thread", CREW_OTHER, BODY_NONE, false, thread_name, NULL},
	{"GET", "/loop-mute", CREW_LOOP, false, false, mute, NULL},
};

void edge_prepare(struct test_edge *edge)
{
	clock_start();
	log_configure(LOG_ERROR, LOG_JSON);
	memset(edge, 0, sizeof(*edge));
	edge->config.listen = (char *)"127.0.0.1:0";
	edge->app.config = &edge->config;
	edge->config.http.loops = 1;
	edge->config.http.connections = 100;
	edge->config.http.header_bytes = 8 << 10;
	edge->config.http.body_bytes = 1000;
	edge->config.http.header_timeout_ms = EDGE_PATIENCE_MS;
	edge->config.http.body_timeout_ms = EDGE_PATIENCE_MS;
	edge->config.requests.login = (struct crew_config){.threads = 1, .queue = 16, .deadline_ms = EDGE_PATIENCE_MS};
	edge->config.requests.other = (struct crew_config){.threads = 2, .queue = 16, .deadline_ms = EDGE_PATIENCE_MS};
}

void edge_begin(struct test_edge *edge)
{
	struct http_options options = {
		.config = &edge->config,
		.routes = routes,
		.route_count = sizeof(routes) / sizeof(routes[0]),
		.app = &edge->app,
	};
	char why[256] = "";

	edge->metrics = options.metrics = metrics_new();
	if (!edge->metrics || http_start(&options, &edge->http, why) != 0)
		harness_fail("http_start: %s", why);
}

void edge_end(struct test_edge *edge, int64_t grace_ms)
{
	http_stop(edge->http, grace_ms);
	edge->http = NULL;
}

void edge_release_all(struct test_edge *edge)
{
	if (edge->http) {
		edge_open_gate(edge);
		edge_end(edge, 0);
	}
	metrics_free(edge->metrics);
}

void edge_open_gate(struct test_edge *edge)
{
	atomic_store(&edge->app.gate, true);
}

void edge_await(const atomic_int *value, int wanted)
{
	int64_t until_us = harness_mono_us() + EDGE_PATIENCE_MS * 1000;

	while (atomic_load(value) < wanted) {
		if (harness_mono_us() > until_us)
			harness_fail("value stays at %d, %d expected", atomic_load(value), wanted);
		harness_sleep_ms(1);
	}
}

static uint64_t count(struct test_edge *edge, const char *name, const char *help, const char *labels)
{
	return atomic_load(&metrics_counter(edge->metrics, name, help, labels)->value);
}

uint64_t edge_shed_count(struct test_edge *edge, const char *reason)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
	return count(
		edge, "tokenfirst_shed_total", "Requests refused or abandoned because a limit was reached.", labels);
}

uint64_t edge_request_count(struct test_edge *edge, const char *route, const char *status)
{
	char labels[128];

	snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%s\"", route, status);
	return count(edge, "tokenfirst_http_requests_total", "Requests by route and status of the answer.", labels);
}

static int connect_to(const char *address)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const char *colon = strrchr(address, ':');
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		harness_fail("connect to %s: %s", address, strerror(errno));
	return fd;
}

int edge_connect(const struct test_edge *edge)
{
	return connect_to(http_address(edge->http));
}

int edge_connect_ops(const struct test_edge *edge)
{
	return connect_to(http_ops_address(edge->http));
}

void edge_send(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			return; /* the peer has closed: reading shows what it said */
		bytes += sent;
		len -= (size_t)sent;
	}
}

void edge_read(int fd, const char *until, struct reply_text *ret)
{
	int64_t deadline_us = harness_mono_us() + EDGE_PATIENCE_MS * 1000;

	ret->len = 0;
	ret->text[0] = '\0';
	ret->closed = false;
	while (ret->len < sizeof(ret->text) - 1 && !(until && strstr(ret->text, until))) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left_ms = (deadline_us - harness_mono_us()) / 1000;
		if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0)
			harness_fail("no more for %d ms after: %s", EDGE_PATIENCE_MS, ret->text);
		ssize_t got = recv(fd, ret->text + ret->len, sizeof(ret->text) - 1 - ret->len, 0);
		if (got <= 0) {
			ret->closed = true;
			return;
		}
		ret->len += (size_t)got;
		ret->text[ret->len] = '\0';
	}
}

void edge_talk(const struct test_edge *edge, const char *bytes, size_t len, struct reply_text *ret)
{
	int fd = edge_connect(edge);

	edge_send(fd, bytes, len);
	edge_read(fd, NULL, ret);
	close(fd);
}
