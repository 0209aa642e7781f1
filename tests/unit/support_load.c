/* The load generator's one promise: a receiver that stalls can't hide it by making the generator wait. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/load.h"
#include "tests/support/peer.h"

static const char request[] = "POST / HTTP/1.1\r\nHost: peer\r\nContent-Length: 2\r\n\r\n{}";

static struct load_options options_for(const struct peer *peer, double rate, int64_t total, int64_t connections)
{
	struct load_options options = {.request = request,
		.request_len = sizeof(request) - 1,
		.rate = rate,
		.total = total,
		.connections = connections,
		.grace_us = 2000000};

	options.address.sin_family = AF_INET;
	options.address.sin_port = htons((uint16_t)(peer == NULL ? closed_port() : peer_port(peer)));
	options.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return options;
}

/* 10 requests are due within 100 ms, one connection takes 50 ms for each: the last one is 400 ms late. */
Test(load, latency_counts_from_when_a_request_is_due)
{
	struct peer *peer = peer_start((struct peer_step[]){{.delay_ms = 50}}, 1);
	struct load_options options = options_for(peer, 100, 10, 1);
	struct load_result result;

	cr_assert_eq(load_run(&options, &result), 0);
	cr_assert_eq(result.ok, 10);
	cr_assert_eq(result.by_status[200], 10);
	cr_assert_eq(result.unfinished, 0);
	cr_assert(load_percentile(&result.latency, 10) >= 50);
	cr_assert(load_percentile(&result.latency, 100) >= 400, "%f ms", load_percentile(&result.latency, 100));
	load_result_release(&result);
	peer_stop(peer);
}

Test(load, keeps_its_rate_beside_a_slow_receiver)
{
	struct peer *peer = peer_start((struct peer_step[]){{.delay_ms = 200}}, 1);
	struct load_options options = options_for(peer, 100, 30, 40);
	struct load_result result;

	cr_assert_eq(load_run(&options, &result), 0);
	cr_assert_eq(result.ok, 30);
	cr_assert_eq(result.sent_in_time, 30);
	for (size_t i = 1; i < 30; i++) {
		int64_t gap_us = peer_request(peer, i).arrived_us - peer_request(peer, i - 1).arrived_us;

		cr_assert(gap_us < 150000, "request %zu waited %lld us for a reply to another", i, (long long)gap_us);
	}
	load_result_release(&result);
	peer_stop(peer);
}

Test(load, unanswered_requests_count_with_their_age)
{
	struct peer *peer = peer_start((struct peer_step[]){{.status = 200}, {.action = PEER_SILENT}}, 2);
	struct load_options options = options_for(peer, 100, 5, 1);
	struct load_result result;

	options.grace_us = 200000;
	cr_assert_eq(load_run(&options, &result), 0);
	cr_assert_eq(result.ok, 1);
	cr_assert_eq(result.unfinished, 4);
	cr_assert_eq(result.latency.count, 5);
	cr_assert(load_percentile(&result.latency, 100) >= 200);
	load_result_release(&result);
	peer_stop(peer);
}

Test(load, other_statuses_and_broken_connections_are_no_samples)
{
	static const struct peer_step steps[] = {{.status = 503}, {.action = PEER_CLOSE}, {.status = 200}};
	struct peer *peer = peer_start(steps, 3);
	struct load_options options = options_for(peer, 20, 3, 1);
	struct load_result result;

	cr_assert_eq(load_run(&options, &result), 0);
	cr_assert_eq(result.by_status[503], 1);
	cr_assert_eq(result.errors, 1);
	cr_assert_eq(result.ok, 1);
	cr_assert_eq(result.latency.count, 1);
	load_result_release(&result);
	peer_stop(peer);
}

Test(load, each_request_has_its_own_text_and_is_sent_once)
{
	static const char *const bodies[] = {"1", "22", "333"};
	struct peer *peer = peer_start((struct peer_step[]){{.status = 200}}, 1);
	struct load_options options = options_for(peer, 100, 3, 1);
	struct load_request each[3];
	struct load_result result;
	char texts[3][96];

	for (size_t i = 0; i < 3; i++) {
		int len = snprintf(texts[i], sizeof(texts[i]),
			"POST / HTTP/1.1\r\nHost: peer\r\nContent-Length: %zu\r\n\r\n%s", strlen(bodies[i]), bodies[i]);

		each[i] = (struct load_request){texts[i], (size_t)len};
	}
	options.request = NULL;
	options.each = each;
	cr_assert_eq(load_run(&options, &result), 0);
	cr_assert_eq(result.ok, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_str_eq(peer_request(peer, i).body, bodies[i]);
	load_result_release(&result);
	peer_stop(peer);
}

Test(load, nobody_listens)
{
	struct load_options options = options_for(NULL, 10, 1, 1);
	struct load_result result;

	cr_assert_eq(load_run(&options, &result), -1);
	load_result_release(&result);
}

Test(load, percentiles_are_nearest_rank)
{
	double ms[] = {4, 1, 3, 2};
	struct load_samples samples = {.ms = ms, .count = 4};

	cr_assert_float_eq(load_percentile(&samples, 50), 2, 1e-9);
	cr_assert_float_eq(load_percentile(&samples, 51), 3, 1e-9);
	cr_assert_float_eq(load_percentile(&samples, 99), 4, 1e-9);
	cr_assert_float_eq(load_percentile(&samples, 100), 4, 1e-9);
}
