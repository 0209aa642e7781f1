/* The life of a session as its client sees it: refreshed, repeated, stolen, run out, logged out, shown and ended. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/jws.h"
#include "tests/support/long_form.h"
#include "tests/support/refresh.h"
#include "tests/support/scene.h"

#define EVENTS "{'effects':{'bus':{'on':['user.refresh_reused','user.logout','user.sessions_revoked']}}%s}"

enum { CROWD = 64, SHORT_ROUNDS = 24, LONG_ROUNDS = 1000, UNREADABLE_ROUNDS = 50 };

TestSuite(sessions, .timeout = 600);

/* A scene whose receiver hears of the ends of sessions; `more` begins with a comma. */
static void set_up(struct scene *scene, const char *more)
{
	char *config = scene_text(EVENTS, more);

	scene_set(scene, NULL, 0, config);
	free(config);
}

static int get_status(const struct scene *scene, const char *path, const char *authorization)
{
	struct http_reply reply;
	int status;

	api_get(scene->server, path, authorization, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

static int me_status(const struct scene *scene, const char *authorization)
{
	return get_status(scene, "/me", authorization);
}

static struct refresh_reply refresh(const struct scene *scene, const char *token)
{
	return refresh_post(scene->server, token);
}

static int64_t number(const struct scene *scene, const char *sql)
{
	char *text = scene_query(scene->server, sql);
	int64_t n = strtoll(text, NULL, 10);

	free(text);
	return n;
}

/* The type of the event that came to the receiver as its request number `index`. */
static void assert_event(const struct scene *scene, size_t index, const char *type, const char *event_id)
{
	cr_assert(peer_wait(scene->peer, index + 1, SCENE_WAIT_MS), "no event %s", type);
	struct peer_request request = peer_request(scene->peer, index);
	cr_assert_not_null(strstr(request.body, type), "%s is not of %s", request.body, type);
	cr_assert_not_null(strstr(request.body, "alice@example.com"), "%s", request.body);
	if (event_id)
		cr_assert_not_null(strstr(request.body, event_id), "%s is not of %s", request.body, event_id);
}

static void assert_answer(const struct refresh_reply *reply)
{
	cr_assert_eq(reply->status, 200);
	cr_assert_eq(json_object_size(reply->json), 5);
	cr_assert_str_eq(scene_member(reply->json, "token_type"), "Bearer");
	cr_assert_eq(json_integer_value(json_object_get(reply->json, "expires_in")), 900);
	json_int_t left = json_integer_value(json_object_get(reply->json, "refresh_expires_in"));
	cr_assert_eq(left, 30 * 86400);
	cr_assert_str_eq(scene_member(reply->json, "refresh_token"), reply->refresh_token);
}

Test(sessions, a_session_goes_on_from_token_to_token)
{
	struct scene scene;
	char before[256], sid[32];

	set_up(&scene, "");
	struct api_login login = scene_login(&scene);
	int64_t audited = number(&scene, "SELECT count(*) FROM audit");
	json_t *claims = jws_part(login.access_token, 1);
	(void)snprintf(sid, sizeof(sid), "%s", scene_member(claims, "sid"));
	json_decref(claims);
	(void)snprintf(before, sizeof(before), "%s", login.refresh_token);
	for (int i = 0; i < 5; i++) {
		struct refresh_reply reply = refresh(&scene, before);
		assert_answer(&reply);
		cr_assert_str_neq(reply.refresh_token, before);
		cr_assert_eq(me_status(&scene, reply.authorization), 200);
		claims = jws_part(reply.access_token, 1);
		cr_assert_str_eq(scene_member(claims, "sid"), sid, "it is another session");
		json_decref(claims);
		(void)snprintf(before, sizeof(before), "%s", reply.refresh_token);
		refresh_reply_release(&reply);
	}
	cr_assert_eq(me_status(&scene, login.authorization), 200, "the first access token has its time");
	cr_assert_eq(number(&scene, "SELECT count(*) FROM sessions"), 1);
	cr_assert_eq(number(&scene, "SELECT count(*) FROM audit"), audited, "an ordinary refresh is not written down");
	cr_assert_eq(number(&scene, "SELECT count(*) FROM events"), 1);
	scene_clear(&scene);
}

Test(sessions, what_is_no_refresh_token_is_refused_in_one_text)
{
	static const char *const malformed[] = {"{}", "{\"refresh_token\":7}", "{\"refresh_token\":null}", "[]", "x"};
	struct scene scene;
	char changed[256];

	set_up(&scene, "");
	struct api_login login = scene_login(&scene);
	struct refresh_reply dead = refresh(&scene, "not a token at all");
	cr_assert_eq(dead.status, 401);
	cr_assert_str_eq(scene_member(dead.json, "code"), "invalid_grant");

	(void)snprintf(changed, sizeof(changed), "%s", login.refresh_token);
	changed[40] = changed[40] == 'A' ? 'B' : 'A';
	const char *const refused[] = {changed, "", login.access_token};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct refresh_reply reply = refresh(&scene, refused[i]);
		cr_assert_eq(reply.status, 401);
		cr_assert_str_eq(scene_member(reply.json, "code"), "invalid_grant");
		cr_assert_str_eq(scene_member(reply.json, "detail"), scene_member(dead.json, "detail"));
		refresh_reply_release(&reply);
	}
	refresh_reply_release(&dead);
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct http_reply reply;
		api_post(scene.server, "/token/refresh", NULL, malformed[i], &reply);
		cr_assert_eq(reply.status, 400, "%s", malformed[i]);
		http_reply_release(&reply);
	}
	struct refresh_reply reply = refresh(&scene, login.refresh_token);
	cr_assert_eq(reply.status, 200, "it was harmed");
	refresh_reply_release(&reply);
	scene_clear(&scene);
}

