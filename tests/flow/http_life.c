/*
 * What the HTTP edge does with time and with too much: deadlines, clients that leave, full queues, limits, two
 * addresses, TLS, and the orderly end.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/log.h"
#include "tests/support/edge.h"
#include "tests/support/harness.h"
#include "tests/support/scratch.h"

static struct test_edge edge;
static struct reply_text reply;

static void prepare(void)
{
	edge_prepare(&edge);
}

static void end(void)
{
	edge_release_all(&edge);
}

TestSuite(http_life, .init = prepare, .fini = end, .timeout = 30);

#define HEAD		" HTTP/1.1\r\nHost: a\r\n"
#define GET(path)	"GET " path HEAD "\r\n"
#define GET_CLOSE(path) "GET " path HEAD "Connection: close\r\n\r\n"

enum { SHORT_MS = 300, FEW_DESCRIPTORS = 64 };

static int status(void)
{
	return strncmp(reply.text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(reply.text + 9, NULL, 10) : 0;
}

static void send_text(int fd, const char *text)
{
	edge_send(fd, text, strlen(text));
}

/* A connection on which a request has been sent. */
static int requested(const char *request)
{
	int fd = edge_connect(&edge);

	send_text(fd, request);
	return fd;
}

/* Sends a byte now and then until the peer closes; milliseconds that took. */
static int64_t drip_until_closed(int fd)
{
	int64_t start_us = harness_mono_us();
	char byte;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		if (poll(&wait, 1, 50) > 0 && recv(fd, &byte, 1, 0) <= 0)
			return (harness_mono_us() - start_us) / 1000;
		edge_send(fd, "x", 1);
		if (harness_mono_us() - start_us > EDGE_PATIENCE_MS * 1000)
			harness_fail("a dripping connection is never closed");
	}
}

static void closed_after_short(int64_t took_ms)
{
	cr_expect_geq(took_ms, SHORT_MS - 20);
	cr_expect_leq(took_ms, SHORT_MS + 2000);
}

Test(http_life, dripped_headers_are_cut_at_their_deadline)
{
	edge.config.http.header_timeout_ms = SHORT_MS;
	edge_begin(&edge);
	int fd = requested("GET /loop" HEAD "X: ");
	closed_after_short(drip_until_closed(fd));
	cr_expect_eq(edge_shed_count(&edge, "header_deadline"), 1);
	close(fd);
	fd = edge_connect(&edge);
	closed_after_short(drip_until_closed(fd)); /* not even a request line */
	cr_expect_eq(edge_shed_count(&edge, "header_deadline"), 2);
	close(fd);
}

Test(http_life, an_idle_connection_is_closed_after_its_last_answer)
{
	edge.config.http.header_timeout_ms = SHORT_MS;
	edge_begin(&edge);
	int fd = requested(GET("/loop"));
	edge_read(fd, "\r\n\r\nloop", &reply);
	int64_t start_us = harness_mono_us();
	edge_read(fd, NULL, &reply);
	closed_after_short((harness_mono_us() - start_us) / 1000);
	cr_expect_eq(edge_shed_count(&edge, "header_deadline"), 0, "nothing was lost");
	close(fd);
}

Test(http_life, dripped_bodies_are_cut_at_their_deadline)
{
	edge.config.http.body_timeout_ms = SHORT_MS;
	edge_begin(&edge);
	int fd = requested("POST /echo" HEAD "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n");
	closed_after_short(drip_until_closed(fd));
	cr_expect_eq(edge_shed_count(&edge, "body_deadline"), 1);
	close(fd);
}

Test(http_life, a_client_that_does_not_read_is_cut_off)
{
	edge.config.http.header_timeout_ms = SHORT_MS;
	edge.config.http.body_timeout_ms = SHORT_MS;
	edge_begin(&edge);
	int fd = requested(GET("/large"));
	int64_t start_us = harness_mono_us();
	while (edge_shed_count(&edge, "reply_deadline") == 0) {
		cr_assert_lt(harness_mono_us() - start_us, EDGE_PATIENCE_MS * 1000);
		harness_sleep_ms(10);
	}
	close(fd);
}

Test(http_life, no_deadline_runs_while_a_handler_works)
{
	edge.config.http.header_timeout_ms = 50;
	edge.config.http.body_timeout_ms = 50;
	edge_begin(&edge);
	int fd = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	/* a later connection's deadline shows that the time has passed */
	int other = edge_connect(&edge);
	edge_read(other, NULL, &reply);
	edge_open_gate(&edge);
	edge_read(fd, "\r\n\r\nopened", &reply);
	cr_expect_eq(status(), 200);
	close(other);
	close(fd);
}

