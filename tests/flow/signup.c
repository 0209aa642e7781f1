/* Accounts from nothing: what a stranger, an invited person and somebody who has an account already get to see. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/link.h"
#include "tests/support/harness.h"
#include "tests/support/mail_scene.h"

#define BOB	 "bob@example.com"
#define PASSWORD "a long walk by the sea 7"
#define CONFIRM	 "Confirm your address"

TestSuite(signup, .timeout = 60);

static int sign_up(const struct mail_scene *scene, const char *email, const char *username)
{
	if (username)
		return mail_scene_post(scene, "/signup", NULL, NULL,
			"{'email':'%s','password':'" PASSWORD "','username':'%s'}", email, username);
	return mail_scene_post(scene, "/signup", NULL, NULL, "{'email':'%s','password':'" PASSWORD "'}", email);
}

/* Signs up, and reads the mail. */
static void token_for(struct mail_scene *scene, const char *email, const char *username, char token[MAILBOX_TOKEN])
{
	size_t before = mailbox_count(scene->smtp, email);

	cr_assert_eq(sign_up(scene, email, username), 202);
	cr_assert(mailbox_wait(scene->smtp, email, before + 1, SCENE_WAIT_MS));
	cr_assert(mailbox_token(scene->smtp, email, CONFIRM, token));
}

static int verify(const struct mail_scene *scene, const char *token)
{
	return mail_scene_post(scene, "/email/verify", NULL, NULL, "{'token':'%s'}", token);
}

static long count(const struct mail_scene *scene, const char *sql)
{
	char *text = scene_query(scene->server, sql);
	long number = strtol(text, NULL, 10);

	free(text);
	return number;
}

Test(signup, an_account_is_made_when_its_address_is_confirmed)
{
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], header[HTTP_HEADER_MAX];

	mail_scene_set(&scene, NULL, NULL);
	cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
			     "{'email':'" BOB "','password':'" PASSWORD "','username':'bob'}"),
		202);
	cr_assert_eq(json_object_size(reply.json), 1);
	cr_assert_str_eq(http_reply_text(&reply, "event_id"), http_reply_header(&reply, "X-Event-Id", header));
	http_reply_release(&reply);
	cr_assert_eq(api_login(scene.server, "bob", PASSWORD).status, 401);
	cr_assert(mailbox_token(scene.smtp, BOB, CONFIRM, token));

	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", token), 201);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "bob");
	cr_assert_str_eq(http_reply_text(&reply, "user.email"), BOB);
	cr_assert_eq(strlen(http_reply_text(&reply, "user.id")), 26);
	cr_assert_str_eq(http_reply_text(&reply, "event_id"), http_reply_header(&reply, "X-Event-Id", header));
	http_reply_release(&reply);
	cr_assert_eq(api_login(scene.server, "bob", PASSWORD).status, 200);
	cr_assert_eq(
		mail_scene_post(&scene, "/login", NULL, NULL, "{'email':'BOB@example.com','password':'" PASSWORD "'}"),
		200);
	free(mailbox_await(scene.smtp, BOB, "Your account is ready", SCENE_WAIT_MS));
	cr_assert_eq(mailbox_count(scene.smtp, BOB), 2);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM audit WHERE type = 'user.created' AND user_id = "
				   "(SELECT id FROM users WHERE username = 'bob')"),
		1);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.created' AND subject = "
				   "(SELECT public_id FROM users WHERE username = 'bob')"),
		1);
	mail_scene_clear(&scene);
}