Test(sessions, a_refreshed_token_of_an_administrator_has_no_rights_of_one)
{
	struct scene scene;

	set_up(&scene, "");
	server_add_user(scene.server, "root", NULL, SCENE_PASSWORD, true);
	struct api_login login = api_login(scene.server, "root", SCENE_PASSWORD);
	struct refresh_reply reply = refresh(&scene, login.refresh_token);
	cr_assert_eq(reply.status, 200);
	json_t *claims = jws_part(reply.access_token, 1);
	cr_assert_not_null(claims);
	cr_assert_null(json_object_get(claims, "scope"));
	json_decref(claims);
	refresh_reply_release(&reply);
	scene_clear(&scene);
}

/* One of many who bring the same token at the same time. */
struct bearer {
	pthread_t thread;
	const struct scene *scene;
	const char *token;
	pthread_barrier_t *start;
	struct refresh_reply reply;
};

static void *bring(void *arg)
{
	struct bearer *bearer = arg;

	(void)pthread_barrier_wait(bearer->start);
	bearer->reply = refresh(bearer->scene, bearer->token);
	return NULL;
}

/* All at once; the replies are to be released. */
static void bring_together(const struct scene *scene, const char *token, struct bearer bearers[CROWD])
{
	pthread_barrier_t start;

	cr_assert_eq(pthread_barrier_init(&start, NULL, CROWD), 0);
	for (size_t i = 0; i < CROWD; i++) {
		bearers[i] = (struct bearer){.scene = scene, .token = token, .start = &start};
		cr_assert_eq(pthread_create(&bearers[i].thread, NULL, bring, &bearers[i]), 0);
	}
	for (size_t i = 0; i < CROWD; i++)
		pthread_join(bearers[i].thread, NULL);
	(void)pthread_barrier_destroy(&start);
}

/* `token` becomes the child, of which there is one. */
static void rotate_together(const struct scene *scene, char token[256])
{
	struct bearer bearers[CROWD];

	bring_together(scene, token, bearers);
	memcpy(token, bearers[0].reply.refresh_token, 256);
	for (size_t i = 0; i < CROWD; i++) {
		cr_assert_eq(bearers[i].reply.status, 200);
		cr_assert_str_eq(bearers[i].reply.refresh_token, token, "there is another child");
		refresh_reply_release(&bearers[i].reply);
	}
}

