/* Inline effects: before the answer, one after another, and what it means for the answer when they fail. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"

#define LOGIN	"{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}"
#define BREAKER "tokenfirst_breaker_state{effect=\"bus\"}"

enum { DELAY_MS = 200 };

TestSuite(inline_delivery, .timeout = 60);

Test(inline_delivery, it_comes_before_the_answer)
{
	struct peer_step steps[] = {{.delay_ms = DELAY_MS}};
	struct scene scene;
	struct api_login login;
	json_t *event;

	scene_set(&scene, steps, 1, "{'effects':{'bus':{'delivery':'inline'}}}");
	login = scene_login(&scene);
	cr_assert_geq(login.ms, DELAY_MS);
	cr_assert_eq(peer_count(scene.peer), 1);
	event = api_event_settled(scene.server, &login, SCENE_WAIT_MS);
	cr_assert_not_null(event);
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "delivery"), "inline");
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "state"), "delivered");
	json_decref(event);
	cr_assert_geq(
		metric_value(scene.server, "tokenfirst_login_stage_seconds_sum{stage=\"inline\"}"), DELAY_MS / 1e3);
	cr_assert_geq(
		metric_value(scene.server, "tokenfirst_login_duration_seconds_sum{outcome=\"ok\"}"), DELAY_MS / 1e3);
	scene_clear(&scene);
}

/* What the answer took and what it would have taken are the same then: each part counts once. */
Test(inline_delivery, the_blocking_cost_is_what_it_took)
{
	struct peer_step steps[] = {{.delay_ms = DELAY_MS}};
	struct scene scene;
	double cost;
	double took;

	scene_set(&scene, steps, 1, "{'effects':{'bus':{'delivery':'inline'}}}");
	scene_login(&scene);
	cr_assert(metric_wait(scene.server, "tokenfirst_login_blocking_cost_seconds_count", 1, SCENE_WAIT_MS));
	cost = metric_value(scene.server, "tokenfirst_login_blocking_cost_seconds_sum");
	took = metric_value(scene.server, "tokenfirst_login_duration_seconds_sum{outcome=\"ok\"}");
	cr_assert_geq(cost, DELAY_MS / 1e3);
	cr_assert_lt(cost, took + DELAY_MS / 2e3, "cost %g s, took %g s", cost, took);
	scene_clear(&scene);
}

Test(inline_delivery, two_of_them_take_their_turns)
{
	struct peer_step steps[] = {{.delay_ms = DELAY_MS}};
	struct peer *other = peer_start(steps, 1);
	struct scene scene;
	struct api_login login;
	struct peer_request first, second;
	char url[PEER_TEXT];
	char *more = scene_text("{'effects':{'bus':{'delivery':'inline'}, 'crm':{'type':'crm','format':'json',"
				"'on':['user.login'],'delivery':'inline','url':'%s'}}}",
		peer_url(other, "/", url));

	scene_set(&scene, steps, 1, more);
	login = scene_login(&scene);
	cr_assert_geq(login.ms, 2 * DELAY_MS);
	first = peer_request(scene.peer, 0);
	second = peer_request(other, 0);
	cr_assert_geq(second.arrived_us, first.answered_us - 1000, "the second one did not wait for the first");
	scene_clear(&scene);
	peer_stop(other);
	free(more);
}

Test(inline_delivery, failing_it_may_leave_the_rest_to_the_background)
{
	struct peer_step steps[] = {{.status = 503}, {.status = 200}};
	struct scene scene;
	struct api_login login;
	json_t *event;

	scene_set(&scene, steps, 2, "{'effects':{'bus':{'delivery':'inline', 'on_failure':'answer'}}}");
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	event = api_event(scene.server, &login);
	cr_assert_eq(json_array_size(json_object_get(api_event_effect(event, "bus"), "attempts")), 2);
	json_decref(event);
	scene_clear(&scene);
}

