/* Passwords that are lost, and those that are changed: who hears of it, what ends, and what stays. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/mail_scene.h"

#define ALICE	 "alice@example.com"
#define PASSWORD "a long walk by the sea 7"
#define OTHER	 "nothing but rain today 8"
#define LOST	 "Choose a new password"

TestSuite(forgotten, .timeout = 60);

/* With the user alice. */
static void set(struct mail_scene *scene, const char *more)
{
	mail_scene_set(scene, NULL, more);
	server_add_user(scene->server, "alice", ALICE, PASSWORD, false);
}

static int forgot(const struct mail_scene *scene, const char *member, const char *name)
{
	return mail_scene_post(scene, "/password/forgot", NULL, NULL, "{'%s':'%s'}", member, name);
}

static void token_for(struct mail_scene *scene, char token[MAILBOX_TOKEN])
{
	size_t before = mailbox_count(scene->smtp, ALICE);

	cr_assert_eq(forgot(scene, "email", ALICE), 202);
	cr_assert(mailbox_wait(scene->smtp, ALICE, before + 1, SCENE_WAIT_MS));
	cr_assert(mailbox_token(scene->smtp, ALICE, LOST, token));
}

static int reset(const struct mail_scene *scene, const char *token, const char *password)
{
	return mail_scene_post(scene, "/password/reset", NULL, NULL, "{'token':'%s','password':'%s'}", token, password);
}

static int login_status(const struct mail_scene *scene, const char *password)
{
	return api_login(scene->server, "alice", password).status;
}