Test(sessions, many_at_once_get_one_child)
{
	const int rounds = long_form() ? LONG_ROUNDS : SHORT_ROUNDS;
	struct scene scene;
	char token[256];

	set_up(&scene, ", 'token':{'refresh_grace':'300s'}");
	struct api_login login = scene_login(&scene);
	(void)snprintf(token, sizeof(token), "%s", login.refresh_token);
	for (int i = 0; i < rounds; i++)
		rotate_together(&scene, token);
	cr_assert_eq(number(&scene, "SELECT generation FROM sessions"), 1 + rounds);
	cr_assert_eq(peer_count(scene.peer), 0, "a crowd was taken for a thief");
	long_form_print("%d rounds of %d parallel refreshes: one child each", rounds, CROWD);
	scene_clear(&scene);
}

Test(sessions, a_stolen_token_ends_the_session_and_its_owner_hears_of_it)
{
	struct scene scene;

	set_up(&scene, "");
	struct api_login login = scene_login(&scene), other = scene_login(&scene);
	struct refresh_reply child = refresh(&scene, login.refresh_token);
	struct refresh_reply grandchild = refresh(&scene, child.refresh_token);
	cr_assert_eq(grandchild.status, 200);

	struct refresh_reply stolen = refresh(&scene, login.refresh_token);
	cr_assert_eq(stolen.status, 401);
	cr_assert_str_eq(scene_member(stolen.json, "code"), "invalid_grant");
	refresh_reply_release(&stolen);
	assert_event(&scene, 0, "user.refresh_reused", NULL);
	cr_assert_eq(me_status(&scene, login.authorization), 401);
	cr_assert_eq(me_status(&scene, grandchild.authorization), 401, "its access token lives on");
	const char *const dead[] = {grandchild.refresh_token, child.refresh_token, login.refresh_token};
	for (size_t i = 0; i < 3; i++) {
		struct refresh_reply reply = refresh(&scene, dead[i]);
		cr_assert_eq(reply.status, 401);
		refresh_reply_release(&reply);
	}
	cr_assert_eq(me_status(&scene, other.authorization), 200, "a session of its own");
	cr_assert_eq(number(&scene, "SELECT count(*) FROM audit WHERE type = 'user.refresh_reused' AND session_id = 1"),
		1, "it is told of once");
	cr_assert_eq(number(&scene, "SELECT count(*) FROM events WHERE type = 'user.refresh_reused'"), 1);
	refresh_reply_release(&child);
	refresh_reply_release(&grandchild);
	scene_clear(&scene);
}

/* Without a grace each but one of a crowd is a thief, found only within the transaction: the session ends, and once. */
Test(sessions, thieves_at_once_end_it_once)
{
	struct bearer bearers[CROWD];
	struct scene scene;

	set_up(&scene, ", 'token':{'refresh_grace':'0s'}");
	for (int round = 1; round <= 4; round++) {
		struct api_login login = scene_login(&scene);
		int passed = 0;

		bring_together(&scene, login.refresh_token, bearers);
		for (size_t i = 0; i < CROWD; i++) {
			passed += bearers[i].reply.status == 200;
			cr_assert(bearers[i].reply.status == 200 || bearers[i].reply.status == 401);
			refresh_reply_release(&bearers[i].reply);
		}
		cr_assert_eq(passed, 1);
		cr_assert_eq(me_status(&scene, login.authorization), 401);
		cr_assert_eq(number(&scene, "SELECT count(*) FROM audit WHERE type = 'user.refresh_reused'"), round);
		cr_assert_eq(number(&scene, "SELECT count(*) FROM events WHERE type = 'user.refresh_reused'"), round);
	}
	scene_clear(&scene);
}

