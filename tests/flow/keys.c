/*
 * Signing keys change hands while the server runs: a new key is published first and signs later, no token is refused on
 * the way, and what has retired goes by itself.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/jws.h"
#include "tests/support/scene.h"

/* Long enough to look before it is over, also on a busy machine. */
static const char *const lead[] = {"token.key_lead=3s", NULL};

TestSuite(keys, .timeout = 90);

static int64_t wall_ms(void)
{
	clock_start();
	return clock_wall_ms();
}

static json_t *jwks_get(const struct server *server)
{
	struct http_reply reply;
	json_t *jwks;

	api_get(server, "/.well-known/jwks.json", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	jwks = json_incref(reply.json);
	http_reply_release(&reply);
	return jwks;
}

static size_t published(const struct server *server)
{
	json_t *jwks = jwks_get(server);
	size_t count = json_array_size(json_object_get(jwks, "keys"));

	json_decref(jwks);
	return count;
}

/* The id of the key that a login's token is signed with. Free it. */
static char *kid_of(const struct api_login *login)
{
	json_t *header = jws_part(login->access_token, 0);
	char *kid = strdup(scene_member(header, "kid"));

	json_decref(header);
	return kid;
}

static bool signs(const struct server *server, const char *kid)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	bool same;
	char *its;

	cr_assert_eq(login.status, 200);
	its = kid_of(&login);
	same = strcmp(its, kid) == 0;
	free(its);
	return same;
}

static void expect_good(const struct server *server, const struct api_login *login)
{
	struct http_reply reply;
	json_t *jwks = jwks_get(server);

	cr_expect(jws_verifies(login->access_token, jwks));
	api_get(server, "/me", login->authorization, &reply);
	cr_expect_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);
	json_decref(jwks);
}

/* The id of the new key, to be freed; NULL: the command failed. */
static char *rotate(struct server *server, bool now)
{
	const char *const words[] = {"keys", "rotate", "--set", lead[0], now ? "--now" : NULL, NULL};
	char *out = NULL;

	if (server_command(server, words, NULL, &out) != 0) {
		free(out);
		return NULL;
	}
	out[strcspn(out, "\n")] = '\0';
	return out;
}

/* What `keys list` says of a key. Free it. */
static char *state_of(struct server *server, const char *kid)
{
	static const char *const words[] = {"keys", "list", "--json", NULL};
	char *out = NULL, *state = NULL;
	json_t *list, *key;
	size_t i;

	cr_assert_eq(server_command(server, words, NULL, &out), 0);
	list = json_loads(out, 0, NULL);
	cr_assert(json_is_array(list), "%s", out);
	json_array_foreach(list, i, key)
	{
		if (strcmp(scene_member(key, "kid"), kid) == 0)
			state = strdup(scene_member(key, "state"));
	}
	json_decref(list);
	free(out);
	return state ? state : strdup("");
}

static void expect_state(struct server *server, const char *kid, const char *expected)
{
	char *state = state_of(server, kid);

	cr_expect_str_eq(state, expected);
	free(state);
}

Test(keys, a_new_one_is_published_then_signs_and_the_old_one_goes)
{
	struct server *server = scene_server(NULL, lead);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD), after;
	char *first, *second, *logged, sql[256];
	int64_t until_us;

	cr_assert_eq(before.status, 200);
	first = kid_of(&before);
	cr_assert_eq(published(server), 1);
	second = rotate(server, false);
	cr_assert_not_null(second);
	cr_expect_eq(published(server), 2, "at once, without a restart");
	cr_expect(signs(server, first), "caches may not know the new one yet");
	expect_state(server, first, "signs");
	expect_state(server, second, "next");
	cr_expect_null(rotate(server, false), "one waits already");

	until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	while (!signs(server, second) && harness_mono_us() < until_us)
		harness_sleep_ms(50);
	after = api_login(server, "alice", SCENE_PASSWORD);
	cr_expect(signs(server, second));
	expect_good(server, &before);
	expect_good(server, &after);
	expect_state(server, first, "retiring");
	expect_state(server, second, "signs");

	/* as it was, after a restart; and the end comes near, which would take a quarter of an hour */
	cr_assert_eq(server_stop(server), 0);
	(void)snprintf(sql, sizeof(sql), "UPDATE signing_keys SET retired_ms = %lld WHERE retired_ms <> 0",
		(long long)wall_ms() + 4000);
	scene_change(server, sql);
	server_restart(server, NULL);
	cr_expect(signs(server, second));
	expect_good(server, &before);
	until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	while (published(server) == 2 && harness_mono_us() < until_us)
		harness_sleep_ms(50);
	cr_expect_eq(published(server), 1);
	expect_good(server, &after);
	expect_state(server, first, "retired");
	logged = scene_query(server, "SELECT COUNT(*) || actor FROM audit WHERE type = 'key.rotated'");
	cr_expect_str_eq(logged, "1command");
	free(logged);
	free(first);
	free(second);
	server_free(server);
}