/* Names of headers and of members: what a stranger can tell answers by. */
static void shape_of(struct http_reply *reply, char shape[2048])
{
	size_t len = 0;
	const char *name;
	json_t *value;

	len += (size_t)snprintf(shape + len, 2048 - len, "%d\n", reply->status);
	for (const char *line = reply->head; line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n'))
		len += (size_t)snprintf(shape + len, 2048 - len, "%.*s,", (int)strcspn(line, ":\r"), line);
	json_object_foreach(reply->json, name, value) len +=
		(size_t)snprintf(shape + len, 2048 - len, "%s %d,", name, (int)json_typeof(value));
	(void)snprintf(shape + len, 2048 - len, "%zu", reply->body_len);
	http_reply_release(reply);
}

Test(signup, an_address_that_has_an_account_is_told_by_mail_alone)
{
	struct mail_scene scene;
	struct http_reply reply;
	char fresh[2048], taken[2048];
	char *mail;

	mail_scene_set(&scene, NULL, NULL);
	server_add_user(scene.server, "alice", "alice@example.com", PASSWORD, false);
	(void)mail_scene_post(&scene, "/signup", NULL, &reply, "{'email':'" BOB "','password':'" PASSWORD "'}");
	shape_of(&reply, fresh);
	(void)mail_scene_post(
		&scene, "/signup", NULL, &reply, "{'email':'Alice@Example.com','password':'another one of mine'}");
	shape_of(&reply, taken);
	cr_assert_str_eq(fresh, taken);
	mail = mailbox_await(scene.smtp, "alice@example.com", "You already have an account", SCENE_WAIT_MS);
	cr_assert_not_null(mail);
	cr_assert_null(strstr(mail, "#token="));
	free(mail);
	cr_assert_eq(api_login(scene.server, "alice", PASSWORD).status, 200);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM links"), 2, "one for each, or a clock tells them apart");
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM links WHERE used_ms = 0"), 1);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM links WHERE used_ms > 0 AND password NOT LIKE '%$%'"), 1);
	mail_scene_clear(&scene);
}

Test(signup, a_link_works_once)
{
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], code[64];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, "bob", token);
	cr_assert_eq(verify(&scene, token), 201);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", token), 400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "link_invalid");
	cr_assert_eq(mail_scene_post(&scene, "/password/reset", NULL, &reply,
			     "{'token':'%s','password':'" PASSWORD "'}", token),
		400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "link_invalid");
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 1);
	mail_scene_clear(&scene);
}

Test(signup, of_two_links_the_first_one_used_makes_the_account)
{
	struct mail_scene scene;
	char first[MAILBOX_TOKEN], second[MAILBOX_TOKEN];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, "bob", first);
	token_for(&scene, "Bob@Example.com", "robert", second);
	cr_assert_str_neq(first, second);
	cr_assert_eq(verify(&scene, second), 201);
	cr_assert_eq(verify(&scene, first), 400);
	cr_assert_eq(api_login(scene.server, "robert", PASSWORD).status, 200);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 1);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM links WHERE used_ms = 0 OR password <> ''"), 0);
	mail_scene_clear(&scene);
}

/* By the administrator's hand, say, while the mail lay there. */
Test(signup, a_link_for_an_address_that_got_an_account_is_no_use)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	server_add_user(scene.server, "bobby", BOB, PASSWORD, false);
	cr_assert_eq(verify(&scene, token), 400);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 1);
	mail_scene_clear(&scene);
}

struct race {
	const struct mail_scene *scene;
	const char *token;
	int status;
};

static void *run(void *arg)
{
	struct race *race = arg;

	race->status = verify(race->scene, race->token);
	return NULL;
}

Test(signup, a_crowd_with_one_link_makes_one_account)
{
	enum { CROWD = 12 };
	struct race races[CROWD];
	pthread_t threads[CROWD];
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];
	size_t made = 0;

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	for (size_t i = 0; i < CROWD; i++) {
		races[i] = (struct race){.scene = &scene, .token = token};
		cr_assert_eq(pthread_create(&threads[i], NULL, run, &races[i]), 0);
	}
	for (size_t i = 0; i < CROWD; i++) {
		pthread_join(threads[i], NULL);
		cr_assert(races[i].status == 201 || races[i].status == 400, "%d", races[i].status);
		made += races[i].status == 201;
	}
	cr_assert_eq(made, 1);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 1);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.created'"), 1);
	mail_scene_clear(&scene);
}

Test(signup, a_taken_username_leaves_the_link_good_for_another)
{
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], code[64];

	mail_scene_set(&scene, NULL, NULL);
	server_add_user(scene.server, "alice", "alice@example.com", PASSWORD, false);
	token_for(&scene, BOB, "ALICE", token);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", token), 409);
	cr_assert_str_eq(mail_scene_code(&reply, code), "username_taken");
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.created'"), 0);
	cr_assert_eq(
		mail_scene_post(&scene, "/email/verify", NULL, NULL, "{'token':'%s','username':'bob'}", token), 201);
	cr_assert_eq(api_login(scene.server, "bob", PASSWORD).status, 200);
	mail_scene_clear(&scene);
}

