/* One receiver and what it may do wrong: what becomes of the effect, and of the receiver's standing. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"

#define COUNT(steps) (sizeof(steps) / sizeof((steps)[0]))
#define BREAKER	     "tokenfirst_breaker_state{effect=\"bus\"}"
/* which the second attempt keeps on a busy machine, too */
#define SHORT_TIMEOUT "{'effects':{'bus':{'timeout':'500ms'}}}"

enum { GROWTH_KIB = 16 << 10 };

TestSuite(faults, .timeout = 60);

/* The event of a login whose effect must come to be delivered, to be json_decref'ed. */
static json_t *delivered(struct scene *scene, const struct api_login *login)
{
	json_t *event;

	cr_assert(api_effect_wait(scene->server, login, "bus", "delivered", SCENE_WAIT_MS));
	event = api_event(scene->server, login);
	cr_assert_not_null(event);
	return event;
}

/* The first attempt fails with this outcome, the second one delivers, under the same key. */
static void second_attempt_delivers(const struct peer_step *fault, const char *more, const char *outcome, int status)
{
	struct peer_step steps[] = {*fault, {.status = 200}};
	struct scene scene;
	struct api_login login;
	char key[PEER_TEXT];
	json_t *event;
	json_t *first;

	scene_set(&scene, steps, COUNT(steps), more);
	login = scene_login(&scene);
	event = delivered(&scene, &login);
	cr_assert_eq(json_array_size(json_object_get(api_event_effect(event, "bus"), "attempts")), 2);
	first = scene_attempt(event, "bus", 0);
	cr_assert_str_eq(scene_member(first, "outcome"), outcome, "%s: %s", scene_member(first, "outcome"),
		scene_member(first, "reason"));
	cr_assert_eq(json_integer_value(json_object_get(first, "status")), status);
	cr_assert_str_neq(scene_member(first, "reason"), "");
	cr_assert_str_eq(scene_member(scene_attempt(event, "bus", 1), "outcome"), "ok");
	if (!fault->before_request)
		cr_assert_eq(scene_key_count(scene.peer, scene_key(&login, "bus", key)), 2, "the key changes");
	json_decref(event);
	scene_clear(&scene);
}

Test(faults, a_500_is_retried)
{
	second_attempt_delivers(&(struct peer_step){.status = 500}, NULL, "retryable", 500);
}

Test(faults, a_slow_answer_is_a_timeout)
{
	second_attempt_delivers(&(struct peer_step){.delay_ms = 5000}, SHORT_TIMEOUT, "timeout", 0);
}

Test(faults, silence_is_a_timeout)
{
	second_attempt_delivers(&(struct peer_step){.action = PEER_SILENT}, SHORT_TIMEOUT, "timeout", 0);
}

Test(faults, silence_from_the_first_byte_is_a_timeout)
{
	second_attempt_delivers(
		&(struct peer_step){.action = PEER_SILENT, .before_request = true}, SHORT_TIMEOUT, "timeout", 0);
}

Test(faults, a_dripping_head_is_a_timeout)
{
	second_attempt_delivers(
		&(struct peer_step){.action = PEER_DRIP_HEADERS, .interval_ms = 20}, SHORT_TIMEOUT, "timeout", 200);
}

Test(faults, a_dripping_body_is_a_timeout)
{
	second_attempt_delivers(
		&(struct peer_step){.action = PEER_DRIP_BODY, .interval_ms = 20}, SHORT_TIMEOUT, "timeout", 200);
}

Test(faults, a_reset_is_retried)
{
	second_attempt_delivers(&(struct peer_step){.action = PEER_RESET}, NULL, "connect", 0);
}

Test(faults, a_close_without_a_word_is_retried)
{
	second_attempt_delivers(&(struct peer_step){.action = PEER_CLOSE}, NULL, "connect", 0);
}

Test(faults, a_reply_cut_short_is_retried)
{
	second_attempt_delivers(&(struct peer_step){.action = PEER_CUT_BODY}, NULL, "connect", 200);
}