Test(http_life, a_client_that_leaves_is_noticed_by_its_handler)
{
	edge_begin(&edge);
	int fd = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	cr_expect_eq(atomic_load(&edge.app.gone), 0);
	close(fd);
	edge_await(&edge.app.gone, 1);
}

Test(http_life, a_client_that_leaves_the_queue_is_not_served)
{
	edge.config.requests.other.threads = 1;
	edge_begin(&edge);
	int busy = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	int leaving = requested(GET("/after"));
	/* one loop: when it answers this, it has read what came before */
	int probe = requested(GET("/loop"));
	edge_read(probe, "\r\n\r\nloop", &reply);
	close(leaving);
	send_text(probe, GET("/loop"));
	edge_read(probe, "\r\n\r\nloop", &reply);
	edge_open_gate(&edge);
	edge_read(busy, "\r\n\r\nopened", &reply);
	send_text(busy, GET("/other"));
	edge_read(busy, "\r\n\r\nother", &reply);
	cr_expect_eq(edge_shed_count(&edge, "client_gone"), 1);
	cr_expect_eq(atomic_load(&edge.app.finished), 0);
	close(busy);
	close(probe);
}

/* A thread that has worked holds memory: others are left asleep while it can work again. */
Test(http_life, requests_one_after_another_need_few_threads)
{
	enum { THREADS = 16, REQUESTS = 64, PAUSE_US = 1000, FEW = THREADS / 2 };
	bool used[THREADS] = {false};
	int count = 0;

	edge.config.requests.other.threads = THREADS;
	edge_begin(&edge);
	for (int i = 0; i < REQUESTS; i++) {
		edge_talk(&edge, GET_CLOSE("/thread"), strlen(GET_CLOSE("/thread")), &reply);
		const char *name = strstr(reply.text, "\r\n\r\nother-");
		cr_assert_not_null(name, "%s", reply.text);
		long number = strtol(name + strlen("\r\n\r\nother-"), NULL, 10);
		cr_assert(number >= 0 && number < THREADS);
		count += !used[number];
		used[number] = true;
		usleep(PAUSE_US);
	}
	cr_expect_geq(count, 1);
	cr_expect_leq(count, FEW);
}

enum { PARKED = 5 };

Test(http_life, what_is_parked_holds_no_thread)
{
	int parked[PARKED];

	edge.config.requests.other.threads = 1;
	edge_begin(&edge);
	for (size_t i = 0; i < PARKED; i++)
		parked[i] = requested(GET("/park"));
	edge_await(&edge.app.running, PARKED);
	int probe = requested(GET("/other"));
	edge_read(probe, "\r\n\r\nother", &reply);
	cr_expect_eq(status(), 200);
	edge_open_gate(&edge);
	for (size_t i = 0; i < PARKED; i++) {
		edge_read(parked[i], "\r\n\r\nresumed", &reply);
		cr_expect_eq(status(), 200);
		send_text(parked[i], GET("/other"));
		edge_read(parked[i], "\r\n\r\nother", &reply);
		close(parked[i]);
	}
	close(probe);
}

/* As many as there are threads are served as if there were none; beyond that it is the queue's places that they take. */
Test(http_life, what_is_parked_counts_as_waiting)
{
	edge.config.requests.other.threads = 1;
	edge.config.requests.other.queue = 1;
	edge_begin(&edge);
	int first = requested(GET("/park"));
	edge_await(&edge.app.running, 1);
	int probe = requested(GET("/other"));
	edge_read(probe, "\r\n\r\nother", &reply);
	cr_expect_eq(status(), 200, "the only thread sleeps");
	int second = requested(GET("/park"));
	edge_await(&edge.app.running, 2);
	int refused = requested(GET("/other"));
	edge_read(refused, "request_id", &reply);
	cr_expect_eq(status(), 503);
	cr_expect_eq(edge_shed_count(&edge, "crew_queue"), 1);
	edge_open_gate(&edge);
	edge_read(first, "\r\n\r\nresumed", &reply);
	edge_read(second, "\r\n\r\nresumed", &reply);
	send_text(refused, GET("/other"));
	edge_read(refused, "\r\n\r\nother", &reply);
	close(first);
	close(probe);
	close(second);
	close(refused);
}

