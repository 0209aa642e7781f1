/*
 * open_loop: an HTTP load generator that keeps its rate whatever the replies do.
 *
 *   open_loop --url http://127.0.0.1:PORT/PATH [--method POST] [--body TEXT] [--header "Name: value"]...
 *             --rate N [--duration SECONDS] [--connections N] [--grace SECONDS]
 *             [--bodies FILE] [--samples FILE]
 *
 * Open loop: load.h says what that means. Percentiles are of replies with status 2xx and of requests that had no reply
 * after the grace; other statuses and broken connections are counted apart and never flatter them. `lag_ms` is the
 * generator's own lateness: where it is not small against `ms`, the generator lacked CPU time. Prints one JSON object.
 *
 * --bodies in place of --body: a line of the file for each request, in order, for what may be sent only once.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "config/buf.h"
#include "tests/support/harness.h"
#include "tests/support/load.h"

enum { REQUEST_MAX = 64 << 10 };

static void report_ms(const char *name, struct load_samples *samples)
{
	printf("\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p99_9\":%.3f,\"max\":%.3f},", name,
		load_percentile(samples, 50), load_percentile(samples, 90), load_percentile(samples, 99),
		load_percentile(samples, 99.9), load_percentile(samples, 100));
}

static void report(struct load_result *r, int64_t rate, int64_t duration)
{
	struct rusage usage;
	const char *comma = "";

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"sent\":%" PRId64 ",\"ok\":%" PRId64 ",\"errors\":%" PRId64 ",\"unfinished\":%" PRId64
	       ",\"status\":{",
		r->sent, r->ok, r->errors, r->unfinished);
	for (int i = 0; i < LOAD_STATUS_MAX; i++) {
		if (r->by_status[i] > 0) {
			printf("%s\"%d\":%" PRId64, comma, i, r->by_status[i]);
			comma = ",";
		}
	}
	printf("},\"rate\":%" PRId64 ",\"rate_reached\":%.1f,", rate, (double)r->sent_in_time / (double)duration);
	report_ms("ms", &r->latency);
	report_ms("lag_ms", &r->lag);
	printf("\"cpu_seconds\":%.3f}\n", (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
						  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

/* One line each, so that samples of several runs can be pooled: percentiles can't be averaged. */
static void samples_write(const char *path, const struct load_samples *samples)
{
	FILE *out = fopen(path, "we");

	if (out == NULL)
		harness_quit("%s can't be written", path);
	for (size_t i = 0; i < samples->count; i++)
		fprintf(out, "%.3f\n", samples->ms[i]);
	fclose(out);
}

/* Fills in the address and starts the request's text; false: no URL that we take. */
static bool url_read(const char *text, const char *method, struct sockaddr_in *address, struct buf *request)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	char *host = NULL;
	char *port = NULL;
	char *path = NULL;
	char *query = NULL;
	bool fine = false;

	if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && strcmp(scheme, "http") == 0 &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
		inet_pton(AF_INET, host, &address->sin_addr) == 1) {
		address->sin_family = AF_INET;
		address->sin_port = htons((uint16_t)harness_number("url", port, 1, 65535));
		curl_url_get(url, CURLUPART_QUERY, &query, 0);
		buf_printf(request, "%s %s%s%s HTTP/1.1\r\nHost: %s:%s\r\n", method, path, query == NULL ? "" : "?",
			query == NULL ? "" : query, host, port);
		fine = true;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_free(query);
	curl_url_cleanup(url);
	return fine;
}

struct arguments {
	const char *url;
	const char *method;
	const char *body;
	const char *bodies;  /* file with a body for each request; NULL: all have `body` */
	const char *samples; /* file for the sorted samples; NULL: none */
	struct curl_slist *headers;
	int64_t rate;
	int64_t duration;
	int64_t grace;
	int64_t connections;
};