Test(signup, who_chooses_no_username_is_given_one)
{
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN];
	const char *name;

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", token), 201);
	name = http_reply_text(&reply, "user.username");
	cr_assert_eq(strncmp(name, "user-", 5), 0, "%s", name);
	cr_assert_eq(strlen(name), 15);
	cr_assert_eq(strspn(name + 5, "0123456789abcdefghjkmnpqrstvwxyz"), 10, "%s", name);
	cr_assert_eq(api_login(scene.server, name, PASSWORD).status, 200);
	http_reply_release(&reply);
	mail_scene_clear(&scene);
}

Test(signup, a_link_ends_with_its_time)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	mail_scene_set(&scene, NULL, "{'link':{'verify_ttl':'1s'}}");
	token_for(&scene, BOB, NULL, token);
	harness_sleep_ms(1100);
	cr_assert_eq(verify(&scene, token), 400);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 0);
	mail_scene_clear(&scene);
}

Test(signup, the_mode_holds_when_the_account_is_made)
{
	static const char *const closed[] = {"signup.mode=closed", NULL}, *const invite[] = {
										  "signup.mode=invite", NULL};
	static const struct {
		const char *const *settings;
		const char *code;
	} modes[] = {{closed, "signup_closed"}, {invite, "signup_invited_only"}};
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], code[64];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(server_stop(scene.server), 0);
		server_restart(
			scene.server, &(struct server_options){.config = scene.config, .settings = modes[i].settings});
		cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
				     "{'email':'carol@example.com','password':'" PASSWORD "'}"),
			403);
		cr_assert_str_eq(mail_scene_code(&reply, code), modes[i].code);
		cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", token), 403);
		cr_assert_str_eq(mail_scene_code(&reply, code), modes[i].code);
	}
	cr_assert_eq(server_stop(scene.server), 0);
	server_restart(scene.server, &(struct server_options){.config = scene.config});
	cr_assert_eq(verify(&scene, token), 201);
	mail_scene_clear(&scene);
}

/* An invitation as an administrator makes it: its row, and the token of the mail. Stops the server; the caller starts it. */
static void invite_to(struct mail_scene *scene, int64_t id, const char *email, char token[LINK_TOKEN_SIZE])
{
	unsigned char key[LINK_KEY_SIZE];
	char *hex = scene_query(scene->server, "SELECT hex(value) FROM server_secrets WHERE name = 'link'");
	char *sql =
		scene_text("INSERT INTO links (id, purpose, user_id, email, email_key, username, password, created_ms, "
			   "expires_ms) VALUES (%lld, \"invite\", 0, \"%s\", lower(\"%s\"), \"\", \"\", 0, 1e15)",
			(long long)id, email, email);

	cr_assert_eq(sodium_hex2bin(key, sizeof(key), hex, strlen(hex), NULL, NULL, NULL), 0);
	for (char *c = sql; *c; c++)
		*c = *c == '"' ? '\'' : *c;
	link_token_make(key, LINK_INVITE, id, token);
	if (server_running(scene->server))
		cr_assert_eq(server_stop(scene->server), 0);
	mail_scene_change(scene, sql);
	free(hex);
	free(sql);
}