Test(http_life, a_full_queue_sheds)
{
	edge.config.requests.other.threads = 1;
	edge.config.requests.other.queue = 1;
	edge_begin(&edge);
	int busy = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	int waiting = requested(GET("/other"));
	int probe = requested(GET("/loop"));
	edge_read(probe, "\r\n\r\nloop", &reply);
	int refused = requested(GET("/other"));
	edge_read(refused, "request_id", &reply);
	cr_expect_eq(status(), 503);
	cr_expect_not_null(strstr(reply.text, "\r\nRetry-After: 1\r\n"));
	cr_expect_not_null(strstr(reply.text, "\"code\":\"overloaded\""));
	cr_expect_eq(edge_shed_count(&edge, "crew_queue"), 1);
	send_text(refused, GET("/login"));
	edge_read(refused, "\r\n\r\nother", &reply);
	cr_expect_eq(status(), 200, "the other crew is not concerned, and the connection is good");
	edge_open_gate(&edge);
	edge_read(waiting, "\r\n\r\nother", &reply);
	cr_expect_eq(status(), 200);
	close(busy);
	close(waiting);
	close(probe);
	close(refused);
}

Test(http_life, what_waited_for_too_long_is_not_begun)
{
	edge.config.requests.other.threads = 1;
	edge.config.requests.other.deadline_ms = SHORT_MS;
	edge_begin(&edge);
	int busy = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	int waiting = requested(GET("/after"));
	int probe = requested(GET("/loop"));
	edge_read(probe, "\r\n\r\nloop", &reply);
	harness_sleep_ms(SHORT_MS + 20);
	edge_open_gate(&edge);
	edge_read(waiting, "request_id", &reply);
	cr_expect_eq(status(), 503);
	cr_expect_eq(edge_shed_count(&edge, "crew_deadline"), 1);
	cr_expect_eq(atomic_load(&edge.app.finished), 0);
	close(busy);
	close(waiting);
	close(probe);
}

Test(http_life, a_handler_may_go_on_after_its_answer)
{
	edge_begin(&edge);
	int fd = requested(GET("/after"));
	edge_read(fd, "\r\n\r\nanswered", &reply);
	cr_expect_eq(status(), 200);
	cr_expect_eq(atomic_load(&edge.app.finished), 0);
	send_text(fd, GET("/loop")); /* the exchange is over for everyone else */
	edge_read(fd, "\r\n\r\nloop", &reply);
	close(fd);
	edge_open_gate(&edge);
	edge_await(&edge.app.finished, 1);
}

Test(http_life, connections_above_the_limit_are_closed)
{
	edge.config.http.connections = 2;
	edge_begin(&edge);
	int first = requested(GET("/loop"));
	edge_read(first, "\r\n\r\nloop", &reply);
	int second = requested(GET("/loop"));
	edge_read(second, "\r\n\r\nloop", &reply);
	int third = edge_connect(&edge);
	edge_read(third, NULL, &reply);
	cr_expect(reply.closed && reply.len == 0);
	cr_expect_eq(edge_shed_count(&edge, "connections"), 1);
	close(third);
	send_text(first, "GET /loop" HEAD "Connection: close\r\n\r\n");
	edge_read(first, NULL, &reply);
	cr_expect_eq(status(), 200, "those within the limit go on");
	close(first);
	/* its place is free once its loop has seen the end; until then the next ones are refused */
	for (int tries = 0;; tries++) {
		int again = requested("GET /loop" HEAD "Connection: close\r\n\r\n");
		edge_read(again, NULL, &reply);
		close(again);
		if (status() == 200)
			break;
		cr_assert_lt(tries, 1000);
	}
	close(second);
}