static int arguments_read(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"url", required_argument, NULL, 'u'},
		{"method", required_argument, NULL, 'm'},
		{"body", required_argument, NULL, 'b'},
		{"header", required_argument, NULL, 'h'},
		{"bodies", required_argument, NULL, 'f'},
		{"samples", required_argument, NULL, 's'},
		{"rate", required_argument, NULL, 'r'},
		{"duration", required_argument, NULL, 'd'},
		{"grace", required_argument, NULL, 'g'},
		{"connections", required_argument, NULL, 'c'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'u')
			a->url = optarg;
		else if (c == 'm')
			a->method = optarg;
		else if (c == 'b')
			a->body = optarg;
		else if (c == 'h')
			a->headers = curl_slist_append(a->headers, optarg);
		else if (c == 'f')
			a->bodies = optarg;
		else if (c == 's')
			a->samples = optarg;
		else if (c == 'r')
			a->rate = harness_number("rate", optarg, 1, 200000);
		else if (c == 'd')
			a->duration = harness_number("duration", optarg, 1, 600);
		else if (c == 'g')
			a->grace = harness_number("grace", optarg, 0, 60);
		else if (c == 'c')
			a->connections = harness_number("connections", optarg, 1, LOAD_CONNECTIONS_MAX);
		else
			return -1;
	}
	return a->url != NULL && a->rate > 0 && a->rate * a->duration <= LOAD_SAMPLES_MAX ? 0 : -1;
}

static void request_build(const struct arguments *a, const char *body, struct sockaddr_in *address, struct buf *request)
{
	if (!url_read(a->url, a->method, address, request))
		harness_quit("%s: a URL like http://127.0.0.1:8080/login is needed", a->url);
	for (const struct curl_slist *h = a->headers; h != NULL; h = h->next)
		buf_printf(request, "%s\r\n", h->data);
	if (body != NULL)
		buf_printf(request, "Content-Length: %zu\r\n", strlen(body));
	buf_printf(request, "\r\n%s", body == NULL ? "" : body);
	if (buf_error(request) != 0)
		harness_quit("the request is too long");
}

/* One request a line of the file, as many as are to be sent. */
static struct buf *requests_build(
	const struct arguments *a, int64_t total, struct sockaddr_in *address, struct load_request **ret_each)
{
	struct load_request *each = calloc((size_t)total, sizeof(*each));
	struct buf *requests = calloc((size_t)total, sizeof(*requests));
	FILE *in = fopen(a->bodies, "re");
	char *line = NULL;
	size_t size = 0;

	if (in == NULL || each == NULL || requests == NULL)
		harness_quit("%s can't be read", a->bodies);
	for (int64_t i = 0; i < total; i++) {
		ssize_t len = getline(&line, &size, in);

		if (len < 0)
			harness_quit("%s has fewer than %" PRId64 " lines", a->bodies, total);
		line[strcspn(line, "\n")] = '\0';
		buf_init(&requests[i], REQUEST_MAX);
		request_build(a, line, address, &requests[i]);
		each[i] = (struct load_request){requests[i].data, requests[i].len};
	}
	free(line);
	fclose(in);
	*ret_each = each;
	return requests;
}

static void requests_free(struct buf *requests, int64_t total, struct load_request *each)
{
	for (int64_t i = 0; requests != NULL && i < total; i++)
		buf_release(&requests[i]);
	free(requests);
	free(each);
}

int main(int argc, char **argv)
{
	struct arguments a = {.method = "GET", .duration = 10, .grace = 10, .connections = 64};
	struct load_options options = {0};
	struct load_request *each = NULL;
	struct buf *requests = NULL;
	struct load_result result;
	struct buf request;

	if (arguments_read(argc, argv, &a) < 0) {
		fprintf(stderr, "usage: open_loop --url URL --rate N [--duration S] [--method M] [--body B]"
				" [--header H]... [--connections N] [--grace S] [--bodies FILE] [--samples FILE]\n");
		return 2;
	}
	buf_init(&request, REQUEST_MAX);
	request_build(&a, a.body, &options.address, &request);
	options.request = request.data;
	options.request_len = request.len;
	options.rate = (double)a.rate;
	options.total = a.rate * a.duration;
	if (a.bodies != NULL)
		requests = requests_build(&a, options.total, &options.address, &each);
	options.each = each;
	options.connections = a.connections;
	options.grace_us = a.grace * 1000000;
	if (load_run(&options, &result) < 0)
		harness_quit("%s: nobody listens", a.url);
	report(&result, a.rate, a.duration);
	if (a.samples != NULL)
		samples_write(a.samples, &result.latency);
	load_result_release(&result);
	buf_release(&request);
	requests_free(requests, options.total, each);
	curl_slist_free_all(a.headers);
	return 0;
}
