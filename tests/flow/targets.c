/* Several targets of one effect, and several recipients of one mail, as those see them who look at an event. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"

TestSuite(targets, .timeout = 60);

static struct scene scene;

/* "bus" goes to a peer that refuses our key, to another that is well, and the mail to nobody. */
static void begin(struct peer *well)
{
	static const struct peer_step refused[] = {{.status = 401}};
	char url[PEER_TEXT], other[PEER_TEXT];

	scene = (struct scene){.peer = peer_start(refused, 1)};
	scene.config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'}, 'effects':{"
		"'hooks':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable','breaker':{'open_for':'"
		"1h'},"
		" 'urls':[{'name':'desk','url':'%s'},{'name':'shop','url':'%s'}]},"
		"'mail':{'type':'email','on':['user.login'],'delivery':'fire_and_forget','from':'auth@example.com',"
		" 'url':'smtp://127.0.0.1:%d','to':['one@example.com','two@example.com']}}}",
		peer_url(scene.peer, "/desk", url), peer_url(well, "/shop", other), closed_port());
	scene.server = scene_server(scene.config, NULL);
	server_add_user(scene.server, "root", "root@example.com", SCENE_PASSWORD, true);
}

/* The effect with this id behind the event's. */
static const json_t *effect_of(const json_t *event, const char *key)
{
	const json_t *effects = json_object_get(event, "effects");

	for (size_t i = 0; i < json_array_size(effects); i++)
		if (strcmp(scene_member(json_array_get(effects, i), "id") + strlen(scene_member(event, "event_id")) + 1,
			    key) == 0)
			return json_array_get(effects, i);
	return NULL;
}

Test(targets, each_has_its_own_fate)
{
	struct peer *well = peer_start(NULL, 0);
	json_t *event;

	begin(well);
	struct api_login login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "hooks.shop", "delivered", SCENE_WAIT_MS));
	cr_assert(metric_wait(
		scene.server, "tokenfirst_breaker_state{effect=\"hooks\",target=\"desk\"}", 2, SCENE_WAIT_MS));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_breaker_state{effect=\"hooks\",target=\"shop\"}"), 0);
	harness_sleep_ms(200); /* that the breaker is open is known a little before the outcome is written */
	event = api_event(scene.server, &login);
	const json_t *desk = effect_of(event, "hooks.desk"), *shop = effect_of(event, "hooks.shop");
	cr_assert_str_eq(scene_member(desk, "effect"), "hooks");
	cr_assert_str_eq(scene_member(desk, "target"), "desk");
	cr_assert_str_eq(scene_member(desk, "state"), "pending");
	cr_assert_not_null(strstr(scene_member(desk, "waits_for"), "breaker"));
	cr_assert_not_null(strstr(scene_member(desk, "reason"), "401"));
	cr_assert_neq(scene_member(desk, "next_attempt")[0], '\0');
	cr_assert_str_eq(scene_member(shop, "state"), "delivered");
	cr_assert(json_is_null(json_object_get(shop, "next_attempt")));
	json_decref(event);
	scene_clear(&scene);
	peer_stop(well);
}

/* Who else gets a mail is the operator's business. */
Test(targets, recipients_are_told_to_admins)
{
	struct peer *well = peer_start(NULL, 0);
	struct api_login login, admin;
	json_t *event;

	begin(well);
	login = scene_login(&scene);
	admin = api_login(scene.server, "root", SCENE_PASSWORD);
	memcpy(admin.event_id, login.event_id, sizeof(admin.event_id));
	event = api_event(scene.server, &login);
	cr_assert_not_null(effect_of(event, "mail-1"));
	cr_assert_eq(json_integer_value(json_object_get(effect_of(event, "mail-2"), "part")), 2);
	cr_assert_null(json_object_get(effect_of(event, "mail-2"), "recipient"));
	json_decref(event);

	/* a stop writes them down, each with whom it is for */
	cr_assert_eq(server_stop(scene.server), 0);
	server_restart(scene.server, NULL);
	event = api_event(scene.server, &admin);
	cr_assert_not_null(event);
	cr_assert_str_eq(scene_member(effect_of(event, "mail-1"), "recipient"), "one@example.com");
	cr_assert_str_eq(scene_member(effect_of(event, "mail-2"), "recipient"), "two@example.com");
	json_decref(event);
	event = api_event(scene.server, &login);
	cr_assert_null(json_object_get(effect_of(event, "mail-2"), "recipient"));
	json_decref(event);
	scene_clear(&scene);
	peer_stop(well);
}
