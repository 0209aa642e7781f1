#include "background/delivery/reactor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "config/limits.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"

enum { WAIT_MS = 5000, MANY = 3 * LIMIT_REACTOR_EVENTS };

static struct reactor *reactor;
static CURLcode results[MANY];
static int ended;

static void setup(void)
{
	cr_assert_eq(reactor_new(&reactor), 0);
	ended = 0;
}

static void teardown(void)
{
	reactor_free(reactor);
}

TestSuite(reactor, .init = setup, .fini = teardown);

static size_t swallow(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes, (void)arg;
	return size * count;
}

static CURL *add(const char *url, long timeout_ms)
{
	CURL *easy = curl_easy_init();

	cr_assert_not_null(easy);
	cr_assert_eq(curl_easy_setopt(easy, CURLOPT_URL, url), CURLE_OK);
	cr_assert_eq(curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms), CURLE_OK);
	cr_assert_eq(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow), CURLE_OK);
	cr_assert_eq(curl_multi_add_handle(reactor_multi(reactor), easy), CURLM_OK);
	return easy;
}

static void collect(void)
{
	CURLcode result;

	for (CURL *easy = reactor_ended(reactor, &result); easy != NULL; easy = reactor_ended(reactor, &result)) {
		results[ended++] = result;
		cr_assert_eq(curl_multi_remove_handle(reactor_multi(reactor), easy), CURLM_OK);
		curl_easy_cleanup(easy);
	}
}

/* Turns until so many have ended in all; how many turns that took. */
static int turn_until(int count)
{
	int turns = 0;
	int64_t until_us = harness_mono_us() + WAIT_MS * 1000;

	reactor_begin_added(reactor);
	for (collect(); ended < count && harness_mono_us() < until_us; turns++) {
		reactor_sleep(reactor, WAIT_MS);
		collect();
	}
	cr_assert_eq(ended, count);
	return turns;
}

static int64_t sleep_for(int64_t most_ms)
{
	int64_t began_us = harness_mono_us();

	reactor_sleep(reactor, most_ms);
	return harness_mono_us() - began_us;
}

Test(reactor, a_wake_ends_the_sleep_or_the_next_one)
{
	reactor_wake(reactor);
	reactor_wake(reactor);
	cr_assert_lt(sleep_for(WAIT_MS), WAIT_MS * 1000);
	cr_assert_geq(sleep_for(30), 30 * 1000, "one sleep is ended by all that came before it");
}

static void *wake_soon(void *arg)
{
	(void)arg;
	harness_sleep_ms(20);
	reactor_wake(reactor);
	return NULL;
}

Test(reactor, a_wake_comes_from_another_thread_each_time)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, wake_soon, NULL), 0);
		cr_assert_lt(sleep_for(INT64_MAX), WAIT_MS * 1000);
		pthread_join(thread, NULL);
	}
}

Test(reactor, connections_are_kept_and_used_again)
{
	struct peer *peer = peer_start(NULL, 0);
	char url[PEER_TEXT];

	for (int i = 0; i < 5; i++) {
		(void)add(peer_url(peer, "/", url), WAIT_MS);
		turn_until(i + 1);
		cr_assert_eq(results[i], CURLE_OK);
	}
	cr_assert_eq(peer_connections(peer), 1);
	peer_stop(peer);
}

/* The number of a closed descriptor is the next one's. */
Test(reactor, a_descriptor_that_is_used_again_is_watched_again)
{
	struct peer *peer = peer_start((struct peer_step[]){{.close = true, .delay_ms = 2}}, 1);
	char url[PEER_TEXT];

	for (int i = 0; i < 20; i++) {
		(void)add(peer_url(peer, "/", url), WAIT_MS);
		turn_until(i + 1);
		cr_assert_eq(results[i], CURLE_OK);
	}
	cr_assert_eq(peer_connections(peer), 20);
	peer_stop(peer);
}

Test(reactor, more_than_one_turn_can_take_all_end)
{
	struct peer *peer = peer_start((struct peer_step[]){{.delay_ms = 100}}, 1);
	char url[PEER_TEXT];

	for (int i = 0; i < MANY; i++)
		(void)add(peer_url(peer, "/", url), WAIT_MS);
	turn_until(MANY);
	for (int i = 0; i < MANY; i++)
		cr_assert_eq(results[i], CURLE_OK);
	peer_stop(peer);
}

static int64_t cpu_us(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* Those that wait for their replies are not looked at: nothing wakes this thread but what is due. */
Test(reactor, what_only_waits_costs_no_turns)
{
	struct peer *slow = peer_start((struct peer_step[]){{.action = PEER_SILENT}}, 1);
	struct peer *fast = peer_start(NULL, 0);
	char url[PEER_TEXT];

	for (int i = 0; i < 100; i++)
		(void)add(peer_url(slow, "/", url), 1000);
	reactor_begin_added(reactor);
	int64_t until_us = harness_mono_us() + 300 * 1000;
	while (harness_mono_us() < until_us && peer_count(slow) < 100)
		reactor_sleep(reactor, 10);
	cr_assert_eq(peer_count(slow), 100);
	for (int i = 0; i < 10; i++) {
		(void)add(peer_url(fast, "/", url), WAIT_MS);
		cr_assert_leq(turn_until(i + 1), 4);
	}
	cr_assert_eq(ended, 10);
	turn_until(110);
	for (int i = 10; i < 110; i++)
		cr_assert_eq(results[i], CURLE_OPERATION_TIMEDOUT);
	cr_assert_lt(cpu_us(), 900 * 1000);
	peer_stop(slow);
	peer_stop(fast);
}

Test(reactor, a_time_out_is_met)
{
	struct peer *peer = peer_start((struct peer_step[]){{.action = PEER_SILENT}}, 1);
	char url[PEER_TEXT];
	int64_t began_us = harness_mono_us();

	(void)add(peer_url(peer, "/", url), 200);
	turn_until(1);
	cr_assert_eq(results[0], CURLE_OPERATION_TIMEDOUT);
	cr_assert_geq(harness_mono_us() - began_us, 200 * 1000);
	cr_assert_lt(harness_mono_us() - began_us, 1000 * 1000);
	/* with none under way nothing is due */
	cr_assert_geq(sleep_for(50), 50 * 1000);
	peer_stop(peer);
}

Test(reactor, a_connection_that_its_peer_closes_wakes_once)
{
	struct peer *peer = peer_start(NULL, 0);
	char url[PEER_TEXT];

	(void)add(peer_url(peer, "/", url), WAIT_MS);
	turn_until(1);
	peer_stop(peer);
	reactor_sleep(reactor, 100);
	cr_assert_geq(sleep_for(50), 50 * 1000);
}

Test(reactor, descriptors_of_any_number_are_watched)
{
	struct peer *peer = peer_start(NULL, 0);
	char url[PEER_TEXT];
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[800];

	for (size_t i = 0; i < 800; i++) {
		fds[i] = fcntl(first, F_DUPFD_CLOEXEC, 0);
		cr_assert_geq(fds[i], 0);
	}
	for (int i = 0; i < 3; i++)
		(void)add(peer_url(peer, "/", url), WAIT_MS);
	turn_until(3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(results[i], CURLE_OK);
	for (size_t i = 0; i < 800; i++)
		close(fds[i]);
	close(first);
	peer_stop(peer);
}

Test(reactor, a_closed_port_is_an_end_like_any_other)
{
	char url[PEER_TEXT];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", closed_port());
	(void)add(url, WAIT_MS);
	turn_until(1);
	cr_assert_eq(results[0], CURLE_COULDNT_CONNECT);
}
