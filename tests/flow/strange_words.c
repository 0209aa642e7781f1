/*
 * What receivers and operators say is not always UTF-8, and not meant for everyone: it is shown all the same, to whom
 * it may be.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"
#include "tests/support/smtp_peer.h"

TestSuite(strange_words, .timeout = 60);

struct office {
	struct smtp_peer *smtp;
	struct server *server;
	char *config;
};

static void open_office(struct office *office, const struct smtp_script *script, const char *more)
{
	char url[SMTP_PEER_URL];

	office->smtp = smtp_peer_start(script, 1);
	office->config =
		scene_text("{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'},"
			   " 'effects':{'email':{'type':'email','on':['user.login'],'delivery':'durable','url':'%s',"
			   " 'from':'auth@example.com','retry':{'first':'20ms','cap':'100ms'}%s}}}",
			smtp_peer_url(office->smtp, url), more);
	office->server = scene_server(office->config, NULL);
}

static void close_office(struct office *office)
{
	server_free(office->server);
	smtp_peer_stop(office->smtp);
	free(office->config);
}

static struct api_login log_in(const struct office *office)
{
	struct api_login login = api_login(office->server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	return login;
}

static struct api_login log_in_as_admin(struct server *server)
{
	server_add_user(server, "root", NULL, SCENE_PASSWORD, true);
	struct api_login login = api_login(server, "root", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	return login;
}

/* A member of an effect as an administrator sees it. */
static void seen_by_admin(const struct office *office, const struct api_login *admin, const char *id,
	const char *member, char *ret_text, size_t size)
{
	struct http_reply reply;
	char path[128];

	(void)snprintf(path, sizeof(path), "/admin/effects/%s", id);
	api_get(office->server, path, admin->authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	(void)snprintf(ret_text, size, "%s", http_reply_text(&reply, member));
	http_reply_release(&reply);
}

Test(strange_words, a_refusal_in_latin_1_is_shown)
{
	static const struct smtp_script latin = {.replies = {[SMTP_RCPT] = "550 5.1.1 Empf\xe4nger unbekannt"}};
	char key[PEER_TEXT], text[512];
	struct office office;

	open_office(&office, &latin, "");
	struct api_login login = log_in(&office);
	cr_assert(api_effect_wait(office.server, &login, "email", "dead", SCENE_WAIT_MS));
	json_t *event = api_event(office.server, &login);
	const json_t *effect = api_event_effect(event, "email");
	cr_assert_str_eq(scene_member(effect, "reason"), "SMTP 550 5.1.1 Empf?nger unbekannt");
	cr_assert_str_eq(
		scene_member(scene_attempt(event, "email", 0), "reason"), "SMTP 550 5.1.1 Empf?nger unbekannt");
	json_decref(event);
	struct api_login admin = log_in_as_admin(office.server);
	seen_by_admin(&office, &admin, scene_key(&login, "email", key), "reply", text, sizeof(text));
	cr_assert_str_eq(text, "550 5.1.1 Empf?nger unbekannt\r\n");
	close_office(&office);
}

Test(strange_words, what_waits_for_a_breaker_that_opened_over_latin_1_is_shown)
{
	static const struct smtp_script latin = {.replies = {[SMTP_MAIL] = "550 5.7.1 nicht f\xfcr Sie"}};
	struct office office;

	open_office(&office, &latin, "");
	struct api_login login = log_in(&office);
	cr_assert(metric_wait(office.server, "tokenfirst_breaker_state{effect=\"email\"}", 1, SCENE_WAIT_MS));
	cr_assert(api_effect_wait(office.server, &login, "email", "pending", SCENE_WAIT_MS));
	close_office(&office);
}

/* 256 bytes of it are kept. Who writes more, or in Latin-1, does not go unnamed in the mail about the login. */
Test(strange_words, a_browser_that_is_cut_within_a_character_is_told)
{
	static char agent[400] = "User-Agent: \xe4";
	const char *const headers[] = {agent, NULL};
	struct http_call call = {
		.headers = headers, .body = "{\"username\":\"alice\",\"password\":\"" SCENE_PASSWORD "\"}"};
	char url[SERVER_URL];
	struct http_reply reply;
	struct scene scene;

	while (strlen(agent) + 3 < sizeof(agent))
		memcpy(agent + strlen(agent), "\xc3\xa4", 3);
	scene_set(&scene, NULL, 0, NULL);
	call.url = server_url(scene.server, "/login", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	struct peer_request request = peer_request(scene.peer, 0);
	cr_assert_not_null(strstr(request.body, "\"user_agent\":\"?\xc3\xa4\xc3\xa4"), "%s", request.body);
	scene_clear(&scene);
}

/* 512 bytes are kept, and the last of them may be half a character. */
Test(strange_words, a_reply_that_is_cut_within_a_character_is_shown)
{
	static char body[1200] = "x";
	static const struct peer_step refuse[] = {{.status = 422, .body = body}};
	char key[PEER_TEXT], path[128];
	struct http_reply reply;
	struct scene scene;

	for (size_t i = 1; i + 2 < sizeof(body); i += 2)
		memcpy(body + i, "\xc3\xa4", 2);
	scene_set(&scene, refuse, 1, NULL);
	struct api_login login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	struct api_login admin = log_in_as_admin(scene.server);
	(void)snprintf(path, sizeof(path), "/admin/effects/%s", scene_key(&login, "bus", key));
	api_get(scene.server, path, admin.authorization, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(strncmp(http_reply_text(&reply, "reply"), body, 511), 0, "%s", reply.body);
	http_reply_release(&reply);
	scene_clear(&scene);
}

/* Receivers under development say what they got, with all its headers; dead letters are kept for weeks. */
Test(strange_words, a_credential_that_comes_back_is_not_kept)
{
	static const struct peer_step echo[] = {{.status = 422,
		.body = "{\"got\":{\"Authorization\":\"Bearer t0ken-that-nobody-knows\",\"Host\":\"x\"}}"}};
	struct api_login login;
	struct scene scene;

	scene_set(&scene, echo, 1, "{'effects':{'bus':{'auth':{'type':'bearer','token':'t0ken-that-nobody-knows'}}}}");
	login = scene_login(&scene);
	cr_assert(api_effect_wait(scene.server, &login, "bus", "dead", SCENE_WAIT_MS));
	char *reply = scene_query(scene.server, "SELECT reply FROM effects");
	cr_assert_str_eq(reply, "{\"got\":{\"Authorization\":\"Bearer ***********************\",\"Host\":\"x\"}}");
	free(reply);
	scene_clear(&scene);
}

Test(strange_words, a_reason_to_pause_must_be_a_line_of_text)
{
	struct http_call call = {.method = "POST"};
	char url[SERVER_URL], path[1024] = "/admin/targets/bus/pause?reason=";
	struct http_reply reply;
	struct scene scene;

	scene_set(&scene, NULL, 0, NULL);
	struct api_login admin = log_in_as_admin(scene.server);
	const char *const headers[] = {admin.authorization, NULL};
	call.headers = headers;
	call.url = server_url(scene.server, "/admin/targets/bus/pause?reason=%ff", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 400, "%s", reply.body);
	http_reply_release(&reply);
	call.url = server_url(scene.server, "/admin/targets/bus/pause?reason=a%1b[2Jb", url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 400, "%s", reply.body);
	http_reply_release(&reply);
	memset(path + strlen(path), 'x', 300);
	call.url = server_url(scene.server, path, url);
	http_do(&call, &reply);
	cr_assert_eq(reply.status, 400, "%s", reply.body);
	http_reply_release(&reply);
	api_get(scene.server, "/admin/targets", admin.authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	http_reply_release(&reply);
	scene_clear(&scene);
}

/* A mail server names in its refusal the address that it refuses, and that need not be the user's. */
Test(strange_words, users_are_not_told_the_addresses_of_others)
{
	static const struct smtp_script named = {.replies = {[SMTP_RCPT] = "550 5.1.1 <ops@corp.example>: unknown"}};
	char key[PEER_TEXT], text[512];
	struct office office;

	open_office(&office, &named, ",'to':['{{user.email}}','ops@corp.example']");
	struct api_login login = log_in(&office);
	json_t *event = api_event_settled(office.server, &login, SCENE_WAIT_MS);
	cr_assert_not_null(event);
	char *shown = json_dumps(event, JSON_COMPACT);
	cr_assert_null(strstr(shown, "corp.example"), "%s", shown);
	cr_assert_not_null(strstr(shown, "SMTP 550"), "%s", shown);
	free(shown);
	json_decref(event);
	struct api_login admin = log_in_as_admin(office.server);
	(void)scene_key(&login, "email", key);
	seen_by_admin(&office, &admin, strncat(key, "-2", sizeof(key) - strlen(key) - 1), "reason", text, sizeof(text));
	cr_assert_str_eq(text, "SMTP 550 5.1.1 <ops@corp.example>: unknown");
	close_office(&office);
}