Test(signup, an_invitation_makes_the_account_at_once)
{
	static const char *const invite[] = {"signup.mode=invite", NULL};
	struct mail_scene scene;
	struct http_reply reply;
	char token[LINK_TOKEN_SIZE], other[LINK_TOKEN_SIZE], taken[LINK_TOKEN_SIZE], code[64];

	mail_scene_set(&scene, NULL, NULL);
	server_add_user(scene.server, "alice", "alice@example.com", PASSWORD, false);
	invite_to(&scene, 11, BOB, token);
	invite_to(&scene, 12, "bob@Example.com", other);
	invite_to(&scene, 13, "alice@example.com", taken);
	server_restart(scene.server, &(struct server_options){.config = scene.config, .settings = invite});

	cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
			     "{'invite_token':'%s','password':'" PASSWORD "','username':'alice'}", token),
		409);
	cr_assert_str_eq(mail_scene_code(&reply, code), "username_taken");
	cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
			     "{'invite_token':'%s','password':'" PASSWORD "','username':'bob'}", token),
		201);
	cr_assert_str_eq(http_reply_text(&reply, "user.email"), BOB);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "bob");
	cr_assert_str_neq(http_reply_text(&reply, "event_id"), "");
	http_reply_release(&reply);
	cr_assert_eq(api_login(scene.server, "bob", PASSWORD).status, 200);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
				     "{'invite_token':'%s','password':'" PASSWORD "'}",
				     i == 0   ? token
				     : i == 1 ? other
					      : taken),
			400);
		cr_assert_str_eq(mail_scene_code(&reply, code), "link_invalid");
	}
	cr_assert_eq(verify(&scene, taken), 403);
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 2);
	mail_scene_clear(&scene);
}

Test(signup, a_username_that_reads_like_an_address_is_ones_own)
{
	static const char *const invite[] = {"signup.mode=invite", NULL};
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], invited[LINK_TOKEN_SIZE], code[64];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply,
			     "{'token':'%s','username':'alice@example.com'}", token),
		400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "malformed");
	cr_assert_eq(mail_scene_post(
			     &scene, "/email/verify", NULL, NULL, "{'token':'%s','username':'Bob@example.com'}", token),
		201);
	cr_assert_eq(api_login(scene.server, BOB, PASSWORD).status, 200);

	invite_to(&scene, 11, "carol@example.com", invited);
	server_restart(scene.server, &(struct server_options){.config = scene.config, .settings = invite});
	cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply,
			     "{'invite_token':'%s','password':'" PASSWORD "','username':'alice@example.com'}", invited),
		400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "malformed");
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM users"), 1);
	mail_scene_clear(&scene);
}

Test(signup, bodies_that_lack_what_they_must_have)
{
	static const char *const signups[] = {"{}", "{'email':'" BOB "'}", "{'password':'" PASSWORD "'}",
		"{'email':1,'password':'" PASSWORD "'}", "{'email':'" BOB "','password':1}",
		"{'email':'" BOB "','password':''}", "{'email':'bob','password':'" PASSWORD "'}",
		"{'email':'a b@example.com','password':'" PASSWORD "'}",
		"{'email':'" BOB "','invite_token':'x','password':'" PASSWORD "'}",
		"{'email':'" BOB "','password':'" PASSWORD "','username':''}",
		"{'email':'" BOB "','password':'" PASSWORD "','username':7}",
		"{'email':'" BOB "','password':'" PASSWORD "','username':'alice@example.com'}",
		"{'email':'" BOB "','password':'" PASSWORD "','username':'b\\r\\nob'}"};
	static const char *const verifications[] = {
		"{}", "{'token':1}", "{'token':null}", "{'token':'x','username':'<>'}"};
	static const char *const tokens[] = {"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
	struct mail_scene scene;
	struct http_reply reply;
	char code[64];

	mail_scene_set(&scene, NULL, NULL);
	for (size_t i = 0; i < sizeof(signups) / sizeof(signups[0]); i++) {
		cr_assert_eq(mail_scene_post(&scene, "/signup", NULL, &reply, "%s", signups[i]), 400, "%s", signups[i]);
		cr_assert_str_eq(mail_scene_code(&reply, code), "malformed", "%s", signups[i]);
	}
	for (size_t i = 0; i < sizeof(verifications) / sizeof(verifications[0]); i++) {
		cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "%s", verifications[i]), 400);
		cr_assert_str_eq(mail_scene_code(&reply, code), "malformed", "%s", verifications[i]);
	}
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s'}", tokens[i]), 400);
		cr_assert_str_eq(mail_scene_code(&reply, code), "link_invalid", "%s", tokens[i]);
	}
	cr_assert_eq(count(&scene, "SELECT COUNT(*) FROM events"), 0);
	mail_scene_clear(&scene);
}

