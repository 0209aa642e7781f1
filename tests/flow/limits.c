/*
 * What is owed has a bound. What happens there, for each kind of delivery: the login succeeds, and the loss is counted.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/scene.h"

#define EFFECT(text) "{'effects':{'bus':{" text "}}}"

TestSuite(limits, .timeout = 60);

static void effect_is(struct scene *scene, const struct api_login *login, const char *state, const char *cause)
{
	json_t *event;

	cr_assert(api_effect_wait(scene->server, login, "bus", state, SCENE_WAIT_MS), "not %s", state);
	event = api_event(scene->server, login);
	cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "cause"), cause);
	json_decref(event);
}

Test(limits, durable_beyond_max_pending_is_a_dead_letter)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login logins[5];

	scene_set(&scene, steps, 1, EFFECT("'max_pending':2, 'timeout':'30s'"));
	for (size_t i = 0; i < 5; i++)
		logins[i] = scene_login(&scene);
	for (size_t i = 0; i < 5; i++)
		effect_is(&scene, &logins[i], i < 2 ? "pending" : "dead", i < 2 ? "" : "backlog_full");
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_created_total{effect=\"bus\"}"), 5);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 2);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"dead\"}"), 3);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_dead_letters{effect=\"bus\",reason=\"backlog_full\"}"), 3);
	cr_assert(peer_wait(scene.peer, 2, SCENE_WAIT_MS));
	cr_assert_eq(peer_count(scene.peer), 2);
	cr_expect_eq(server_log_count(scene.server, "max_pending reached: new effects become dead letters"), 1);
	scene_clear(&scene);
}

/* A receiver that refuses all of them gets one line, not one for each login. */
Test(limits, dead_letters_do_not_flood_the_log)
{
	struct peer_step steps[] = {{.status = 400}};
	struct scene scene;
	struct api_login logins[5];

	scene_set(&scene, steps, 1, NULL);
	for (size_t i = 0; i < 5; i++)
		logins[i] = scene_login(&scene);
	for (size_t i = 0; i < 5; i++)
		effect_is(&scene, &logins[i], "dead", "condemned");
	cr_assert_eq(server_log_count(scene.server, "effect is dead"), 1);
	scene_clear(&scene);
}

/* A place that a delivery gives back is free for the next one. */
Test(limits, settled_effects_make_room)
{
	struct scene scene;

	scene_set(&scene, NULL, 0, EFFECT("'max_pending':1"));
	for (size_t i = 0; i < 5; i++) {
		struct api_login login = scene_login(&scene);

		effect_is(&scene, &login, "delivered", "");
		cr_assert(metric_wait_below(
			scene.server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, SCENE_WAIT_MS));
	}
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"dead\"}"), 0);
	scene_clear(&scene);
}

Test(limits, fire_and_forget_is_dropped_and_counted)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}};
	struct scene scene;
	struct api_login logins[3];

	scene_set(&scene, steps, 1, EFFECT("'delivery':'fire_and_forget', 'max_pending':1, 'timeout':'30s'"));
	for (size_t i = 0; i < 3; i++)
		logins[i] = scene_login(&scene);
	effect_is(&scene, &logins[0], "pending", "");
	effect_is(&scene, &logins[1], "dropped", "");
	effect_is(&scene, &logins[2], "dropped", "");
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"dropped\"}"), 2);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 1);
	cr_expect_eq(server_log_count(scene.server, "new effects are dropped"), 1);
	scene_clear(&scene);
}

Test(limits, fire_and_forget_may_spill_to_the_outbox)
{
	struct peer_step steps[] = {{.action = PEER_SILENT}, {.action = PEER_SILENT}, {.status = 200}};
	struct scene scene;
	struct api_login logins[3];
	char key[PEER_TEXT];
	char *rows;

	scene_set(&scene, steps, 3,
		EFFECT("'delivery':'fire_and_forget', 'on_full':'spill', 'max_pending':1, 'timeout':'1s'"));
	for (size_t i = 0; i < 3; i++)
		logins[i] = scene_login(&scene);
	effect_is(&scene, &logins[2], "dropped", ""); /* the outbox has a bound, too */
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_spilled_total{effect=\"bus\"}"), 1);
	effect_is(&scene, &logins[0], "delivered", "");
	effect_is(&scene, &logins[1], "delivered", "");
	cr_assert_eq(scene_key_count(scene.peer, scene_key(&logins[1], "bus", key)), 2);
	rows = scene_query(scene.server, "SELECT COUNT(*) FROM effects");
	cr_assert_str_eq(rows, "1");
	free(rows);
	scene_clear(&scene);
}

/* Nothing of a fire-and-forget effect is on disk but its name; after a restart nobody can say what became of it. */
Test(limits, fire_and_forget_is_unknown_after_a_crash)
{
	struct scene scene;
	struct api_login login;

	scene_set(&scene, NULL, 0, EFFECT("'delivery':'fire_and_forget'"));
	login = scene_login(&scene);
	effect_is(&scene, &login, "delivered", "");
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	effect_is(&scene, &login, "unknown", "");
	scene_clear(&scene);
}