static bool revoked(const struct scene *scene)
{
	char *count = scene_query(scene->server, "SELECT COUNT(*) FROM sessions WHERE revoked_ms > 0");
	bool one = strcmp(count, "1") == 0;

	free(count);
	return one;
}

/* A login that is refused by an effect, and what of it can be seen by a later one. */
static void rejection_check(struct peer_step *fault, const char *more, size_t attempts)
{
	struct peer_step good[] = {{.status = 200}};
	struct scene scene;
	struct http_reply reply;
	struct api_login later;
	char value[HTTP_HEADER_MAX];
	json_t *event;

	scene_set(&scene, fault, 1, more);
	api_post(scene.server, "/login", NULL, LOGIN, &reply);
	cr_assert_eq(reply.status, 502, "%d %s", reply.status, reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "code"), "effect_failed");
	cr_assert_null(strstr(reply.body, "token"), "%s", reply.body);
	http_reply_header(&reply, "X-Event-Id", value);
	cr_assert(revoked(&scene), "the session lives on");

	peer_script(scene.peer, good, 1);
	later = scene_login(&scene);
	snprintf(later.event_id, sizeof(later.event_id), "%.40s", value);
	event = api_event(scene.server, &later);
	cr_assert_not_null(event);
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "state"), "dead");
	cr_assert_eq(json_array_size(json_object_get(api_event_effect(event, "bus"), "attempts")), attempts);
	json_decref(event);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_login_duration_seconds_count{outcome=\"rejected\"}"), 1);
	http_reply_release(&reply);
	scene_clear(&scene);
}

Test(inline_delivery, failing_it_may_refuse_the_login)
{
	rejection_check(&(struct peer_step){.status = 500},
		"{'effects':{'bus':{'delivery':'inline', 'on_failure':'reject'}}}", 1);
}

Test(inline_delivery, silence_refuses_the_login_too)
{
	rejection_check(&(struct peer_step){.action = PEER_SILENT},
		"{'effects':{'bus':{'delivery':'inline', 'on_failure':'reject', 'timeout':'200ms'}}}", 1);
}

Test(inline_delivery, a_condemned_effect_refuses_the_login_too)
{
	rejection_check(&(struct peer_step){.status = 422},
		"{'effects':{'bus':{'delivery':'inline', 'on_failure':'reject'}}}", 1);
}

/* An open breaker is an answer at once: nobody waits for a target that is known to be away. */
Test(inline_delivery, an_open_breaker_is_not_waited_for)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login login;

	scene_set(&scene, steps, 1,
		"{'effects':{'bus':{'delivery':'inline', 'timeout':'300ms', "
		"'breaker':{'failures':1,'open_for':'1h'}}}}");
	login = scene_login(&scene);
	cr_assert_geq(login.ms, 300);
	cr_assert(metric_wait(scene.server, BREAKER, 2, SCENE_WAIT_MS));
	login = scene_login(&scene);
	cr_assert_lt(login.ms, 300);
	cr_assert_eq(peer_count(scene.peer), 1);
	scene_clear(&scene);
}

Test(inline_delivery, an_open_breaker_refuses_where_it_may)
{
	struct peer_step steps[] = {{.status = 401}};
	struct scene scene;
	json_t *event;
	struct api_login login;

	scene_set(&scene, steps, 1,
		"{'effects':{'bus':{'delivery':'inline','on_failure':'reject','breaker':{'open_for':'1h'}}}}");
	cr_assert_eq(api_login(scene.server, "alice", SCENE_PASSWORD).status, 502);
	cr_assert(metric_wait(scene.server, BREAKER, 2, SCENE_WAIT_MS));
	login = api_login(scene.server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 502);
	cr_assert_eq(peer_count(scene.peer), 1);
	cr_assert(metric_wait(
		scene.server, "tokenfirst_dead_letters{effect=\"bus\",reason=\"rejected\"}", 2, SCENE_WAIT_MS));
	event = api_event(scene.server, &login);
	cr_assert_null(event);
	scene_clear(&scene);
}
