/*
 * The audit trail of a running server: every kind of change is in it, no secret is, and nothing in it can spoil what
 * shows it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"

static struct scene scene;
static struct api_login root;

static void setup(void)
{
	scene_set(&scene, (struct peer_step[]){{.status = 422}}, 1, NULL);
	server_add_user(scene.server, "root", NULL, SCENE_PASSWORD, true);
	root = api_login(scene.server, "root", SCENE_PASSWORD);
	cr_assert_eq(root.status, 200);
}

static void teardown(void)
{
	scene_clear(&scene);
}

TestSuite(audit_trail, .init = setup, .fini = teardown, .timeout = 60);

/* GET /admin/audit with this query: the rows, to be json_decref'ed; `ret_next` NULL: nobody wants it. */
static json_t *rows(const char *query, char ret_next[64])
{
	char path[512];
	struct http_reply reply;
	json_t *found;

	(void)snprintf(path, sizeof(path), "/admin/audit?%s", query);
	api_get(scene.server, path, root.authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s: %s", query, reply.body);
	found = json_incref(http_reply_member(&reply, "rows"));
	if (ret_next)
		(void)snprintf(ret_next, 64, "%s", http_reply_text(&reply, "next"));
	http_reply_release(&reply);
	return found;
}

static size_t count(const char *query)
{
	json_t *found = rows(query, NULL);
	size_t size = json_array_size(found);

	json_decref(found);
	return size;
}

static int status_of(const char *query)
{
	char path[512];
	struct http_reply reply;

	(void)snprintf(path, sizeof(path), "/admin/audit?%s", query);
	api_get(scene.server, path, root.authorization, &reply);
	http_reply_release(&reply);
	return reply.status;
}

static char *command(int code, const char *const *words)
{
	char *out = NULL;

	cr_assert_eq(server_command(scene.server, words, NULL, &out), code, "%s %s", words[0], words[1]);
	return out ? out : strdup("");
}

Test(audit_trail, found_by_user_type_time_client_and_request)
{
	char query[128];
	json_t *found;

	(void)scene_login(&scene);
	cr_assert_eq(count("user=alice"), 2, "added and logged in");
	found = rows("user=alice&type=user.login", NULL);
	cr_assert_eq(json_array_size(found), 1);
	cr_assert_str_eq(scene_member(json_array_get(found, 0), "actor"), "user");
	cr_assert_str_eq(scene_member(json_array_get(found, 0), "client"), "127.0.0.1");
	cr_assert_str_eq(scene_member(json_object_get(json_array_get(found, 0), "user"), "username"), "alice");
	(void)snprintf(query, sizeof(query), "request_id=%s", scene_member(json_array_get(found, 0), "request_id"));
	cr_assert_eq(count(query), 1);
	(void)snprintf(
		query, sizeof(query), "user=%s", scene_member(json_object_get(json_array_get(found, 0), "user"), "id"));
	cr_assert_eq(count(query), 2);
	json_decref(found);
	cr_assert_eq(count("type=user.*&since=1h&client=127.0.0.1"), 2);
	cr_assert_eq(count("type=user.*&until=1h"), 0);
	cr_assert_eq(count("type=user"), 0);
	cr_assert_eq(status_of("user=nobody"), 404);
	cr_assert_eq(status_of("since=yesterday"), 400);
	cr_assert_eq(status_of("before=1"), 400);
	cr_assert_eq(status_of("limit=0"), 400);
}

Test(audit_trail, paged_without_gap_or_repeat_while_it_grows)
{
	char next[64] = "", query[128];
	int64_t last = INT64_MAX;
	size_t seen = 0;

	for (int i = 0; i < 20; i++)
		(void)scene_login(&scene);
	do {
		json_t *found, *row;
		size_t i;
		(void)snprintf(query, sizeof(query), "user=alice&limit=3%s%s", next[0] ? "&before=" : "", next);
		found = rows(query, next);
		json_array_foreach(found, i, row)
		{
			cr_assert_lt(json_integer_value(json_object_get(row, "id")), last);
			last = json_integer_value(json_object_get(row, "id"));
			seen++;
		}
		json_decref(found);
		(void)scene_login(&scene);
	} while (next[0]);
	cr_assert_eq(seen, 21, "what was there at the first page, and that once");
}

Test(audit_trail, what_is_done_to_effects_names_who_did_it)
{
	static const char *const both[] = {"admin:root", "command"};
	struct api_login login = scene_login(&scene);
	struct http_reply reply;

	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	api_post(scene.server, "/admin/effects/replay", root.authorization, "{\"all\":true,\"dry_run\":true}", &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);
	cr_assert_eq(count("type=effects.*"), 0, "a look is no change");
	api_post(scene.server, "/admin/effects/replay", root.authorization, "{\"all\":true}", &reply);
	http_reply_release(&reply);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	api_post(scene.server, "/admin/effects/discard", root.authorization, "{\"all\":true}", &reply);
	http_reply_release(&reply);
	api_post(scene.server, "/admin/targets/bus/pause?reason=later", root.authorization, "", &reply);
	http_reply_release(&reply);
	api_post(scene.server, "/admin/targets/bus/resume", root.authorization, "", &reply);
	http_reply_release(&reply);
	free(command(0, (const char *[]){"effects", "replay", "--all", NULL}));
	free(command(0, (const char *[]){"effects", "discard", "--all", NULL}));
	free(command(0, (const char *[]){"effects", "pause", "bus", NULL}));
	free(command(0, (const char *[]){"effects", "resume", "bus", NULL}));
	for (size_t i = 0; i < 2; i++) {
		char sql[256];
		char *types;
		(void)snprintf(sql, sizeof(sql),
			"SELECT group_concat(type) FROM (SELECT type FROM audit WHERE type LIKE 'effects.%%' AND actor "
			"= "
			"'%s' ORDER BY id)",
			both[i]);
		types = scene_query(scene.server, sql);
		cr_expect_str_eq(types, "effects.replayed,effects.discarded,effects.paused,effects.resumed", "%s: %s",
			both[i], types);
		free(types);
	}
}

/* The tables of the trail as one text. */
static char *whole_trail(void)
{
	return scene_query(scene.server, "SELECT group_concat(type || ' ' || actor || ' ' || client || ' ' || "
					 "request_id || ' ' || detail) FROM audit");
}

Test(audit_trail, holds_no_secret)
{
	struct api_login login = scene_login(&scene);
	char *trail;

	(void)api_login(scene.server, "alice", "a wrong password of alice's");
	free(command(0, (const char *[]){"user", "require-reset", "alice", NULL}));
	trail = whole_trail();
	cr_assert_null(strstr(trail, "battery"), "%s", trail);
	cr_assert_null(strstr(trail, "wrong password"), "%s", trail);
	cr_assert_null(strstr(trail, "argon2"), "%s", trail);
	cr_assert_null(strstr(trail, login.access_token));
	cr_assert_null(strstr(trail, login.refresh_token));
	cr_assert_null(strstr(trail, "alice@"), "%s", trail);
	cr_assert_null(strstr(trail, "hash"), "%s", trail);
	free(trail);
}

/* A table's line has no byte that a terminal acts upon but its own end. */
static void check_plain(const char *out)
{
	for (const char *c = out; *c; c++)
		cr_assert((*c >= 0x20 && *c < 0x7f) || *c == '\n', "byte %02x: %s", (unsigned char)*c, out);
}

Test(audit_trail, strange_words_stay_harmless)
{
	const char *const headers[] = {"User-Agent: agent \"quoted\" back\\slash \xe2\x80\xae"
				       "desrever \xff",
		NULL};
	struct http_reply reply;
	char url[SERVER_URL];
	char *out;
	json_t *found;
	size_t lines = 0;

	http_do(&(struct http_call){.url = server_url(scene.server, "/login", url),
			.headers = headers,
			.body = "{\"username\":\"alice\",\"password\":\"" SCENE_PASSWORD "\"}"},
		&reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);

	out = command(0, (const char *[]){"audit", "--user", "alice", "--type", "user.login", NULL});
	check_plain(out);
	for (const char *c = out; *c; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 2, "a head and a row: %s", out);
	cr_assert_not_null(strstr(out, "\\u202E"), "%s", out);
	free(out);
	out = command(0, (const char *[]){"audit", "--type", "user.login", "--user", "alice", "--json", NULL});
	found = json_loads(out, 0, NULL);
	cr_assert_eq(json_array_size(found), 1, "%s", out);
	cr_assert_not_null(strstr(scene_member(json_object_get(json_array_get(found, 0), "detail"), "user_agent"),
		"\"quoted\" back\\slash \xe2\x80\xae"
		"desrever"));
	json_decref(found);
	free(out);
	found = rows("user=alice&type=user.login", NULL);
	cr_assert_not_null(strstr(
		scene_member(json_object_get(json_array_get(found, 0), "detail"), "user_agent"), "\xe2\x80\xae"));
	json_decref(found);
}

Test(audit_trail, read_from_the_command_line_with_and_without_a_server)
{
	char *out = command(0, (const char *[]){"audit", "--limit", "1", NULL});

	cr_assert_not_null(strstr(out, "user.login"), "%s", out);
	free(out);
	cr_assert_eq(server_stop(scene.server), 0);
	out = command(0, (const char *[]){"audit", "--user", "alice", "--since", "1h", "--json", NULL});
	cr_assert_not_null(strstr(out, "\"type\":\"user.created\""), "%s", out);
	free(out);
	free(command(1, (const char *[]){"audit", "--user", "nobody", NULL}));
	free(command(2, (const char *[]){"audit", "--since", "yesterday", NULL}));
	free(command(2, (const char *[]){"audit", "--limit", "0", NULL}));
}

Test(audit_trail, an_overview_shows_what_there_is)
{
	struct http_reply reply;

	(void)scene_login(&scene);
	free(command(0, (const char *[]){"user", "disable", "alice", NULL}));
	api_get(scene.server, "/admin/overview", root.authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "users.total")), 2);
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "users.disabled")), 1);
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "users.locked")), 0);
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "sessions.live")), 1);
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "logins.last_24h")), 2);
	cr_expect_str_eq(scene_member(json_array_get(http_reply_member(&reply, "targets"), 0), "name"), "bus");
	cr_expect_str_eq(scene_member(json_array_get(http_reply_member(&reply, "keys"), 0), "alg"), "EdDSA");
	cr_expect(json_is_true(http_reply_member(&reply, "store.healthy")));
	cr_expect_eq(json_integer_value(http_reply_member(&reply, "store.schema")), 3);
	http_reply_release(&reply);
}