Test(sessions, the_parent_is_good_for_the_grace_and_no_longer)
{
	enum { GRACE_MS = 2000 };
	struct scene scene;

	set_up(&scene, ", 'token':{'refresh_grace':'2s'}");
	struct api_login login = scene_login(&scene);
	struct refresh_reply first = refresh(&scene, login.refresh_token);
	int64_t rotated_us = harness_mono_us(); /* at the latest */
	struct refresh_reply again = refresh(&scene, login.refresh_token);
	cr_assert_eq(again.status, 200);
	cr_assert_str_eq(again.refresh_token, first.refresh_token);
	cr_assert_eq(me_status(&scene, again.authorization), 200);
	while (harness_mono_us() < rotated_us + (GRACE_MS + 10) * 1000)
		harness_sleep_ms(10);
	struct refresh_reply late = refresh(&scene, login.refresh_token);
	cr_assert_eq(late.status, 401);
	assert_event(&scene, 0, "user.refresh_reused", NULL);
	cr_assert_eq(me_status(&scene, again.authorization), 401);
	refresh_reply_release(&first);
	refresh_reply_release(&again);
	refresh_reply_release(&late);
	scene_clear(&scene);
}

Test(sessions, no_refresh_goes_beyond_the_absolute_end)
{
	enum { ABSOLUTE_MS = 3000 };
	struct scene scene;
	char token[256];
	int refreshed = 0, status = 200;

	set_up(&scene, ", 'token':{'refresh_ttl':'2s', 'absolute_ttl':'3s'}");
	int64_t begun_us = harness_mono_us();
	struct api_login login = scene_login(&scene);
	int64_t until_us = harness_mono_us() + (ABSOLUTE_MS + 10) * 1000;
	(void)snprintf(token, sizeof(token), "%s", login.refresh_token);
	while (status == 200) {
		harness_sleep_ms(100);
		int64_t sent_us = harness_mono_us();
		struct refresh_reply reply = refresh(&scene, token);
		status = reply.status;
		if (status == 200) {
			cr_assert_lt(sent_us, until_us, "it was refreshed after its end");
			cr_assert_leq(json_integer_value(json_object_get(reply.json, "expires_in")), 3);
			(void)snprintf(token, sizeof(token), "%s", reply.refresh_token);
			refreshed++;
		}
		refresh_reply_release(&reply);
	}
	/* it slid: unless this machine stood still for seconds */
	cr_assert_gt(refreshed, 1);
	cr_assert_geq(harness_mono_us() - begun_us, 2000 * 1000);
	cr_assert_eq(me_status(&scene, login.authorization), 401);
	cr_assert_eq(peer_count(scene.peer), 0, "an end is no theft");
	scene_clear(&scene);
}

/* Logs out; the status, and what was revoked. */
static int log_out(const struct scene *scene, const char *authorization, const char *body, int64_t *ret_revoked,
	char ret_event[API_ID])
{
	struct http_reply reply;
	char header[HTTP_HEADER_MAX], url[SERVER_URL];
	const char *const headers[] = {authorization, NULL};

	http_do(&(struct http_call){.method = "POST",
			.url = server_url(scene->server, "/logout", url),
			.headers = headers,
			.body = body},
		&reply);
	int status = reply.status;
	*ret_revoked = json_integer_value(http_reply_member(&reply, "revoked"));
	(void)snprintf(ret_event, API_ID, "%s", http_reply_text(&reply, "event_id"));
	if (status == 200)
		cr_assert_str_eq(http_reply_header(&reply, "X-Event-Id", header), ret_event);
	http_reply_release(&reply);
	return status;
}

Test(sessions, a_logout_ends_this_session)
{
	struct scene scene;
	char event[API_ID];
	int64_t revoked = 0;

	set_up(&scene, "");
	struct api_login login = scene_login(&scene), other = scene_login(&scene);
	cr_assert_eq(log_out(&scene, login.authorization, "{\"all\":1}", &revoked, event), 400);
	cr_assert_eq(log_out(&scene, NULL, NULL, &revoked, event), 401);
	cr_assert_eq(log_out(&scene, login.authorization, NULL, &revoked, event), 200);
	cr_assert_eq(revoked, 1);
	assert_event(&scene, 0, "user.logout", event);
	cr_assert_eq(log_out(&scene, login.authorization, NULL, &revoked, event), 401, "twice");
	cr_assert_eq(me_status(&scene, login.authorization), 401);
	struct refresh_reply reply = refresh(&scene, login.refresh_token);
	cr_assert_eq(reply.status, 401);
	refresh_reply_release(&reply);
	cr_assert_eq(me_status(&scene, other.authorization), 200);
	cr_assert_eq(number(&scene, "SELECT count(*) FROM audit WHERE type = 'user.logout' AND session_id = 1"), 1);
	cr_assert_eq(peer_count(scene.peer), 1);
	scene_clear(&scene);
}