Test(faults, garbage_is_retried)
{
	second_attempt_delivers(&(struct peer_step){.action = PEER_GARBAGE}, NULL, "retryable", 0);
}

Test(faults, a_retry_after_is_kept)
{
	struct peer_step steps[] = {{.status = 429, .headers = "Retry-After: 1\r\n"}, {.status = 200}};
	struct scene scene;
	struct api_login login;
	int64_t wait_us;

	scene_set(&scene, steps, COUNT(steps), NULL);
	login = scene_login(&scene);
	json_decref(delivered(&scene, &login));
	wait_us = peer_request(scene.peer, 1).arrived_us - peer_request(scene.peer, 0).arrived_us;
	/* due times are whole milliseconds */
	cr_assert_geq(wait_us, 999000, "the second attempt came after %lld us", (long long)wait_us);
	scene_clear(&scene);
}

Test(faults, a_400_condemns_the_effect_alone)
{
	struct peer_step steps[] = {{.status = 400, .body = "{\"error\": \"no such field\"}"}, {.status = 200}};
	struct scene scene;
	struct api_login login, next;
	json_t *event;

	scene_set(&scene, steps, COUNT(steps), NULL);
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	event = api_event(scene.server, &login);
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "cause"), "condemned");
	cr_assert_not_null(strstr(scene_member(api_event_effect(event, "bus"), "reason"), "400"));
	cr_assert_str_eq(scene_member(scene_attempt(event, "bus", 0), "outcome"), "permanent");
	json_decref(event);
	cr_assert(metric_wait(
		scene.server, "tokenfirst_dead_letters{effect=\"bus\",reason=\"condemned\"}", 1, SCENE_WAIT_MS));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"dead\"}"), 1);
	cr_assert_eq(metric_value(scene.server, BREAKER), 0);
	next = scene_login(&scene);
	json_decref(delivered(&scene, &next));
	cr_assert_eq(peer_count(scene.peer), 2);
	scene_clear(&scene);
}

/* Attempts come to an end: the reply's first bytes are kept, and the dead letter outlives a restart. */
Test(faults, the_last_attempt_makes_a_dead_letter)
{
	static const char dead[] = "tokenfirst_dead_letters{effect=\"bus\",reason=\"attempts\"}";
	struct peer_step steps[] = {{.status = 503, .body = "\"down for repairs\""}};
	struct scene scene;
	struct api_login login;
	char *reply;

	scene_set(&scene, steps, COUNT(steps), "{'effects':{'bus':{'retry':{'max_attempts':3}}}}");
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	cr_assert_eq(peer_count(scene.peer), 3);
	cr_assert(metric_wait(scene.server, dead, 1, SCENE_WAIT_MS));
	cr_assert_eq(server_stop(scene.server), 0);
	reply = scene_query(scene.server, "SELECT reply FROM effects");
	cr_assert_str_eq(reply, "\"down for repairs\"");
	free(reply);
	server_restart(scene.server, NULL);
	cr_assert_eq(metric_value(scene.server, dead), 1);
	scene_clear(&scene);
}

/*
 * An expired key costs nobody an attempt: if one of the refusals counted, the 503 would be the end, with max_attempts
 * 2.
 */
Test(faults, a_401_parks_effects_until_the_target_is_mended)
{
	struct peer_step steps[] = {
		{.status = 401}, {.status = 401}, {.status = 401}, {.status = 503}, {.status = 200}};
	struct scene scene;
	struct api_login first, second;

	scene_set(&scene, steps, COUNT(steps),
		"{'effects':{'bus':{'max_in_flight':1, 'retry':{'max_attempts':2}, 'breaker':{'open_for':'200ms'}}}}");
	first = scene_login(&scene);
	cr_assert(metric_wait(scene.server, BREAKER, 2, SCENE_WAIT_MS));
	cr_assert(server_log_wait(scene.server, "breaker opened: effects wait", 1, SCENE_WAIT_MS));
	second = scene_login(&scene);
	json_decref(delivered(&scene, &first));
	json_decref(delivered(&scene, &second));
	cr_assert_eq(peer_count(scene.peer), 6, "four refusals, two deliveries, and not %zu", peer_count(scene.peer));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"dead\"}"), 0);
	cr_assert(metric_wait_below(scene.server, BREAKER, 0, SCENE_WAIT_MS));
	scene_clear(&scene);
}