/* Whoever sends a request must not choose where its mail leads. */
Test(signup, links_are_made_of_public_url_alone)
{
	static const char *const headers[] = {"Host: evil.example", "X-Forwarded-Host: evil.example",
		"X-Forwarded-Proto: http", "Forwarded: host=evil.example;proto=http",
		"X-Original-URL: http://evil.example/", NULL};
	struct mail_scene scene;
	struct http_reply reply;
	char url[SERVER_URL], link[MAILBOX_URL];
	char *mail;

	mail_scene_set(&scene, NULL, NULL);
	http_do(&(struct http_call){.url = server_url(scene.server, "/signup", url),
			.headers = headers,
			.body = "{\"email\":\"" BOB "\",\"password\":\"" PASSWORD "\"}"},
		&reply);
	cr_assert_eq(reply.status, 202);
	http_reply_release(&reply);
	cr_assert(mailbox_url(scene.smtp, BOB, CONFIRM, link));
	cr_assert_eq(strncmp(link, MAIL_SCENE_PUBLIC "/email/verify#token=",
			     strlen(MAIL_SCENE_PUBLIC "/email/verify#token=")),
		0, "%s", link);
	mail = mailbox_latest(scene.smtp, BOB, NULL);
	cr_assert_null(strstr(mail, "evil"));
	free(mail);
	mail_scene_clear(&scene);
}

/* Neither before nor after the mail is sent; nor where the mail server quotes what it refuses. */
Test(signup, nothing_that_is_kept_holds_the_token)
{
	struct smtp_script later = {.replies[SMTP_END_OF_DATA] = "451 4.3.0 later"}, refused = {.replies = {NULL}};
	struct mail_scene scene;
	char token[MAILBOX_TOKEN], refusal[256];
	char *state = NULL;

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, NULL, token);
	cr_assert(metric_wait(
		scene.server, "tokenfirst_effects_total{effect=\"email\",outcome=\"delivered\"}", 1, SCENE_WAIT_MS));
	cr_assert_not(mail_scene_keeps(&scene, token));
	cr_assert_eq(verify(&scene, token), 201);
	cr_assert_not(mail_scene_keeps(&scene, token));
	cr_assert_not(mail_scene_keeps(&scene, token + 12));

	/* every attempt has the same token: the first tells the receiver what to quote */
	smtp_peer_script(scene.smtp, &later, 1);
	cr_assert_eq(server_stop(scene.server), 0);
	server_restart(scene.server, NULL); /* a connection of its own */
	cr_assert_eq(sign_up(&scene, "carol@example.com", NULL), 202);
	for (size_t i = 0;; i++) {
		struct smtp_mail mail;
		const char *at;

		cr_assert(smtp_peer_wait(scene.smtp, i + 1, SCENE_WAIT_MS));
		mail = smtp_peer_mail(scene.smtp, i);
		at = strcmp(mail.recipients[0], "carol@example.com") == 0 ? strstr(mail.message, "#token=3D") : NULL;
		if (at != NULL) {
			size_t n = 0;

			for (at += strlen("#token=3D"); n < MAILBOX_TOKEN - 1 && *at != '\r' && *at != '"'; at++) {
				if (strncmp(at, "=\r\n", 3) == 0)
					at += 2;
				else
					token[n++] = *at;
			}
			token[n] = '\0';
			break;
		}
	}
	cr_assert_eq(strlen(token), LINK_TOKEN_SIZE - 2, "%s", token);
	(void)snprintf(refusal, sizeof(refusal), "554 5.6.0 spam: #token=%s.", token);
	refused.replies[SMTP_END_OF_DATA] = refusal;
	server_kill(scene.server);
	smtp_peer_script(scene.smtp, &refused, 1);
	server_restart(scene.server, NULL);
	cr_assert(metric_wait(
		scene.server, "tokenfirst_effects_total{effect=\"email\",outcome=\"dead\"}", 1, SCENE_WAIT_MS));
	state = scene_query(scene.server, "SELECT reason FROM effects WHERE state = 3 OR reason <> ''");
	cr_assert_not(mail_scene_keeps(&scene, token), "%s", state);
	cr_assert_not(mail_scene_keeps(&scene, token + 20), "%s", state);
	cr_assert(mail_scene_keeps(&scene, "spam: #token=*****"), "the reply is kept, without it: %s", state);
	free(state);
	cr_assert_eq(verify(&scene, token), 201);
	mail_scene_clear(&scene);
}

