/*
 * http_sink: an HTTP receiver for demonstrations and load tests, cheap enough not to disturb them.
 *
 *   http_sink --port N [--latency-ms N] [--status N] [--log FILE] [--quiet]
 *
 * Answers every request with the same small JSON body after the latency. `GET /count` is answered at once and not
 * counted: {"requests":…,"connections":…,"body_bytes":…,"first_us":…,"last_us":…}; the times are CLOCK_MONOTONIC, which
 * any process of the machine can compare. With --log, one line a request: time, method and path, Idempotency-Key.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/sink.h"
#include "tests/support/wire.h"

/* Says yes to every kind of receiver that looks into the body. */
#define REPLY_BODY "{\"status\":\"COMPLETE\",\"success\":true,\"routed\":true}"

struct http_sink {
	struct sink_reply reply;
	FILE *log;
	int64_t requests;
	int64_t connections;
	int64_t body_bytes;
	int64_t first_us;
	int64_t last_us;
};

static void reply_format(struct sink_reply *reply, int status, const char *body)
{
	int len = snprintf(reply->text, sizeof(reply->text),
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
		status < 300 ? "OK" : "As Told", strlen(body), body);

	reply->len = (size_t)len;
}

static void count_format(const struct http_sink *sink, struct sink_reply *reply)
{
	char body[512];

	snprintf(body, sizeof(body),
		"{\"requests\":%" PRId64 ",\"connections\":%" PRId64 ",\"body_bytes\":%" PRId64 ",\"first_us\":%" PRId64
		",\"last_us\":%" PRId64 "}\n",
		sink->requests, sink->connections, sink->body_bytes, sink->first_us, sink->last_us);
	reply_format(reply, 200, body);
}

static void request_log(const struct http_sink *sink, const char *bytes, size_t head_len)
{
	size_t key_len = 0;
	const char *key = wire_header(bytes, head_len, "Idempotency-Key", &key_len);
	const char *eol = memchr(bytes, '\r', head_len);

	fprintf(sink->log, "%" PRId64 " %.*s %.*s\n", sink->last_us, (int)(eol - bytes), bytes, (int)key_len,
		key == NULL ? "" : key);
}

static ssize_t http_take(void *arg, void *state, const char *bytes, size_t len, struct sink_reply *reply)
{
	static const char count[] = "GET /count";
	struct http_sink *sink = arg;
	struct wire_frame frame;
	int whole = wire_frame(bytes, len, WIRE_REQUEST, &frame);

	(void)state;
	if (whole <= 0)
		return whole;
	if (strncmp(bytes, count, sizeof(count) - 1) == 0) {
		count_format(sink, reply);
		reply->close = frame.close;
		return (ssize_t)frame.total_len;
	}
	sink->last_us = harness_mono_us();
	if (sink->requests++ == 0)
		sink->first_us = sink->last_us;
	sink->body_bytes += (int64_t)(frame.total_len - frame.head_len);
	if (sink->log != NULL)
		request_log(sink, bytes, frame.head_len);
	memcpy(reply->text, sink->reply.text, sink->reply.len);
	reply->len = sink->reply.len;
	reply->delayed = true;
	reply->close = frame.close;
	return (ssize_t)frame.total_len;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"latency-ms", required_argument, NULL, 'l'},
		{"status", required_argument, NULL, 's'},
		{"log", required_argument, NULL, 'f'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	static const struct sink_protocol protocol = {.take = http_take};
	struct http_sink sink = {0};
	struct sink_options run = {.protocol = &protocol, .arg = &sink, .connections = &sink.connections};
	int status = 200;
	int quiet = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			run.port = (int)harness_number("port", optarg, 0, 65535);
		else if (c == 'l')
			run.delay_ms = harness_number("latency-ms", optarg, 0, 600000);
		else if (c == 's')
			status = (int)harness_number("status", optarg, 200, 599);
		else if (c == 'f' && (sink.log = fopen(optarg, "ae")) == NULL)
			harness_quit("can't write %s", optarg);
		else if (c == 'q')
			quiet = 1;
		else if (c == '?')
			return 2;
	}
	reply_format(&sink.reply, status, REPLY_BODY);
	sink_run(&run);
	if (sink.log != NULL)
		fclose(sink.log);
	if (!quiet)
		printf("requests %" PRId64 ", connections %" PRId64 ", body bytes %" PRId64 "\n", sink.requests,
			sink.connections, sink.body_bytes);
	return 0;
}
