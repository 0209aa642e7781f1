/*
 * raw_multi: how many small POSTs a second one bare curl_multi reaches here, as the yardstick for
 * delivery.
 *
 *   raw_multi --url URL [--seconds N] [--in-flight N] [--body TEXT]
 *
 * N easy handles in one multi handle, on one thread; a handle that is done is added again.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/harness.h"

enum { IN_FLIGHT_MAX = 1024, POLL_MS = 100 };

struct run {
	const char *url;
	const char *body;
	int64_t in_flight;
	int64_t seconds;
	int64_t ok;
	int64_t errors;
	int64_t duration_us;
};

static size_t swallow(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

static CURL *handle_new(const struct run *run, struct curl_slist *headers)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL || curl_easy_setopt(easy, CURLOPT_URL, run->url) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, run->body) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L) != CURLE_OK)
		harness_quit("curl refuses %s", run->url);
	return easy;
}

static void account(struct run *run, CURLM *multi, int64_t until_us)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result;
		long status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (result == CURLE_OK && status >= 200 && status < 300)
			run->ok++;
		else
			run->errors++;
		curl_multi_remove_handle(multi, easy);
		if (harness_mono_us() < until_us)
			curl_multi_add_handle(multi, easy);
	}
}

static void transfer(struct run *run, CURLM *multi)
{
	int64_t start_us = harness_mono_us();
	int64_t until_us = start_us + run->seconds * 1000000;
	int running = 1;

	while (running > 0) {
		curl_multi_perform(multi, &running);
		account(run, multi, until_us);
		if (harness_mono_us() < until_us)
			running = 1;
		if (running > 0)
			curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
	}
	run->duration_us = harness_mono_us() - start_us;
}

static void report(const struct run *run)
{
	struct rusage usage;
	double cpu;

	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"ok\":%" PRId64 ",\"errors\":%" PRId64 ",\"per_second\":%.1f,\"cpu_seconds\":%.3f}\n", run->ok,
		run->errors, (double)run->ok * 1e6 / (double)run->duration_us, cpu);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"url", required_argument, NULL, 'u'},
		{"seconds", required_argument, NULL, 's'},
		{"in-flight", required_argument, NULL, 'n'},
		{"body", required_argument, NULL, 'b'},
		{0},
	};
	struct run run = {.body = "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}", .in_flight = 64, .seconds = 5};
	struct curl_slist *headers = NULL;
	CURL *easy[IN_FLIGHT_MAX];
	CURLM *multi;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'u')
			run.url = optarg;
		else if (c == 's')
			run.seconds = harness_number("seconds", optarg, 1, 600);
		else if (c == 'n')
			run.in_flight = harness_number("in-flight", optarg, 1, IN_FLIGHT_MAX);
		else if (c == 'b')
			run.body = optarg;
		else
			return 2;
	}
	if (run.url == NULL) {
		fprintf(stderr, "--url is needed\n");
		return 2;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	multi = curl_multi_init();
	if (headers == NULL || multi == NULL)
		harness_quit("curl: out of memory");
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)run.in_flight);
	for (int64_t i = 0; i < run.in_flight; i++) {
		easy[i] = handle_new(&run, headers);
		curl_multi_add_handle(multi, easy[i]);
	}
	transfer(&run, multi);
	for (int64_t i = 0; i < run.in_flight; i++) {
		curl_multi_remove_handle(multi, easy[i]);
		curl_easy_cleanup(easy[i]);
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	curl_global_cleanup();
	report(&run);
	return run.errors > 0;
}