Test(signup, a_mail_that_was_promised_outlives_a_crash)
{
	struct smtp_script stall = {.replies[SMTP_MAIL] = SMTP_PEER_STALL}, good = {.replies = {NULL}};
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	mail_scene_set(&scene, &stall, NULL);
	cr_assert_eq(sign_up(&scene, BOB, "bob"), 202);
	server_kill(scene.server);
	cr_assert_eq(mailbox_count(scene.smtp, BOB), 0);
	smtp_peer_script(scene.smtp, &good, 1);
	server_restart(scene.server, NULL);
	cr_assert(mailbox_token(scene.smtp, BOB, CONFIRM, token));
	cr_assert_eq(verify(&scene, token), 201);
	cr_assert_eq(api_login(scene.server, "bob", PASSWORD).status, 200);
	mail_scene_clear(&scene);
}

/* It could name any row, and read the token in a mail to itself. */
Test(signup, a_service_can_send_no_event_that_has_a_link)
{
	static const char *const types[] = {
		"user.signup", "user.invited", "user.password_forgot", "user.reset_required"};
	struct mail_scene scene;

	mail_scene_set(&scene, NULL, "{'services':{'shop':{'token':'a-token-of-a-shop','types':['*']}}}");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		cr_assert_eq(mail_scene_post(&scene, "/events", "Authorization: Bearer a-token-of-a-shop", NULL,
				     "{'type':'%s','data':{'user':{'email':'eve@example.com'},'link':{'id':1,"
				     "'purpose':'reset','expires':'2036-01-02T03:04:05.000Z'}}}",
				     types[i]),
			403);
	cr_assert_eq(mail_scene_post(&scene, "/events", "Authorization: Bearer a-token-of-a-shop", NULL,
			     "{'type':'order.paid'}"),
		202);
	mail_scene_clear(&scene);
}

/* Anybody can sign up with anybody's address. */
Test(signup, the_owner_of_an_address_does_not_share_the_account_with_who_signed_up)
{
	static const char mine[] = "my own words and of nobody else";
	struct mail_scene scene;
	struct http_reply reply;
	char token[MAILBOX_TOKEN], code[64];

	mail_scene_set(&scene, NULL, NULL);
	token_for(&scene, BOB, "bob", token);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, NULL, "{'token':'%s','password':7}", token), 400);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, NULL, "{'token':'%s','password':''}", token), 400);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, &reply, "{'token':'%s','password':'short'}", token),
		400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "password_refused");
	cr_assert_eq(count(&scene, "SELECT count(*) FROM users"), 0, "the link is good still");
	cr_assert_eq(
		mail_scene_post(&scene, "/email/verify", NULL, NULL, "{'token':'%s','password':\"%s\"}", token, mine),
		201);
	cr_expect_eq(api_login(scene.server, "bob", PASSWORD).status, 401);
	cr_expect_eq(api_login(scene.server, "bob", mine).status, 200);
	mail_scene_clear(&scene);
}

/* Asking costs a thread that logs in, and may cost a look at a list elsewhere. */
Test(signup, passwords_that_are_refused_count_for_who_asks)
{
	struct mail_scene scene;

	mail_scene_set(&scene, NULL, "{'throttle':{'address':{'burst':3,'per_minute':1}}}");
	for (int i = 0; i < 3; i++)
		cr_expect_eq(
			mail_scene_post(&scene, "/signup", NULL, NULL, "{'email':'" BOB "','password':'short'}"), 400);
	cr_expect_eq(mail_scene_post(&scene, "/signup", NULL, NULL, "{'email':'" BOB "','password':'short'}"), 429);
	cr_expect_eq(sign_up(&scene, BOB, NULL), 429);
	cr_expect_eq(mailbox_count(scene.smtp, BOB), 0);
	mail_scene_clear(&scene);
}
