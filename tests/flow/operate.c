/* What operators do to effects, by command line and by /admin: list, show, replay, discard, pause, resume. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/ops/control.h"
#include "tests/support/scene.h"

enum { LOGINS = 5 };

#define FIFTY	 "01234567890123456789012345678901234567890123456789"
#define TOO_LONG FIFTY FIFTY FIFTY FIFTY

TestSuite(operate, .timeout = 90);

/* A command that has to work; its output as JSON if it is that. */
static json_t *command(struct scene *scene, const char *const *words)
{
	char *out = NULL;
	int code = server_command(scene->server, words, NULL, &out);
	json_t *json = out ? json_loads(out, 0, NULL) : NULL;

	cr_assert_eq(code, 0, "%s %s: %d: %s", words[0], words[1], code, out ? out : "");
	free(out);
	return json;
}

static size_t listed(struct scene *scene, const char *state)
{
	json_t *list = command(scene, (const char *[]){"effects", "list", "--state", state, "--json", NULL});
	size_t count;

	cr_assert(json_is_array(list));
	count = json_array_size(list);
	json_decref(list);
	return count;
}

static void all_dead(struct scene *scene, struct api_login logins[LOGINS])
{
	for (size_t i = 0; i < LOGINS; i++)
		logins[i] = scene_login(scene);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene->server, &logins[i], "bus", "dead", SCENE_WAIT_MS));
}

static double dead_letters(struct scene *scene)
{
	return metric_value(scene->server, "tokenfirst_dead_letters{effect=\"bus\",reason=\"condemned\"}");
}

Test(operate, dead_letters_are_listed_shown_and_replayed_under_the_same_key)
{
	static const struct peer_step refuse[] = {{.status = 422, .body = "{\"why\":\"no such field\"}"}};
	static const struct peer_step accept[] = {{.status = 200}};
	struct api_login logins[LOGINS];
	char key[PEER_TEXT];
	struct scene scene;
	json_t *json;

	scene_set(&scene, refuse, 1, NULL);
	all_dead(&scene, logins);
	cr_assert_eq(listed(&scene, "dead"), LOGINS);
	cr_assert_eq(dead_letters(&scene), LOGINS);

	scene_key(&logins[0], "bus", key);
	json = command(&scene, (const char *[]){"effects", "show", key, "--json", NULL});
	cr_assert_eq(json_array_size(json), 1);
	cr_assert_str_eq(scene_member(json_array_get(json, 0), "id"), key);
	cr_assert_str_eq(scene_member(json_array_get(json, 0), "reply"), "{\"why\":\"no such field\"}");
	cr_assert_eq(json_array_size(json_object_get(json_array_get(json, 0), "attempt_log")), 1);
	json_decref(json);

	json = command(&scene, (const char *[]){"effects", "replay", "--effect", "bus", "--dry-run", "--json", NULL});
	cr_assert_eq(json_integer_value(json_object_get(json, "rows")), LOGINS);
	json_decref(json);
	cr_assert_eq(listed(&scene, "dead"), LOGINS, "a dry run changes nothing");

	peer_script(scene.peer, accept, 1);
	json = command(&scene, (const char *[]){"effects", "replay", key, "--json", NULL});
	cr_assert_eq(json_integer_value(json_object_get(json, "rows")), 1);
	json_decref(json);
	cr_assert(api_effect_wait(scene.server, &logins[0], "bus", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(scene_key_count(scene.peer, key), 2, "both times under its own key");

	json_decref(command(&scene, (const char *[]){"effects", "replay", "--effect", "bus", "--json", NULL}));
	for (size_t i = 1; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(listed(&scene, "dead"), 0);
	cr_assert_eq(dead_letters(&scene), 0);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 0);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_replayed_total{effect=\"bus\"}"), LOGINS);
	scene_clear(&scene);
}

Test(operate, a_replay_without_a_server_is_delivered_by_the_next_one)
{
	static const struct peer_step refuse[] = {{.status = 422}};
	static const struct peer_step accept[] = {{.status = 200}};
	struct api_login logins[LOGINS];
	struct scene scene;

	scene_set(&scene, refuse, 1, NULL);
	all_dead(&scene, logins);
	cr_assert_eq(server_stop(scene.server), 0);
	json_decref(command(&scene, (const char *[]){"effects", "replay", "--all", "--json", NULL}));
	cr_assert_eq(listed(&scene, "pending"), LOGINS);
	peer_script(scene.peer, accept, 1);
	server_restart(scene.server, NULL);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

Test(operate, what_is_discarded_is_never_sent)
{
	static const struct peer_step refuse[] = {{.status = 422}};
	struct api_login logins[LOGINS], waiting;
	struct scene scene;
	json_t *json;

	scene_set(&scene, refuse, 1, NULL);
	all_dead(&scene, logins);
	json = command(&scene, (const char *[]){"effects", "discard", "--cause", "condemned", "--json", NULL});
	cr_assert_eq(json_integer_value(json_object_get(json, "rows")), LOGINS);
	json_decref(json);
	cr_assert_eq(listed(&scene, "discarded"), LOGINS);
	cr_assert_eq(dead_letters(&scene), 0);

	/* one that waits, too: held back, given up, let go */
	(void)command(&scene, (const char *[]){"effects", "pause", "bus", NULL});
	size_t sent = peer_count(scene.peer);
	waiting = scene_login(&scene);
	json = command(&scene,
		(const char *[]){"effects", "discard", "--effect", "bus", "--state", "pending", "--json", NULL});
	cr_assert_eq(json_integer_value(json_object_get(json, "rows")), 1);
	json_decref(json);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 0);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"discarded\"}"), 1,
		"those that were dead have been counted as that");
	(void)command(&scene, (const char *[]){"effects", "resume", "bus", NULL});
	struct api_login next = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &next, "bus", "dead", SCENE_WAIT_MS));
	cr_assert_eq(peer_count(scene.peer), sent + 1);
	cr_assert(api_effect_wait(scene.server, &waiting, "bus", "discarded", SCENE_WAIT_MS));
	scene_clear(&scene);
}