static int me_status(const struct mail_scene *scene, const struct api_login *login)
{
	struct http_reply reply;
	int status;

	api_get(scene->server, "/me", login->authorization, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

static void stored_is(const struct mail_scene *scene, const char *sql, const char *expected)
{
	char *text = scene_query(scene->server, sql);

	cr_assert_str_eq(text, expected, "%s gives %s", sql, text);
	free(text);
}

/* Stops it, changes its store, starts it. */
static void change_stored(struct mail_scene *scene, const char *sql)
{
	cr_assert_eq(server_stop(scene->server), 0);
	mail_scene_change(scene, sql);
	server_restart(scene->server, NULL);
}

static void hears_of(struct mail_scene *scene, const char *subject)
{
	char *mail = mailbox_await(scene->smtp, ALICE, subject, SCENE_WAIT_MS);

	cr_assert_not_null(mail, "no mail \"%s\"", subject);
	free(mail);
}

Test(forgotten, a_mails_link_sets_a_new_password_and_ends_all_sessions)
{
	struct mail_scene scene;
	struct http_reply reply;
	struct api_login before;
	char token[MAILBOX_TOKEN], header[HTTP_HEADER_MAX];

	set(&scene, NULL);
	before = api_login(scene.server, "alice", PASSWORD);
	cr_assert_eq(mail_scene_post(&scene, "/password/forgot", NULL, &reply, "{'email':'ALICE@Example.com'}"), 202);
	cr_assert_str_eq(http_reply_text(&reply, "event_id"), http_reply_header(&reply, "X-Event-Id", header));
	http_reply_release(&reply);
	cr_assert(mailbox_token(scene.smtp, ALICE, LOST, token));
	cr_assert_eq(login_status(&scene, PASSWORD), 200);
	cr_assert_eq(me_status(&scene, &before), 200);

	cr_assert_eq(mail_scene_post(
			     &scene, "/password/reset", NULL, &reply, "{'token':'%s','password':'" OTHER "'}", token),
		200);
	cr_assert_str_eq(http_reply_text(&reply, "event_id"), http_reply_header(&reply, "X-Event-Id", header));
	cr_assert_eq(json_object_size(reply.json), 1, "a reset logs nobody in");
	http_reply_release(&reply);
	cr_assert_eq(me_status(&scene, &before), 401);
	cr_assert_eq(login_status(&scene, PASSWORD), 401);
	cr_assert_eq(login_status(&scene, OTHER), 200);
	hears_of(&scene, "Your password was reset");
	stored_is(&scene, "SELECT COUNT(*) FROM audit WHERE type = 'user.password_reset' AND user_id = 1", "1");
	mail_scene_clear(&scene);
}

Test(forgotten, asked_for_by_the_username)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	cr_assert_eq(forgot(&scene, "username", "Alice"), 202);
	cr_assert(mailbox_token(scene.smtp, ALICE, LOST, token));
	cr_assert_eq(reset(&scene, token, PASSWORD), 200, "the old one may be chosen again");
	cr_assert_eq(login_status(&scene, PASSWORD), 200);
	mail_scene_clear(&scene);
}

Test(forgotten, who_has_no_account_or_none_to_come_back_to_gets_the_same_answer_and_no_mail)
{
	static const char *const disable[] = {"user", "disable", "carol", NULL};
	static const struct {
		const char *member, *name;
	} rows[] = {{"email", "bob@example.com"}, {"username", "bob"}, {"email", "carol@example.com"},
		{"username", "carol"}, {"username", "dave"}, {"email", ""}, {"username", "a\\u0000b"},
		{"email", "not an address"}};
	struct mail_scene scene;
	struct http_reply known, reply;

	set(&scene, NULL);
	server_add_user(scene.server, "carol", "carol@example.com", PASSWORD, false);
	server_add_user(scene.server, "dave", NULL, PASSWORD, false);
	cr_assert_eq(server_command(scene.server, disable, NULL, NULL), 0);
	cr_assert_eq(mail_scene_post(&scene, "/password/forgot", NULL, &known, "{'email':'" ALICE "'}"), 202);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char header[HTTP_HEADER_MAX];
		bool bad_json = strchr(rows[i].name, '\\') != NULL;

		cr_assert_eq(mail_scene_post(&scene, "/password/forgot", NULL, &reply, "{'%s':'%s'}", rows[i].member,
				     rows[i].name),
			bad_json ? 400 : 202, "%s", rows[i].name);
		if (!bad_json) {
			cr_assert_eq(reply.body_len, known.body_len);
			cr_assert_eq(strlen(http_reply_text(&reply, "event_id")), 26);
			cr_assert_str_eq(
				http_reply_text(&reply, "event_id"), http_reply_header(&reply, "X-Event-Id", header));
		}
		http_reply_release(&reply);
	}
	http_reply_release(&known);
	cr_assert(mailbox_wait(scene.smtp, ALICE, 1, SCENE_WAIT_MS));
	cr_assert_eq(server_stop(scene.server), 0); /* all that was owed is sent */
	stored_is(&scene,
		"SELECT COUNT(*) FROM effects JOIN events ON events.id = event WHERE state = 1 AND "
		"type = 'user.password_forgot'",
		"1");
	/* the time of one is the time of the others: each has all the rows that alice's has */
	stored_is(&scene,
		"SELECT COUNT(*) FROM effects JOIN events ON events.id = event WHERE "
		"type = 'user.password_forgot'",
		"8");
	stored_is(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.password_forgot'", "8");
	stored_is(&scene, "SELECT COUNT(*) FROM audit WHERE type = 'user.password_forgot'", "8");
	stored_is(&scene, "SELECT COUNT(*) FROM links", "8");
	stored_is(&scene, "SELECT COUNT(*) FROM links WHERE used_ms = 0", "1");
	mail_scene_clear(&scene);
}

Test(forgotten, links_are_good_until_one_is_used)
{
	struct mail_scene scene;
	struct http_reply reply;
	char first[MAILBOX_TOKEN], second[MAILBOX_TOKEN], code[64];

	set(&scene, NULL);
	token_for(&scene, first);
	token_for(&scene, second);
	cr_assert_str_neq(first, second);
	cr_assert_eq(reset(&scene, first, OTHER), 200, "a later request must not spoil an earlier link");
	cr_assert_eq(reset(&scene, second, PASSWORD), 400);
	cr_assert_eq(mail_scene_post(&scene, "/password/reset", NULL, &reply,
			     "{'token':'%s','password':'" PASSWORD "'}", first),
		400);
	cr_assert_str_eq(mail_scene_code(&reply, code), "link_invalid");
	cr_assert_eq(login_status(&scene, OTHER), 200);
	mail_scene_clear(&scene);
}

Test(forgotten, a_link_ends_with_its_time)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, "{'link':{'reset_ttl':'1s'}}");
	token_for(&scene, token);
	harness_sleep_ms(1100);
	cr_assert_eq(reset(&scene, token, OTHER), 400);
	cr_assert_eq(login_status(&scene, PASSWORD), 200);
	mail_scene_clear(&scene);
}