Test(sessions, a_logout_of_all_ends_all_of_this_user)
{
	struct scene scene;
	char event[API_ID];
	int64_t revoked = 0;

	set_up(&scene, "");
	server_add_user(scene.server, "bob", NULL, SCENE_PASSWORD, false);
	struct api_login bob = api_login(scene.server, "bob", SCENE_PASSWORD), logins[3];
	for (size_t i = 0; i < 3; i++)
		logins[i] = scene_login(&scene);
	cr_assert_eq(log_out(&scene, logins[1].authorization, "{\"all\":true}", &revoked, event), 200);
	cr_assert_eq(revoked, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(me_status(&scene, logins[i].authorization), 401);
	cr_assert_eq(me_status(&scene, bob.authorization), 200);
	scene_clear(&scene);
}

/* The member `id` of the shown session that is (not) the current one. */
static void shown_id(const struct scene *scene, const char *authorization, bool current, char ret_id[32])
{
	struct http_reply reply;
	json_t *session;
	size_t i;

	ret_id[0] = '\0';
	api_get(scene->server, "/me/sessions", authorization, &reply);
	cr_assert_eq(reply.status, 200);
	json_array_foreach(http_reply_member(&reply, "sessions"), i, session)
	{
		cr_assert_eq(json_object_size(session), 7);
		cr_assert_str_eq(scene_member(session, "client"), "127.0.0.1");
		cr_assert_eq(strlen(scene_member(session, "created")), strlen("2026-01-02T03:04:05.678Z"));
		cr_assert_str_geq(scene_member(session, "refreshed"), scene_member(session, "created"));
		cr_assert_str_gt(scene_member(session, "expires"), scene_member(session, "refreshed"));
		if (json_is_true(json_object_get(session, "current")) == current)
			(void)snprintf(ret_id, 32, "%s", scene_member(session, "id"));
	}
	http_reply_release(&reply);
}

static size_t shown_count(const struct scene *scene, const char *authorization)
{
	struct http_reply reply;

	api_get(scene->server, "/me/sessions", authorization, &reply);
	size_t count = json_array_size(http_reply_member(&reply, "sessions"));
	http_reply_release(&reply);
	return count;
}

static int end_session(const struct scene *scene, const char *id, const char *authorization, char ret_event[API_ID])
{
	struct http_reply reply;
	char path[128], url[SERVER_URL];
	const char *const headers[] = {authorization, NULL};

	(void)snprintf(path, sizeof(path), "/me/sessions/%s", id);
	http_do(
		&(struct http_call){
			.method = "DELETE", .url = server_url(scene->server, path, url), .headers = headers},
		&reply);
	int status = reply.status;
	(void)snprintf(ret_event, API_ID, "%s", http_reply_text(&reply, "event_id"));
	http_reply_release(&reply);
	return status;
}

Test(sessions, one_s_sessions_are_shown_and_one_of_them_is_ended)
{
	struct scene scene;
	char current[32], other[32], event[API_ID];

	set_up(&scene, "");
	struct api_login here = scene_login(&scene), there = scene_login(&scene);
	cr_assert_eq(shown_count(&scene, here.authorization), 2);
	shown_id(&scene, here.authorization, true, current);
	shown_id(&scene, here.authorization, false, other);
	json_t *claims = jws_part(here.access_token, 1);
	cr_assert_str_eq(current, scene_member(claims, "sid"));
	json_decref(claims);
	cr_assert_eq(end_session(&scene, other, here.authorization, event), 200);
	assert_event(&scene, 0, "user.sessions_revoked", event);
	cr_assert_eq(me_status(&scene, there.authorization), 401);
	cr_assert_eq(me_status(&scene, here.authorization), 200);
	cr_assert_eq(end_session(&scene, other, here.authorization, event), 404, "twice");
	cr_assert_eq(shown_count(&scene, here.authorization), 1);
	cr_assert_eq(end_session(&scene, current, here.authorization, event), 200, "its own");
	cr_assert_eq(me_status(&scene, here.authorization), 401);
	scene_clear(&scene);
}

Test(sessions, those_of_others_are_not_there)
{
	static const char *const odd[] = {"0", "-1", "01", "1x", "x", "99", "9223372036854775808", "1%20"};
	struct scene scene;
	char id[32], event[API_ID];

	set_up(&scene, "");
	server_add_user(scene.server, "bob", NULL, SCENE_PASSWORD, false);
	struct api_login alice = scene_login(&scene), bob = api_login(scene.server, "bob", SCENE_PASSWORD);
	shown_id(&scene, alice.authorization, true, id);
	cr_assert_eq(shown_count(&scene, bob.authorization), 1);
	cr_assert_eq(end_session(&scene, id, bob.authorization, event), 404);
	cr_assert_eq(me_status(&scene, alice.authorization), 200);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		cr_assert_eq(end_session(&scene, odd[i], bob.authorization, event), 404, "%s", odd[i]);
	cr_assert_eq(end_session(&scene, id, NULL, event), 401);
	cr_assert_eq(number(&scene, "SELECT count(*) FROM audit WHERE type = 'user.sessions_revoked'"), 0);
	scene_clear(&scene);
}

Test(sessions, what_has_ended_is_removed_after_its_time)
{
	struct scene scene;
	char event[API_ID];
	int64_t revoked = 0;

	set_up(&scene, ", 'retention':{'sessions':'1s'}");
	struct api_login login = scene_login(&scene);
	cr_assert_eq(log_out(&scene, login.authorization, NULL, &revoked, event), 200);
	struct api_login later = scene_login(&scene);
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	while (number(&scene, "SELECT count(*) FROM sessions") > 1) {
		cr_assert_lt(harness_mono_us(), until_us, "it is still there");
		harness_sleep_ms(20);
	}
	cr_assert_eq(me_status(&scene, later.authorization), 200);
	struct refresh_reply reply = refresh(&scene, login.refresh_token);
	cr_assert_eq(reply.status, 401);
	refresh_reply_release(&reply);
	scene_clear(&scene);
}

/* What harms one row must not be taken for a store that can't be written, by those who share its transaction or by anybody. */
Test(sessions, one_that_is_unreadable_harms_nobody_else)
{
	static const char *const alice[] = {"alice", NULL};
	struct scene scene;

	set_up(&scene, "");
	server_add_user(scene.server, "bob", NULL, SCENE_PASSWORD, false);
	struct api_login bob = api_login(scene.server, "bob", SCENE_PASSWORD);
	cr_assert_eq(server_stop(scene.server), 0);
	scene_change(scene.server, "UPDATE users SET public_id = 'short' WHERE username = 'bob'");
	server_restart(scene.server, NULL);
	struct crowd *crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = 4});
	for (int i = 0; i < UNREADABLE_ROUNDS; i++) {
		struct refresh_reply reply = refresh(&scene, bob.refresh_token);
		cr_assert_eq(reply.status, 503);
		refresh_reply_release(&reply);
		cr_assert_eq(get_status(&scene, "/health/ready", NULL), 200);
	}
	crowd_join(crowd);
	cr_expect_gt(crowd_count(crowd), 0);
	cr_expect_eq(crowd_count_status(crowd, 200), crowd_count(crowd));
	crowd_free(crowd);
	cr_expect_eq(server_log_count(scene.server, "the store can't write: what needs it is refused until it can"), 0);
	cr_expect_eq(server_log_count(scene.server, "a session can't be read: it is not refreshed"), UNREADABLE_ROUNDS);
	scene_clear(&scene);
}