Test(operate, a_pause_outlives_a_restart)
{
	struct api_login login;
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	(void)command(&scene, (const char *[]){"effects", "pause", "bus", "--reason", "they move house", NULL});
	cr_assert(metric_wait(scene.server, "tokenfirst_target_paused{effect=\"bus\"}", 1, SCENE_WAIT_MS));
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	login = scene_login(&scene);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_target_paused{effect=\"bus\"}"), 1);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), 1);
	cr_assert_eq(peer_count(scene.peer), 0);
	(void)command(&scene, (const char *[]){"effects", "resume", "bus", NULL});
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

Test(operate, a_target_that_is_gone_is_resumed_by_command)
{
	static const struct peer_step gone[] = {{.status = 410}};
	static const struct peer_step accept[] = {{.status = 200}};
	struct api_login login;
	struct scene scene;

	scene_set(&scene, gone, 1, NULL);
	login = scene_login(&scene);
	cr_assert(metric_wait(scene.server, "tokenfirst_target_paused{effect=\"bus\"}", 1, SCENE_WAIT_MS));
	cr_assert_eq(server_stop(scene.server), 0);
	peer_script(scene.peer, accept, 1);
	server_restart(scene.server, NULL);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_target_paused{effect=\"bus\"}"), 1, "over a restart, too");
	(void)command(&scene, (const char *[]){"effects", "resume", "bus", NULL});
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	scene_clear(&scene);
}

/* An administrator's Authorization header. */
static struct api_login admin_login(struct scene *scene)
{
	server_add_user(scene->server, "root", NULL, "correct horse battery", true);
	struct api_login admin = api_login(scene->server, "root", "correct horse battery");
	cr_assert_eq(admin.status, 200);
	return admin;
}

/* The first of a list, which is released. */
static bool first_says(json_t *list, const char *member, const char *text)
{
	const bool same = strcmp(scene_member(json_array_get(list, 0), member), text) == 0;

	json_decref(list);
	return same;
}