Test(forgotten, a_link_of_an_account_that_is_disabled_is_no_use)
{
	static const char *const disable[] = {"user", "disable", "alice", NULL};
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	token_for(&scene, token);
	cr_assert_eq(server_command(scene.server, disable, NULL, NULL), 0);
	cr_assert_eq(reset(&scene, token, OTHER), 400);
	stored_is(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.password_reset'", "0");
	mail_scene_clear(&scene);
}

Test(forgotten, it_is_the_way_back_for_who_is_locked_out_or_must_choose_anew)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	change_stored(&scene, "UPDATE users SET locked_ms = 1, failures = 100");
	cr_assert_eq(login_status(&scene, PASSWORD), 401);
	token_for(&scene, token);
	cr_assert_eq(reset(&scene, token, OTHER), 200);
	cr_assert_eq(login_status(&scene, OTHER), 200);
	change_stored(&scene, "UPDATE users SET must_reset = 1");
	cr_assert_eq(login_status(&scene, OTHER), 403);
	token_for(&scene, token);
	cr_assert_eq(reset(&scene, token, PASSWORD), 200);
	cr_assert_eq(login_status(&scene, PASSWORD), 200);
	mail_scene_clear(&scene);
}

Test(forgotten, a_token_is_for_its_purpose)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	token_for(&scene, token);
	cr_assert_eq(mail_scene_post(&scene, "/email/verify", NULL, NULL, "{'token':'%s'}", token), 400);
	cr_assert_eq(
		mail_scene_post(&scene, "/signup", NULL, NULL, "{'invite_token':'%s','password':'" OTHER "'}", token),
		400);
	for (size_t i = 0; i < strlen(token); i += 7) {
		char bad[MAILBOX_TOKEN];

		memcpy(bad, token, sizeof(bad));
		bad[i] = bad[i] == 'x' ? 'y' : 'x';
		cr_assert_eq(reset(&scene, bad, OTHER), 400, "letter %zu", i);
	}
	cr_assert_eq(reset(&scene, token, OTHER), 200);
	mail_scene_clear(&scene);
}

Test(forgotten, bodies_that_lack_what_they_must_have)
{
	static const struct {
		const char *path, *body;
	} rows[] = {{"/password/forgot", "{}"}, {"/password/forgot", "{'email':1}"},
		{"/password/forgot", "{'email':'" ALICE "','username':'alice'}"}, {"/password/reset", "{}"},
		{"/password/reset", "{'token':'x'}"}, {"/password/reset", "{'password':'" OTHER "'}"},
		{"/password/reset", "{'token':7,'password':'" OTHER "'}"},
		{"/password/reset", "{'token':'x','password':''}"}, {"/password/change", "{}"},
		{"/password/change", "{'current_password':'" PASSWORD "'}"},
		{"/password/change", "{'new_password':'" OTHER "'}"},
		{"/password/change", "{'current_password':'" PASSWORD "','new_password':''}"}};
	struct mail_scene scene;
	struct http_reply reply;
	struct api_login login;
	char code[64];

	set(&scene, NULL);
	login = api_login(scene.server, "alice", PASSWORD);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_eq(mail_scene_post(&scene, rows[i].path, login.authorization, &reply, "%s", rows[i].body),
			400, "%s %s", rows[i].path, rows[i].body);
		cr_assert_str_eq(mail_scene_code(&reply, code), "malformed");
	}
	mail_scene_clear(&scene);
}

Test(forgotten, a_change_ends_all_sessions_but_its_own_and_voids_links)
{
	struct mail_scene scene;
	struct http_reply reply;
	struct api_login mine, others[2];
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	for (size_t i = 0; i < 2; i++)
		others[i] = api_login(scene.server, "alice", PASSWORD);
	mine = api_login(scene.server, "alice", PASSWORD);
	token_for(&scene, token);
	cr_assert_eq(mail_scene_post(&scene, "/password/change", mine.authorization, &reply,
			     "{'current_password':'" PASSWORD "','new_password':'" OTHER "'}"),
		200);
	cr_assert_eq(json_integer_value(http_reply_member(&reply, "revoked")), 2);
	cr_assert_str_neq(http_reply_text(&reply, "event_id"), "");
	http_reply_release(&reply);
	cr_assert_eq(me_status(&scene, &mine), 200);
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(me_status(&scene, &others[i]), 401);
	cr_assert_eq(reset(&scene, token, PASSWORD), 400, "an older mail must not undo a newer password");
	cr_assert_eq(login_status(&scene, PASSWORD), 401);
	cr_assert_eq(login_status(&scene, OTHER), 200);
	hears_of(&scene, "Your password was changed");
	mail_scene_clear(&scene);
}