/* The log and the metrics know of an attempt before the store does. */
static void await_reason(const struct scene *scene, const struct api_login *login, const char *part)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	bool found = false;

	while (!found && harness_mono_us() < until_us) {
		json_t *event = api_event(scene->server, login);
		found = strstr(scene_member(api_event_effect(event, "bus"), "reason"), part) != NULL;
		json_decref(event);
		harness_sleep_ms(2);
	}
	cr_assert(found, "no reason with %s", part);
}

Test(faults, a_410_pauses_the_target)
{
	struct peer_step steps[] = {{.status = 410}, {.status = 200}};
	struct scene scene;
	struct api_login first, second;
	json_t *event;

	scene_set(&scene, steps, COUNT(steps), "{'effects':{'bus':{'breaker':{'open_for':'10ms'}}}}");
	first = scene_login(&scene);
	cr_assert(server_log_wait(
		scene.server, "target is gone: its effects wait until it is resumed", 1, SCENE_WAIT_MS));
	second = scene_login(&scene);
	cr_assert(metric_wait(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}", 2, SCENE_WAIT_MS));
	cr_assert(metric_wait(scene.server, BREAKER, 2, SCENE_WAIT_MS));
	await_reason(&scene, &first, "410");
	event = api_event(scene.server, &first);
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "state"), "pending");
	json_decref(event);
	cr_assert_eq(peer_count(scene.peer), 1);
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(peer_count(scene.peer), 1);
	server_restart(scene.server, NULL); /* which does not ask it again */
	cr_assert_eq(metric_value(scene.server, "tokenfirst_target_paused{effect=\"bus\"}"), 1);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 2);
	event = api_event(scene.server, &second);
	cr_assert_not_null(strstr(scene_member(api_event_effect(event, "bus"), "waits_for"), "paused"));
	json_decref(event);
	cr_assert_eq(peer_count(scene.peer), 1);
	scene_clear(&scene);
}

static long resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	in = fopen(path, "re");
	cr_assert_not_null(in);
	while (kib < 0 && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	fclose(in);
	return kib;
}

/* An answer without an end is cut off, keeps nobody's memory, and says that the URL leads somewhere else. */
Test(faults, an_endless_body_is_cut_off)
{
	struct peer_step steps[] = {{.action = PEER_ENDLESS_BODY}, {.action = PEER_ENDLESS_BODY},
		{.action = PEER_ENDLESS_BODY}, {.status = 200}};
	struct scene scene;
	struct api_login login;
	json_t *event;
	long before;
	long after;

	scene_set(&scene, steps, COUNT(steps), "{'effects':{'bus':{'timeout':'20s', 'breaker':{'open_for':'50ms'}}}}");
	before = resident_kib(server_pid(scene.server));
	login = scene_login(&scene);
	event = delivered(&scene, &login);
	after = resident_kib(server_pid(scene.server));
	if (!server_has_sanitizer(scene.server))
		cr_assert_lt(after, before + GROWTH_KIB, "%ld KiB grew to %ld KiB", before, after);
	cr_assert_not_null(strstr(scene_member(scene_attempt(event, "bus", 0), "reason"), "limit"), "%s",
		scene_member(scene_attempt(event, "bus", 0), "reason"));
	cr_assert_lt(json_number_value(json_object_get(scene_attempt(event, "bus", 0), "duration_ms")), 10000);
	json_decref(event);
	scene_clear(&scene);
}

Test(faults, a_reply_longer_than_announced_does_no_harm)
{
	struct peer_step steps[] = {{.action = PEER_EXCESS_BODY}, {.status = 200}};
	struct scene scene;
	struct api_login first, second;

	scene_set(&scene, steps, COUNT(steps), NULL);
	first = scene_login(&scene);
	json_decref(delivered(&scene, &first));
	second = scene_login(&scene);
	json_decref(delivered(&scene, &second));
	scene_clear(&scene);
}