Test(operate, what_waits_says_for_what_it_waits)
{
	static const char paused[] = "the target takes no effects now: it is paused";
	static const char *const targets[] = {"effects", "targets", "--json", NULL};
	static const char *const list[] = {"effects", "list", "--state", "pending", "--json", NULL};
	struct http_reply reply;
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	/* the command that added alice has its reply before its line is written */
	cr_assert(server_log_wait(scene.server, "command done", 1, SCENE_WAIT_MS));
	cr_assert(first_says(command(&scene, targets), "waits_for", ""), "it is null");
	(void)command(&scene, (const char *[]){"effects", "pause", "bus", "--reason", "they move house", NULL});
	cr_assert(metric_wait(scene.server, "tokenfirst_target_paused{effect=\"bus\"}", 1, SCENE_WAIT_MS));
	(void)scene_login(&scene);
	cr_assert(first_says(command(&scene, targets), "waits_for", paused));
	cr_assert(first_says(command(&scene, targets), "pause_reason", "they move house"));
	cr_assert(first_says(command(&scene, list), "waits_for", paused));
	cr_assert(first_says(command(&scene, list), "next_attempt", ""), "nobody can tell");

	struct api_login admin = admin_login(&scene);
	api_get(scene.server, "/admin/effects?state=pending", admin.authorization, &reply);
	cr_assert(first_says(json_incref(http_reply_member(&reply, "effects")), "waits_for", paused));
	http_reply_release(&reply);
	cr_assert(server_log_wait(scene.server, "command done", 2, SCENE_WAIT_MS), "root was added");
	cr_assert_eq(server_log_count(scene.server, "target paused by an operator"), 1);
	cr_assert_eq(server_log_count(scene.server, "command done"), 2, "one line for one change");

	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(server_command(scene.server, targets, NULL, NULL), 1, "nobody knows");
	cr_assert(first_says(command(&scene, list), "state", "pending"), "the store does");
	server_restart(scene.server, NULL);
	json_t *line = server_log_line(scene.server, "listening");
	cr_assert_eq(json_integer_value(json_object_get(line, "owed")), 2);
	json_decref(line);
	(void)command(&scene, (const char *[]){"effects", "resume", "bus", NULL});
	scene_clear(&scene);
}

/* A mistyped path would otherwise be a new store, with nothing in it and nothing to complain of. */
Test(operate, a_store_that_is_not_there_is_not_made)
{
	static const char *const cases[][7] = {
		{"effects", "replay", "--all", "--set", "store=sqlite:typo.db", NULL},
		{"effects", "discard", "--all", "--set", "store=sqlite:typo.db", NULL},
		{"effects", "pause", "bus", "--set", "store=sqlite:typo.db", NULL},
		{"effects", "list", "--set", "store=sqlite:typo.db", NULL},
	};
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(server_command(scene.server, cases[i], NULL, NULL), 1, "%s", cases[i][1]);
	scene_clear(&scene);
}

Test(operate, bad_usage_says_what_to_do)
{
	static const char *const cases[][6] = {
		{"effects", "replay", NULL},
		{"effects", "replay", "nonsense", NULL},
		{"effects", "list", "--state", "gone", NULL},
		{"effects", "list", "--limit", "0", NULL},
		{"effects", "list", "--since", "yesterday", NULL},
		{"effects", "discard", "--state", "delivered", "--all", NULL},
		{"effects", "pause", NULL},
		{"effects", "pause", "bus", "--reason", "a\nb", NULL},
		{"effects", "pause", "bus", "--reason", "\xff", NULL},
		{"effects", "pause", "bus", "--reason", TOO_LONG, NULL},
		{"effects", "list", "--effect", "\xff", NULL},
		{"effects", "replay", "\xff", NULL},
	};
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(server_command(scene.server, cases[i], NULL, NULL), 2, "%s %s %s", cases[i][0],
			cases[i][1], cases[i][2] ? cases[i][2] : "");
	cr_assert_eq(server_command(scene.server, (const char *[]){"effects", "pause", "buss", NULL}, NULL, NULL), 1);
	cr_assert_eq(server_command(scene.server,
			     (const char *[]){"effects", "show", "01M7YKH936AQPDDQGDY2GCSVZG-bus", NULL}, NULL, NULL),
		1);
	scene_clear(&scene);
}