Test(forgotten, a_change_takes_the_current_password_and_a_session)
{
	struct mail_scene scene;
	struct http_reply reply;
	struct api_login mine, other;
	char code[64];

	set(&scene, NULL);
	mine = api_login(scene.server, "alice", PASSWORD);
	other = api_login(scene.server, "alice", PASSWORD);
	cr_assert_eq(mail_scene_post(&scene, "/password/change", mine.authorization, &reply,
			     "{'current_password':'" OTHER "','new_password':'" OTHER "'}"),
		403);
	cr_assert_str_eq(mail_scene_code(&reply, code), "wrong_password");
	cr_assert_eq(mail_scene_post(&scene, "/password/change", NULL, NULL,
			     "{'current_password':'" PASSWORD "','new_password':'" OTHER "'}"),
		401);
	cr_assert_eq(me_status(&scene, &other), 200);
	cr_assert_eq(login_status(&scene, PASSWORD), 200);
	stored_is(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.password_changed'", "0");
	mail_scene_clear(&scene);
}

/* A lock keeps whoever guesses out: one who holds a session as well. */
Test(forgotten, a_locked_account_changes_nothing_with_the_right_password)
{
	struct mail_scene scene;
	struct api_login mine;

	set(&scene, NULL);
	mine = api_login(scene.server, "alice", PASSWORD);
	change_stored(&scene, "UPDATE users SET locked_ms = 1");
	cr_assert_eq(mail_scene_post(&scene, "/password/change", mine.authorization, NULL,
			     "{'current_password':'" PASSWORD "','new_password':'" OTHER "'}"),
		403);
	stored_is(&scene, "SELECT COUNT(*) FROM events WHERE type = 'user.password_changed'", "0");
	mail_scene_clear(&scene);
}

Test(forgotten, nothing_that_is_kept_holds_the_token_or_a_password)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	token_for(&scene, token);
	cr_assert_eq(reset(&scene, token, OTHER), 200);
	hears_of(&scene, "Your password was reset");
	cr_assert_not(mail_scene_keeps(&scene, token));
	cr_assert_not(mail_scene_keeps(&scene, token + 12));
	cr_assert_not(mail_scene_keeps(&scene, OTHER));
	cr_assert(mail_scene_keeps(&scene, "user.password_forgot"), "the search finds what is there");
	mail_scene_clear(&scene);
}

Test(forgotten, a_mail_that_was_promised_outlives_a_crash)
{
	struct smtp_script stall = {.replies[SMTP_RCPT] = SMTP_PEER_STALL}, good = {.replies = {NULL}};
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, NULL);
	smtp_peer_script(scene.smtp, &stall, 1);
	cr_assert_eq(forgot(&scene, "email", ALICE), 202);
	server_kill(scene.server);
	cr_assert_eq(mailbox_count(scene.smtp, ALICE), 0);
	smtp_peer_script(scene.smtp, &good, 1);
	server_restart(scene.server, NULL);
	cr_assert(mailbox_token(scene.smtp, ALICE, LOST, token));
	cr_assert_eq(reset(&scene, token, OTHER), 200);
	cr_assert_eq(login_status(&scene, OTHER), 200);
	mail_scene_clear(&scene);
}

static int login_by_email(const struct mail_scene *scene, const char *password)
{
	return mail_scene_post(scene, "/login", NULL, NULL, "{'email':'" ALICE "','password':'%s'}", password);
}

Test(forgotten, a_reset_opens_an_account_that_strangers_have_locked_and_ends_its_delays)
{
	struct mail_scene scene;
	char token[MAILBOX_TOKEN];

	set(&scene, "{'throttle':{'account':{'free':2,'first':'10m','cap':'10m','hard':2}}}");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(login_status(&scene, "wrong"), 401);
		cr_assert_eq(login_by_email(&scene, "wrong"), 401);
	}
	hears_of(&scene, "Your account is locked");
	cr_assert_eq(login_status(&scene, PASSWORD), 429);
	cr_assert_eq(login_by_email(&scene, PASSWORD), 429);
	token_for(&scene, token);
	cr_assert_eq(reset(&scene, token, OTHER), 200);
	cr_expect_eq(login_status(&scene, OTHER), 200);
	cr_expect_eq(login_by_email(&scene, OTHER), 200);
	mail_scene_clear(&scene);
}