Test(http_life, without_descriptors_clients_are_sent_away)
{
	struct rlimit limit;

	edge_begin(&edge);
	int kept = requested(GET("/loop"));
	edge_read(kept, "\r\n\r\nloop", &reply);
	int refused = socket(AF_INET, SOCK_STREAM, 0); /* has its descriptor before they run out */
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	cr_assert_eq(getpeername(kept, (struct sockaddr *)&to, &len), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	struct rlimit few = {.rlim_cur = FEW_DESCRIPTORS, .rlim_max = limit.rlim_max};
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	int filler[FEW_DESCRIPTORS], filled = 0;
	while (filled < FEW_DESCRIPTORS && (filler[filled] = dup(kept)) >= 0)
		filled++;
	cr_assert_lt(filled, FEW_DESCRIPTORS);
	cr_assert_eq(connect(refused, (struct sockaddr *)&to, len), 0);
	send_text(kept, GET("/loop"));
	edge_read(kept, "\r\n\r\nloop", &reply);
	cr_expect_eq(status(), 200, "connections that are there go on");
	edge_read(refused, NULL, &reply);
	cr_expect(reply.closed && reply.len == 0);
	cr_expect_eq(edge_shed_count(&edge, "descriptors"), 1);
	while (filled > 0)
		close(filler[--filled]);
	close(refused);
	int again = requested("GET /loop" HEAD "Connection: close\r\n\r\n");
	edge_read(again, NULL, &reply);
	cr_expect_eq(status(), 200);
	close(again);
	close(kept);
}

static int status_at(int fd, const char *request)
{
	send_text(fd, request);
	edge_read(fd, "\r\n\r\n", &reply);
	close(fd);
	return status();
}

Test(http_life, ops_routes_move_to_their_own_address)
{
	edge.config.ops.listen = (char *)"127.0.0.1:0";
	edge_begin(&edge);
	cr_expect_eq(status_at(edge_connect(&edge), GET("/ops")), 404);
	cr_expect_eq(status_at(edge_connect(&edge), GET("/other")), 200);
	cr_expect_eq(status_at(edge_connect(&edge), GET("/health/live")), 200);
	cr_expect_eq(status_at(edge_connect_ops(&edge), GET("/ops")), 200);
	cr_expect_eq(status_at(edge_connect_ops(&edge), GET("/other")), 404);
	cr_expect_eq(status_at(edge_connect_ops(&edge), GET("/health/live")), 200);
}

Test(http_life, ops_routes_share_the_address_otherwise)
{
	edge_begin(&edge);
	cr_expect_str_eq(http_ops_address(edge.http), "");
	cr_expect_eq(status_at(edge_connect(&edge), GET("/ops")), 200);
}

static void *stop_slowly(void *arg)
{
	(void)arg;
	edge_end(&edge, EDGE_PATIENCE_MS);
	return NULL;
}

Test(http_life, stopping_answers_what_is_under_way)
{
	pthread_t stopper;

	edge_begin(&edge);
	int idle = requested(GET("/loop"));
	edge_read(idle, "\r\n\r\nloop", &reply);
	int busy = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	cr_assert_eq(pthread_create(&stopper, NULL, stop_slowly, NULL), 0);
	edge_read(idle, NULL, &reply); /* closed before long, which shows that the end has begun */
	cr_expect_eq(reply.len, 0);
	edge_open_gate(&edge);
	edge_read(busy, NULL, &reply);
	cr_expect_eq(status(), 200);
	cr_expect_not_null(strstr(reply.text, "\r\n\r\nopened"));
	cr_expect_not_null(strstr(reply.text, "\r\nConnection: close\r\n"));
	pthread_join(stopper, NULL);
	cr_expect_eq(atomic_load(&edge.app.gone), 0);
	close(idle);
	close(busy);
}

Test(http_life, stopping_answers_what_is_parked)
{
	pthread_t stopper;

	edge_begin(&edge);
	int idle = requested(GET("/loop"));
	edge_read(idle, "\r\n\r\nloop", &reply);
	int parked = requested(GET("/park"));
	edge_await(&edge.app.running, 1);
	cr_assert_eq(pthread_create(&stopper, NULL, stop_slowly, NULL), 0);
	edge_read(idle, NULL, &reply); /* closed before long, which shows that the end has begun */
	edge_open_gate(&edge);
	edge_read(parked, NULL, &reply);
	cr_expect_eq(status(), 200);
	cr_expect_not_null(strstr(reply.text, "\r\n\r\nresumed"));
	pthread_join(stopper, NULL);
	close(idle);
	close(parked);
}

static void *open_later(void *arg)
{
	(void)arg;
	harness_sleep_ms(SHORT_MS);
	edge_open_gate(&edge);
	return NULL;
}

/* Its client is cut after the grace; the end waits for it all the same, on all threads. */
Test(http_life, the_end_waits_for_what_is_parked)
{
	pthread_t opener;
	int64_t start_us;

	edge_begin(&edge);
	int parked = requested(GET("/park")), other = requested(GET("/park"));
	edge_await(&edge.app.running, 2);
	start_us = harness_mono_us();
	cr_assert_eq(pthread_create(&opener, NULL, open_later, NULL), 0);
	edge_end(&edge, 0);
	cr_expect_geq(harness_mono_us() - start_us, (SHORT_MS - 20) * 1000);
	pthread_join(opener, NULL);
	close(parked);
	close(other);
}

Test(http_life, after_the_grace_clients_are_cut_and_handlers_told)
{
	edge.config.requests.other.threads = 1;
	edge_begin(&edge);
	log_configure(LOG_ERROR, LOG_JSON);
	int busy = requested(GET("/wait"));
	edge_await(&edge.app.running, 1);
	int waiting = requested(GET("/wait"));
	int half = requested("GET /loop HTTP/1.1\r\nHos");
	int64_t start_us = harness_mono_us();
	edge_end(&edge, 50);
	cr_expect_lt(harness_mono_us() - start_us, 2000000);
	cr_expect_eq(atomic_load(&edge.app.gone), 1);
	cr_expect_eq(atomic_load(&edge.app.running), 1, "what was waiting is not begun any more");
	close(busy);
	close(waiting);
	close(half);
}

Test(http_life, what_cannot_be_bound_is_said)
{
	struct http_options options = {.config = &edge.config};
	struct http *http = NULL;
	char why[256] = "";

	edge_begin(&edge);
	edge.config.listen = (char *)http_address(edge.http);
	options.metrics = edge.metrics;
	cr_expect_eq(http_start(&options, &http, why), ERR_SYSTEM);
	cr_expect_not_null(strstr(why, "Address already in use"), "%s", why);
	edge.config.listen = (char *)"nonsense";
	cr_expect_eq(http_start(&options, &http, why), ERR_INVALID);
	cr_expect_null(http);
}

/* What a shell command prints, both outputs. */
static void command(const char *line, char *ret_output, size_t size)
{
	FILE *out = popen(line, "r");

	cr_assert_not_null(out);
	size_t got = fread(ret_output, 1, size - 1, out);
	ret_output[got] = '\0';
	pclose(out);
}

static void client(const struct scratch *scratch, const char *version, char *ret_output, size_t size)
{
	char line[640];

	/* a fixed request on its input; -ign_eof keeps it reading until the server closes */
	snprintf(line, sizeof(line),
		"printf 'GET /other HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | timeout 10 openssl "
		"s_client %s "
		"-cipher 'ALL:@SECLEVEL=0' -ign_eof -CAfile %s/cert.pem -connect %s 2>&1",
		version, scratch->folder, http_address(edge.http));
	command(line, ret_output, size);
}

Test(http_life, tls_1_2_and_1_3_only)
{
	static char output[64 << 10];
	static char certificate[160], key[160];
	struct scratch scratch;
	char line[640];

	scratch_make(&scratch);
	snprintf(certificate, sizeof(certificate), "%s/cert.pem", scratch.folder);
	snprintf(key, sizeof(key), "%s/key.pem", scratch.folder);
	snprintf(line, sizeof(line),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
		"-keyout %s -out %s 2>&1",
		key, certificate);
	command(line, output, sizeof(output));
	edge.config.tls.certificate = certificate;
	edge.config.tls.key = key;
	edge_begin(&edge);
	client(&scratch, "-tls1_3", output, sizeof(output));
	cr_expect_not_null(strstr(output, "HTTP/1.1 200 OK"), "%s", output);
	cr_expect_not_null(strstr(output, "\r\nStrict-Transport-Security: max-age=63072000\r\n"), "%s", output);
	cr_expect_not_null(strstr(output, "\r\n\r\nother"), "%s", output);
	client(&scratch, "-tls1_2", output, sizeof(output));
	cr_expect_not_null(strstr(output, "\r\n\r\nother"), "%s", output);
	client(&scratch, "-tls1_1", output, sizeof(output));
	cr_expect_null(strstr(output, "HTTP/1.1"), "%s", output);
	cr_expect_not_null(strstr(output, "Cipher is (NONE)"), "%s", output);
	cr_expect_null(strstr(output, "written 0 bytes"), "the client did offer it: %s", output);
	scratch_remove(&scratch);
}

Test(http_life, a_key_that_does_not_fit_is_said)
{
	struct http_options options = {.config = &edge.config};
	struct http *http = NULL;
	char why[256] = "";

	options.metrics = edge.metrics = metrics_new();
	edge.config.tls.certificate = (char *)"/dev/null";
	edge.config.tls.key = (char *)"/dev/null";
	cr_expect_eq(http_start(&options, &http, why), ERR_INVALID);
	cr_expect_not_null(strstr(why, "/dev/null"), "%s", why);
	edge.config.tls.certificate = (char *)"/nonexistent";
	cr_expect_eq(http_start(&options, &http, why), ERR_SYSTEM);
}