Test(operate, admins_do_the_same_by_http)
{
	static const struct peer_step refuse[] = {{.status = 422}};
	static const struct peer_step accept[] = {{.status = 200}};
	struct api_login logins[LOGINS], admin;
	struct http_reply reply;
	struct scene scene;

	scene_set(&scene, refuse, 1, NULL);
	all_dead(&scene, logins);
	admin = admin_login(&scene);
	cr_assert_eq(admin.status, 200);

	api_get(scene.server, "/admin/effects?state=dead&limit=2", admin.authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_assert_eq(json_array_size(http_reply_member(&reply, "effects")), 2);
	json_int_t next = json_integer_value(http_reply_member(&reply, "next"));
	cr_assert_gt(next, 0);
	http_reply_release(&reply);
	char path[128];
	(void)snprintf(path, sizeof(path), "/admin/effects?state=dead&before=%lld", (long long)next);
	api_get(scene.server, path, admin.authorization, &reply);
	cr_assert_geq(json_array_size(http_reply_member(&reply, "effects")), LOGINS - 2);
	http_reply_release(&reply);

	(void)snprintf(path, sizeof(path), "/admin/effects/%s-bus", logins[0].event_id);
	api_get(scene.server, path, admin.authorization, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_str_eq(http_reply_text(&reply, "cause"), "condemned");
	http_reply_release(&reply);

	peer_script(scene.peer, accept, 1);
	api_post(scene.server, "/admin/effects/replay", admin.authorization, "{\"effect\":\"bus\"}", &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_assert_geq(json_integer_value(http_reply_member(&reply, "rows")), LOGINS);
	http_reply_release(&reply);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", SCENE_WAIT_MS));

	api_post(scene.server, "/admin/effects/replay", admin.authorization, "{}", &reply);
	cr_assert_eq(reply.status, 400, "everything has to be asked for by name");
	http_reply_release(&reply);
	scene_clear(&scene);
}

Test(operate, a_change_that_is_not_quite_understood_is_not_made)
{
	static const struct peer_step refuse[] = {{.status = 422}};
	static const char *const bodies[] = {
		"{\"effect\":\"bus\",\"dry_run\":1}",
		"{\"effect\":\"bus\",\"dry_run\":\"true\"}",
		"{\"all\":\"true\"}",
		"{\"all\":1}",
		"{\"effect\":\"bus\",\"dryrun\":true}",
		"{\"effect\":\"bus\",\"state\":\"all\"}",
		"{\"effect\":\"bus\",\"state\":\"delivered\"}",
		"{\"effect\":7}",
		"{\"ids\":[]}",
		"{\"ids\":[7]}",
		"{\"since\":\"yesterday\"}",
		"[]",
	};
	struct http_reply reply;
	struct scene scene;

	scene_set(&scene, refuse, 1, NULL);
	struct api_login login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	struct api_login admin = admin_login(&scene);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		api_post(scene.server, "/admin/effects/discard", admin.authorization, bodies[i], &reply);
		cr_assert_eq(reply.status, 400, "%s: %d %s", bodies[i], reply.status, reply.body);
		http_reply_release(&reply);
	}
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", 1000));
	scene_clear(&scene);
}

Test(operate, admins_see_and_hold_targets)
{
	struct http_call call = {.method = "POST"};
	struct http_reply reply;
	struct scene scene;
	char url[SERVER_URL];

	scene_set(&scene, NULL, 0, NULL);
	struct api_login admin = admin_login(&scene);
	const char *const headers[] = {admin.authorization, NULL};
	call.headers = headers;
	call.url = server_url(scene.server, "/admin/targets/bus/pause?reason=they+move", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);
	cr_assert(metric_wait(scene.server, "tokenfirst_target_paused{effect=\"bus\"}", 1, SCENE_WAIT_MS));
	api_get(scene.server, "/admin/targets", admin.authorization, &reply);
	cr_assert_eq(reply.status, 200);
	const json_t *target = json_array_get(http_reply_member(&reply, "targets"), 0);
	cr_assert_str_eq(scene_member(target, "name"), "bus");
	cr_assert(json_is_true(json_object_get(target, "paused")));
	http_reply_release(&reply);
	call.url = server_url(scene.server, "/admin/targets/bus/resume", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	call.url = server_url(scene.server, "/admin/targets/nothing/resume", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 404);
	http_reply_release(&reply);
	scene_clear(&scene);
}

Test(operate, admin_routes_are_for_admins)
{
	static const char *const paths[] = {"/admin/effects", "/admin/targets", "/admin/effects/x"};
	struct http_reply reply;
	struct scene scene;
	struct api_login alice;

	scene_set(&scene, NULL, 0, NULL);
	alice = scene_login(&scene);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		api_get(scene.server, paths[i], NULL, &reply);
		cr_assert_eq(reply.status, 401, "%s", paths[i]);
		http_reply_release(&reply);
		api_get(scene.server, paths[i], alice.authorization, &reply);
		cr_assert_eq(reply.status, 403, "%s", paths[i]);
		http_reply_release(&reply);
	}
	api_post(scene.server, "/admin/effects/replay", alice.authorization, "{\"all\":true}", &reply);
	cr_assert_eq(reply.status, 403);
	http_reply_release(&reply);
	scene_clear(&scene);
}

Test(operate, what_is_settled_for_long_enough_is_cleaned_away)
{
	static const struct peer_step once[] = {{.status = 422}, {.status = 200}};
	static const char *const shorter[] = {"retention.dead=1s", NULL};
	struct api_login dead, delivered, newest;
	struct scene scene;

	scene_set(&scene, once, 2, "{'retention':{'delivered':'1s'}}");
	dead = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &dead, "bus", "dead", SCENE_WAIT_MS));
	delivered = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &delivered, "bus", "delivered", SCENE_WAIT_MS));
	newest = scene_login(&scene); /* which stays, so that no id is given twice */
	cr_assert(api_effect_wait(scene.server, &newest, "bus", "delivered", SCENE_WAIT_MS));
	cr_assert(metric_wait(scene.server, "tokenfirst_retention_removed_total", 1, SCENE_WAIT_MS));
	cr_assert_eq(dead_letters(&scene), 1, "kept for longer");
	cr_assert_eq(server_stop(scene.server), 0);
	server_restart(scene.server, &(struct server_options){.config = scene.config, .settings = shorter});
	cr_assert(metric_wait_below(
		scene.server, "tokenfirst_dead_letters{effect=\"bus\",reason=\"condemned\"}", 0, SCENE_WAIT_MS));
	char *rows = scene_query(
		scene.server, "SELECT (SELECT count(*) FROM effects) || ' ' || (SELECT count(*) FROM events)");
	cr_assert_str_eq(rows, "1 1");
	free(rows);
	scene_clear(&scene);
}

/* The command line checks what it sends; the server does not rely on that. */
Test(operate, the_socket_takes_no_state_that_can_not_be_changed)
{
	static const struct {
		const char *command, *state;
	} cases[] = {
		{"effects.replay", "pending"},
		{"effects.replay", "all"},
		{"effects.discard", "delivered"},
		{"effects.discard", "all"},
	};
	char path[SERVER_URL];
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	(void)snprintf(path, sizeof(path), "%s/tokenfirst.db.sock", server_folder(scene.server));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *arguments = json_pack("{s:s, s:s}", "effect", "bus", "state", cases[i].state), *reply = NULL;
		int result = 0;

		cr_assert_eq(control_send(path, cases[i].command, arguments, &result, &reply), 0);
		cr_assert_eq(result, ERR_INVALID, "%s %s", cases[i].command, cases[i].state);
		json_decref(arguments);
	}
	cr_assert(server_running(scene.server));
	scene_clear(&scene);
}
