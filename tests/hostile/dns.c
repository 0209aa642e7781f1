/*
 * Name servers that refuse, or never answer. The process of the test gets one of its own, on a loopback address, and
 * an /etc/resolv.conf that names it: no query leaves the machine.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config/limits.h"
#include "tests/support/black_hole.h"
#include "tests/support/harness.h"
#include "tests/support/hostile.h"

enum {
	/* what may be left behind, and as many attempts under way as the lane has (max_in_flight); some for others */
	THREADS_MOST = LIMIT_RESOLVERS + 64 + 4,
	FLOOD_MS = 3000, /* glibc asks for ten seconds: none of the look-ups ends before */
	FLOOD_EFFECTS = 50,
};

TestSuite(dns, .timeout = 60);

/* A name server of the test's own process, which swallows what it is asked. */
struct night {
	struct scratch scratch;
	struct black_hole *hole;
};

/* Before the first look-up. Where it can't be had the test is skipped. */
static void night_fall(struct night *night)
{
	scratch_make(&night->scratch);
	night->hole = black_hole_possible() ? black_hole_open(night->scratch.folder) : NULL;
	if (night->hole != NULL && black_hole_enter(night->hole) < 0) {
		black_hole_close(night->hole);
		night->hole = NULL;
	}
	if (night->hole == NULL)
		cr_skip_test("no mount namespace of our own here");
}

static void night_end(struct night *night)
{
	black_hole_close(night->hole);
	scratch_remove(&night->scratch);
}

Test(dns, a_name_server_that_refuses)
{
	struct hostile_run run;
	struct night night;

	night_fall(&night);
	black_hole_refuse(night.hole);
	hostile_begin(&run, &(struct hostile_case){.name = "DNS, no such name",
				    .url = "http://receiver.example.net/",
				    .outcome = "dns",
				    .reason = "not resolved",
				    .verdict = HOSTILE_RETRIED});
	cr_assert_gt(black_hole_queries(night.hole), 0);
	hostile_end(&run);
	night_end(&night);
}

/* Fails within getaddrinfo, without a query. */
Test(dns, a_name_that_can_not_be)
{
	struct hostile_run run;

	hostile_begin(&run, &(struct hostile_case){.name = "DNS, a label of 70 letters",
				    .url = "http://receiver-receiver-receiver-receiver-receiver-receiver-receiver-"
					   ".invalid/",
				    .outcome = "dns",
				    .reason = "not resolved",
				    .verdict = HOSTILE_RETRIED});
	hostile_end(&run);
}

Test(dns, a_name_server_that_never_answers)
{
	struct hostile_run run;
	struct night night;

	night_fall(&night);
	hostile_begin(&run, &(struct hostile_case){.name = "DNS, never an answer",
				    .url = "http://receiver.example.net/",
				    .held_ms = HOSTILE_TIMEOUT_MS,
				    .least_ms = HOSTILE_TIMEOUT_MS - HOSTILE_EARLY_MS,
				    .outcome = "dns",
				    .reason = "not resolved",
				    .verdict = HOSTILE_RETRIED});
	cr_assert_gt(black_hole_queries(night.hole), 0);
	hostile_end(&run);
	night_end(&night);
}

/* A mail's transfer looks its host up on a courier's thread. */
Test(dns, a_name_server_that_never_answers_for_mail)
{
	struct hostile_run run;
	struct night night;

	night_fall(&night);
	hostile_begin(&run, &(struct hostile_case){.name = "DNS, never an answer, for mail",
				    .url = "smtp://receiver.example.net/",
				    .more = "{'type':'email','from':'auth@example.com','to':'bob@example.com'}",
				    .held_ms = HOSTILE_TIMEOUT_MS,
				    .least_ms = HOSTILE_TIMEOUT_MS - HOSTILE_EARLY_MS,
				    .outcome = "dns",
				    .reason = "not resolved",
				    .verdict = HOSTILE_RETRIED});
	hostile_end(&run);
	night_end(&night);
}

/* Attempt after attempt, each given up long before its look-up ends: these must not pile up as threads. */
Test(dns, look_ups_do_not_pile_up)
{
	struct hostile_run run;
	struct night night;
	size_t before, most = 0;
	int64_t until_us;

	night_fall(&night);
	hostile_begin(&run, &(struct hostile_case){.name = "DNS, never an answer, again and again",
				    .url = "http://receiver.example.net/",
				    .more = "{'timeout':'100ms','retry':{'first':'1ms','cap':'1ms',"
					    "'max_attempts':10000}}",
				    .held_ms = 100,
				    .outcome = "dns",
				    .reason = "not resolved",
				    .verdict = HOSTILE_WAITS});
	before = hostile_threads();
	until_us = harness_mono_us() + FLOOD_MS * 1000;
	delivery_scene_burst(&run.scene, FLOOD_EFFECTS);
	while (harness_mono_us() < until_us) {
		size_t now = hostile_threads();

		most = now > most ? now : most;
		hostile_beside(&run);
	}
	printf("figure: DNS, never an answer, again and again: %zu threads more at most, %llu attempts in %d s\n",
		most - before, (unsigned long long)hostile_attempts(&run), FLOOD_MS / 1000);
	fflush(stdout);
	cr_assert_leq(most, before + THREADS_MOST);
	hostile_end(&run);
	night_end(&night);
}