Test(keys, now_is_at_once_and_takes_the_place_of_one_that_waits)
{
	struct server *server = scene_server(NULL, NULL);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD);
	char *second = rotate(server, false), *third = rotate(server, true);

	cr_assert(second != NULL && third != NULL);
	cr_expect(signs(server, third));
	cr_expect_eq(published(server), 2);
	expect_state(server, second, "retired");
	expect_good(server, &before);
	free(second);
	free(third);
	server_free(server);
}

Test(keys, of_one_that_leaked_no_token_is_good_and_sessions_go_on)
{
	static const char *const leaked[] = {"keys", "rotate", "--leaked", NULL};
	struct server *server = scene_server(NULL, NULL);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD);
	char *refresh = scene_text("{'refresh_token':'%s'}", before.refresh_token);
	struct http_reply reply;

	cr_assert_eq(server_command(server, leaked, NULL, NULL), 0);
	cr_expect_eq(published(server), 1);
	api_get(server, "/me", before.authorization, &reply);
	cr_expect_eq(reply.status, 401);
	http_reply_release(&reply);
	api_post(server, "/token/refresh", NULL, refresh, &reply);
	cr_expect_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);
	free(refresh);
	server_free(server);
}

Test(keys, are_rotated_without_a_server_too)
{
	struct server *server = scene_server(NULL, NULL);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD);
	char *second;

	cr_assert_eq(server_stop(server), 0);
	second = rotate(server, true);
	cr_assert_not_null(second);
	server_restart(server, NULL);
	cr_expect(signs(server, second));
	expect_good(server, &before);
	free(second);
	server_free(server);
}

/* The server knows its own algorithm, whatever the command line's configuration says. */
Test(keys, a_running_servers_configuration_counts)
{
	static const char *const es256[] = {"token.alg=ES256", NULL};
	struct server *server = scene_server(NULL, es256);
	struct api_login login;
	char *second = rotate(server, true);
	json_t *header;

	cr_assert_not_null(second);
	login = api_login(server, "alice", SCENE_PASSWORD);
	header = jws_part(login.access_token, 0);
	cr_expect_str_eq(scene_member(header, "kid"), second);
	cr_expect_str_eq(scene_member(header, "alg"), "ES256");
	json_decref(header);
	free(second);
	server_free(server);
}

static void get_jwks(const struct server *server, const char *header, struct http_reply *ret_reply)
{
	char url[SERVER_URL];
	const char *const headers[] = {header, NULL};

	http_do(&(struct http_call){.url = server_url(server, "/.well-known/jwks.json", url), .headers = headers},
		ret_reply);
}

/* A cache may keep the set for half of the lead: whatever is rotated in, it has loaded it again before that signs. */
Test(keys, the_set_may_be_cached_and_asked_for_again)
{
	static const char *const ten_minutes[] = {"token.key_lead=10m", NULL};
	struct server *server = scene_server(NULL, ten_minutes);
	char tag[HTTP_HEADER_MAX], value[HTTP_HEADER_MAX], line[HTTP_HEADER_MAX + 64], *second;
	struct http_reply reply;

	get_jwks(server, NULL, &reply);
	cr_expect_str_eq(http_reply_header(&reply, "Cache-Control", value), "public, max-age=300");
	cr_expect_str_eq(http_reply_header(&reply, "Content-Type", value), "application/jwk-set+json");
	http_reply_header(&reply, "ETag", tag);
	cr_assert_gt(strlen(tag), 10);
	http_reply_release(&reply);

	(void)snprintf(line, sizeof(line), "If-None-Match: \"other\", W/%s", tag);
	get_jwks(server, line, &reply);
	cr_expect_eq(reply.status, 304);
	cr_expect_eq(reply.body_len, 0);
	cr_expect_str_eq(http_reply_header(&reply, "ETag", value), tag);
	cr_expect_str_eq(http_reply_header(&reply, "Cache-Control", value), "public, max-age=300");
	http_reply_release(&reply);
	get_jwks(server, "If-None-Match: \"other\"", &reply);
	cr_expect_eq(reply.status, 200);
	http_reply_release(&reply);

	second = rotate(server, false);
	get_jwks(server, line, &reply);
	cr_expect_eq(reply.status, 200, "it has changed");
	http_reply_release(&reply);
	free(second);
	server_free(server);
}
