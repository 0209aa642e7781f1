/* Accounts in administrators' hands, by HTTP and by command line: what they do, what it leaves behind, and who may. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/store.h"
#include "server/accounts/users.h"
#include "tests/support/mail_scene.h"

#define EVERYTHING "{'effects':{'bus':{'on':['user.*']}}}"
#define BOB	   "bob and his own long password"

enum { CROWD = 1000, PATH = 256 };

static struct scene scene;
static struct api_login root;

static void setup(void)
{
	scene_set(&scene, NULL, 0, EVERYTHING);
	server_add_user(scene.server, "root", "root@example.com", SCENE_PASSWORD, true);
	root = api_login(scene.server, "root", SCENE_PASSWORD);
	cr_assert_eq(root.status, 200);
}

static void teardown(void)
{
	scene_clear(&scene);
}

TestSuite(admin_mails, .timeout = 60);
TestSuite(admin_users, .init = setup, .fini = teardown, .timeout = 90);

/* As whoever has this token; the status. `ret_reply` NULL: nobody wants the rest. */
static int ask(
	const char *authorization, const char *method, const char *path, const char *body, struct http_reply *ret_reply)
{
	const char *const headers[] = {authorization, NULL};
	struct http_reply reply;
	char url[SERVER_URL];
	char *quoted = body ? scene_text("%s", body) : NULL;
	int status;

	http_do(&(struct http_call){.method = method,
			.url = server_url(scene.server, path, url),
			.headers = headers,
			.body = quoted},
		&reply);
	free(quoted);
	status = reply.status;
	if (ret_reply)
		*ret_reply = reply;
	else
		http_reply_release(&reply);
	return status;
}

/* As root: a member of the reply, copied. Anything but `status` fails. */
static char *ask_for(int status, const char *method, const char *path, const char *body, const char *member)
{
	struct http_reply reply;
	char *text;

	cr_assert_eq(
		ask(root.authorization, method, path, body, &reply), status, "%s %s: %s", method, path, reply.body);
	text = strdup(http_reply_text(&reply, member));
	http_reply_release(&reply);
	return text;
}

static void path_of(char path[PATH], const char *user_id, const char *action)
{
	(void)snprintf(path, PATH, "/admin/users/%s%s%s", user_id, *action ? "/" : "", action);
}

static char *add_bob(void)
{
	return ask_for(201, "POST", "/admin/users", "{'username':'bob','email':'bob@example.com','password':'" BOB "'}",
		"user.id");
}

/* Does it to an account, and sees that the event arrives and the audit row is there. */
static void act(const char *method, const char *user_id, const char *action, const char *type)
{
	char path[PATH], key[PEER_TEXT], sql[PATH * 2];
	struct api_login causing = {.status = 200};
	char *event_id, *rows;
	bool found = false;

	path_of(path, user_id, action);
	event_id = ask_for(200, method, path, NULL, "event_id");
	(void)snprintf(causing.event_id, sizeof(causing.event_id), "%s", event_id);
	free(event_id);
	cr_assert(scene_key_wait(scene.peer, scene_key(&causing, "bus", key), SCENE_WAIT_MS), "%s", type);
	for (size_t i = 0; i < peer_count(scene.peer); i++) {
		const struct peer_request request = peer_request(scene.peer, i);
		char value[PEER_TEXT];
		if (strcmp(peer_header(&request, "Idempotency-Key", value), key) == 0)
			found = strstr(request.body, type) && strstr(request.body, user_id);
	}
	cr_assert(found, "%s", type);
	(void)snprintf(sql, sizeof(sql),
		"SELECT count(*) FROM audit JOIN users ON users.id = user_id WHERE type = '%s' AND actor = "
		"'admin:root' AND public_id = '%s' AND client = '127.0.0.1' AND request_id <> ''",
		type, user_id);
	rows = scene_query(scene.server, sql);
	cr_assert_str_eq(rows, "1", "%s", type);
	free(rows);
}

static int me_status(const struct api_login *login)
{
	return ask(login->authorization, "GET", "/me", NULL, NULL);
}

Test(admin_users, made_found_and_shown_without_a_hash)
{
	char path[PATH];
	struct http_reply reply;
	char *id = add_bob();

	cr_assert_eq(api_login(scene.server, "bob", BOB).status, 200);
	path_of(path, id, "");
	cr_assert_eq(ask(root.authorization, "GET", path, NULL, &reply), 200);
	cr_assert_str_eq(http_reply_text(&reply, "user.username"), "bob");
	cr_assert_str_eq(http_reply_text(&reply, "user.password"), "argon2id");
	cr_assert_str_eq(http_reply_text(&reply, "user.second_factor"), "none");
	cr_assert_eq(json_integer_value(http_reply_member(&reply, "user.sessions")), 1);
	cr_assert_null(strstr(reply.body, "$argon2id$"), "%s", reply.body);
	http_reply_release(&reply);

	cr_assert_eq(ask(root.authorization, "GET", "/admin/users?search=BOB@&limit=1", NULL, &reply), 200);
	cr_assert_eq(json_array_size(http_reply_member(&reply, "users")), 1);
	cr_assert_null(strstr(reply.body, "$argon2id$"));
	http_reply_release(&reply);
	free(id);
}

Test(admin_users, what_can_not_be_made_is_refused)
{
	static const struct {
		const char *body;
		int status;
		const char *code;
	} cases[] = {
		{"{'username':'ALICE','password':'" SCENE_PASSWORD "'}", 409, "user_exists"},
		{"{'username':'bob','email':'alice@example.com','password':'" SCENE_PASSWORD "'}", 409, "user_exists"},
		{"{'username':'alice','email':'bob@example.com'}", 409, "user_exists"},
		{"{'username':'bob'}", 400, "malformed"},
		{"{'email':'bob@example.com'}", 400, "malformed"},
		{"{'username':'b b','password':'" SCENE_PASSWORD "'}", 400, "malformed"},
		{"{'username':'bob','email':'b\\r\\n@c','password':'" SCENE_PASSWORD "'}", 400, "malformed"},
		{"{'username':'bob','password':''}", 400, "password_refused"},
		{"{'username':'bob','password':7}", 400, "malformed"},
		{"{'username':'bob','password':'" SCENE_PASSWORD "','admin':1}", 400, "malformed"},
		{"[]", 400, "malformed_json"},
	};
	char *rows;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *code = ask_for(cases[i].status, "POST", "/admin/users", cases[i].body, "code");
		cr_expect_str_eq(code, cases[i].code, "%s", cases[i].body);
		free(code);
	}
	rows = scene_query(
		scene.server, "SELECT (SELECT count(*) FROM links) + count(*) FROM events WHERE type LIKE 'user.%'");
	cr_assert_str_eq(rows, "1", "nothing of it is left but root's login");
	free(rows);
	free(ask_for(404, "GET", "/admin/users/01M7YKH936AQPDDQGDY2GCSVZG", NULL, "code"));
	free(ask_for(404, "POST", "/admin/users/alice/disable", NULL, "code"));
	free(ask_for(400, "GET", "/admin/users?limit=1001", NULL, "code"));
	free(ask_for(400, "GET", "/admin/users?after=alice", NULL, "code"));
}

Test(admin_users, disabled_enabled_and_revoked_with_an_event_and_an_audit_row_each)
{
	char *id = add_bob();
	struct api_login login = api_login(scene.server, "bob", BOB);

	cr_assert_eq(me_status(&login), 200);
	act("POST", id, "revoke", "user.sessions_revoked");
	cr_assert_eq(me_status(&login), 401);
	login = api_login(scene.server, "bob", BOB);
	act("POST", id, "disable", "user.disabled");
	cr_assert_eq(me_status(&login), 401);
	cr_assert_eq(api_login(scene.server, "bob", BOB).status, 401);
	act("POST", id, "enable", "user.enabled");
	cr_assert_eq(me_status(&login), 401, "a session that has ended stays so");
	cr_assert_eq(api_login(scene.server, "bob", BOB).status, 200);
	free(id);
}

Test(admin_users, deleted_it_is_gone_and_its_name_is_free)
{
	char *id = add_bob(), *again, *rows;
	struct api_login login = api_login(scene.server, "bob", BOB);
	char path[PATH];
	struct http_reply reply;

	act("DELETE", id, "", "user.deleted");
	cr_assert_eq(me_status(&login), 401);
	cr_assert_eq(api_login(scene.server, "bob", BOB).status, 401);
	path_of(path, id, "");
	cr_assert_eq(ask(root.authorization, "DELETE", path, NULL, NULL), 404);
	again = add_bob();
	cr_assert_str_neq(again, id);
	cr_assert_eq(api_login(scene.server, "bob", BOB).status, 200);

	(void)snprintf(path, PATH, "/admin/audit?user=%s", id);
	cr_assert_eq(ask(root.authorization, "GET", path, NULL, &reply), 200);
	cr_assert_eq(
		json_array_size(http_reply_member(&reply, "rows")), 3, "created, logged in, deleted: %s", reply.body);
	cr_assert_null(strstr(reply.body, "bob"), "only its id is left: %s", reply.body);
	http_reply_release(&reply);
	rows = scene_query(scene.server,
		"SELECT group_concat(username || username_key || coalesce(email, '') || password) "
		"FROM users WHERE deleted_ms <> 0");
	cr_assert_null(strstr(rows, "bob"), "%s", rows);
	cr_assert_null(strstr(rows, "argon2id"), "%s", rows);
	free(rows);
	free(again);
	free(id);
}

Test(admin_users, nobody_takes_away_the_account_that_is_used_for_it)
{
	char path[PATH];
	char *id, *code;
	struct http_reply reply;

	cr_assert_eq(ask(root.authorization, "GET", "/admin/users?search=root", NULL, &reply), 200);
	id = strdup(scene_member(json_array_get(http_reply_member(&reply, "users"), 0), "id"));
	http_reply_release(&reply);
	path_of(path, id, "disable");
	code = ask_for(409, "POST", path, NULL, "code");
	cr_assert_str_eq(code, "own_account");
	free(code);
	path_of(path, id, "");
	free(ask_for(409, "DELETE", path, NULL, "code"));
	path_of(path, id, "revoke");
	free(ask_for(200, "POST", path, NULL, "event_id"));
	cr_assert_eq(ask(root.authorization, "GET", "/admin/overview", NULL, NULL), 401, "its own sessions it may end");
	free(id);
}

Test(admin_users, only_for_administrators_and_not_a_moment_longer)
{
	static const char *const disable[] = {"user", "disable", "second", NULL};
	static const char *const revoke[] = {"user", "revoke", "root", NULL};
	static const char *const paths[] = {"/admin/users", "/admin/audit", "/admin/overview"};
	struct api_login alice = api_login(scene.server, "alice", SCENE_PASSWORD), second;

	server_add_user(scene.server, "second", NULL, SCENE_PASSWORD, true);
	second = api_login(scene.server, "second", SCENE_PASSWORD);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cr_expect_eq(ask(NULL, "GET", paths[i], NULL, NULL), 401, "%s", paths[i]);
		cr_expect_eq(ask(alice.authorization, "GET", paths[i], NULL, NULL), 403, "%s", paths[i]);
		cr_expect_eq(ask(second.authorization, "GET", paths[i], NULL, NULL), 200, "%s", paths[i]);
	}
	cr_assert_eq(
		ask(alice.authorization, "POST", "/admin/users", "{'username':'mallory','admin':true}", NULL), 403);
	cr_assert_eq(ask(alice.authorization, "POST", "/admin/invitations", "{'email':'m@example.com'}", NULL), 403);
	cr_assert_eq(server_command(scene.server, disable, NULL, NULL), 0);
	cr_assert_eq(server_command(scene.server, revoke, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cr_expect_eq(ask(second.authorization, "GET", paths[i], NULL, NULL), 401, "disabled: %s", paths[i]);
		cr_expect_eq(ask(root.authorization, "GET", paths[i], NULL, NULL), 401, "revoked: %s", paths[i]);
	}
}

/* The link of the latest event of a type is a row of this purpose, and nothing that could be used stands anywhere. */
static void check_link(const char *type, const char *purpose)
{
	char sql[512];
	char *found;

	(void)snprintf(sql, sizeof(sql),
		"SELECT links.purpose || (json_extract(data, '$.link.purpose') = links.purpose) FROM events JOIN links "
		"ON "
		"links.id = json_extract(data, '$.link.id') WHERE type = '%s' ORDER BY events.id DESC",
		type);
	found = scene_query(scene.server, sql);
	(void)snprintf(sql, sizeof(sql), "%s1", purpose);
	cr_assert_str_eq(found, sql);
	free(found);
}

Test(admin_users, a_reset_is_required_with_a_link)
{
	char *id = add_bob(), *row;
	struct api_login login = api_login(scene.server, "bob", BOB);

	act("POST", id, "require-reset", "user.reset_required");
	check_link("user.reset_required", "reset");
	cr_assert_eq(me_status(&login), 401);
	cr_assert_neq(api_login(scene.server, "bob", BOB).status, 200);
	row = scene_query(scene.server, "SELECT must_reset FROM users WHERE username = 'bob'");
	cr_assert_str_eq(row, "1");
	free(row);
	free(id);
}

Test(admin_users, an_account_without_a_password_gets_a_link_to_set_one)
{
	char *reset =
		ask_for(201, "POST", "/admin/users", "{'username':'bob','email':'bob@example.com'}", "reset_event_id");
	char *row;

	cr_assert_str_neq(reset, "");
	check_link("user.reset_required", "reset");
	row = scene_query(scene.server, "SELECT substr(password, 1, 10) FROM users WHERE username = 'bob'");
	cr_assert_str_eq(row, "$argon2id$", "a hash like any other, of what nobody knows");
	free(row);
	row = scene_query(scene.server,
		"SELECT group_concat(type) FROM events WHERE json_extract(data, '$.user.username') = 'bob'");
	cr_assert_str_eq(row, "user.created,user.reset_required");
	free(row);
	free(reset);
}

Test(admin_users, invited_an_address_gets_a_link_once_it_has_no_account)
{
	char *code = ask_for(409, "POST", "/admin/invitations", "{'email':'Alice@Example.com'}", "code");
	char *email = ask_for(201, "POST", "/admin/invitations", "{'email':'new@example.com'}", "email");
	char *row;

	cr_assert_str_eq(code, "user_exists");
	cr_assert_str_eq(email, "new@example.com");
	check_link("user.invited", "invite");
	row = scene_query(
		scene.server, "SELECT detail FROM audit WHERE type = 'user.invited' AND actor = 'admin:root'");
	cr_assert_null(strstr(row, "example.com"), "the trail can't be cleaned of an address: %s", row);
	cr_assert_not_null(strstr(row, "\"link\":"), "%s", row);
	free(row);
	free(ask_for(400, "POST", "/admin/invitations", "{'email':'new'}", "code"));
	free(ask_for(400, "POST", "/admin/invitations", "{}", "code"));
	free(email);
	free(code);
}

/* Straight into the store, which no server has open. */
static void seed_crowd(void)
{
	char url[SERVER_URL], why[256] = "";
	struct store *store = NULL;
	struct db *db;

	(void)snprintf(url, sizeof(url), "sqlite:%s/tokenfirst.db", server_folder(scene.server));
	cr_assert_eq(store_open(url, &store, why), 0, "%s", why);
	db = store_writer(store);
	cr_assert_eq(db_begin(db), 0);
	for (int i = 0; i < CROWD; i++) {
		struct user user = {.password = "$argon2id$none"};
		(void)snprintf(user.username, sizeof(user.username), "crowd-%04d", i * 7 % CROWD);
		cr_assert_eq(users_add(db, &user, 1000), 0);
	}
	cr_assert_eq(db_commit(db), 0);
	store_close(store);
}

static void mark_page(const json_t *users, bool seen[CROWD])
{
	const json_t *user;
	size_t i;
	int n;

	json_array_foreach(users, i, user)
	{
		const char *name = scene_member(user, "username");
		if (strlen(name) != 10 || sscanf(name, "crowd-%4d", &n) != 1)
			continue;
		cr_assert_not(seen[n], "%s comes twice", name);
		seen[n] = true;
	}
}

Test(admin_users, a_thousand_are_paged_without_gap_or_repeat_while_others_are_added)
{
	bool seen[CROWD] = {false};
	char path[PATH] = "/admin/users?search=crowd&limit=37", body[PATH];
	struct http_reply reply;
	int pages = 0;
	bool more;

	cr_assert_eq(server_stop(scene.server), 0);
	seed_crowd();
	server_restart(scene.server, NULL);
	do {
		cr_assert_eq(ask(root.authorization, "GET", path, NULL, &reply), 200, "%s", reply.body);
		mark_page(http_reply_member(&reply, "users"), seen);
		more = json_is_string(http_reply_member(&reply, "next"));
		(void)snprintf(
			path, PATH, "/admin/users?search=crowd&limit=37&after=%s", http_reply_text(&reply, "next"));
		http_reply_release(&reply);
		(void)snprintf(body, sizeof(body), "{'username':'crowd-%04d.%d','password':'" SCENE_PASSWORD "'}",
			pages * 271 % CROWD, pages);
		free(ask_for(201, "POST", "/admin/users", body, "event_id"));
		pages++;
	} while (more);
	cr_assert_geq(pages, CROWD / 37);
	for (int i = 0; i < CROWD; i++)
		cr_assert(seen[i], "crowd-%04d is missing", i);
}

static char *command(int code, const char *const *words)
{
	char *out = NULL;

	cr_assert_eq(server_command(scene.server, words, NULL, &out), code, "%s %s", words[0], words[1]);
	return out ? out : strdup("");
}

static void twins(bool live)
{
	static const struct {
		const char *word, *type;
	} commands[] = {
		{"require-reset", "user.reset_required"},
		{"revoke", "user.sessions_revoked"},
		{"enable", "user.enabled"},
		{"unlock", "user.unlocked"},
		{"delete", "user.deleted"},
	};
	char sql[256];
	char *out;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		free(command(0, (const char *[]){"user", commands[i].word, "bob", NULL}));
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM audit WHERE type = '%s' AND actor = 'command'",
			commands[i].type);
		out = scene_query(scene.server, sql);
		cr_assert_str_eq(out, "1", "%s", commands[i].type);
		free(out);
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM events WHERE type = '%s'", commands[i].type);
		out = scene_query(scene.server, sql);
		cr_assert_str_eq(out, live && i != 3 ? "1" : "0", "%s", commands[i].type);
		free(out);
		free(command(i == 4, (const char *[]){"user", "show", "bob", NULL}));
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		free(command(1, (const char *[]){"user", commands[i].word, "bob", NULL}));
}

Test(admin_users, commands_are_twins_beside_a_server)
{
	char *out;

	server_add_user(scene.server, "bob", "bob@example.com", BOB, false);
	out = command(0, (const char *[]){"user", "list", "--search", "bo", "--limit", "5", "--json", NULL});
	cr_assert_not_null(strstr(out, "bob@example.com"), "%s", out);
	cr_assert_null(strstr(out, "alice"), "%s", out);
	free(out);
	twins(true);
	free(command(0, (const char *[]){"user", "invite", "new@example.com", NULL}));
	check_link("user.invited", "invite");
	free(command(1, (const char *[]){"user", "invite", "alice@example.com", NULL}));
	free(command(2, (const char *[]){"user", "invite", "alice", NULL}));
}

Test(admin_users, commands_do_without_a_server_what_takes_no_mail)
{
	server_add_user(scene.server, "bob", "bob@example.com", BOB, false);
	cr_assert_eq(server_stop(scene.server), 0);
	twins(false);
	free(command(1, (const char *[]){"user", "invite", "new@example.com", NULL}));
}

/* What a mail's link is for: it sets the password that was asked for, and makes the account that was invited. */
Test(admin_mails, links_that_administrators_ask_for_work)
{
	struct mail_scene mails;
	struct api_login admin;
	char token[MAILBOX_TOKEN];

	mail_scene_set(&mails, NULL, NULL);
	server_add_user(mails.server, "root", NULL, SCENE_PASSWORD, true);
	admin = api_login(mails.server, "root", SCENE_PASSWORD);
	cr_assert_eq(mail_scene_post(&mails, "/admin/users", admin.authorization, NULL,
			     "{'username':'bob','email':'bob@example.com'}"),
		201);
	cr_assert(mailbox_token(mails.smtp, "bob@example.com", "Please choose a new password", token));
	cr_assert_eq(
		mail_scene_post(&mails, "/password/reset", NULL, NULL, "{'token':'%s','password':'" BOB "'}", token),
		200);
	cr_assert_eq(api_login(mails.server, "bob", BOB).status, 200);

	cr_assert_eq(
		mail_scene_post(&mails, "/admin/invitations", admin.authorization, NULL, "{'email':'new@example.com'}"),
		201);
	cr_assert(mailbox_token(mails.smtp, "new@example.com", NULL, token));
	cr_assert_eq(mail_scene_post(&mails, "/signup", NULL, NULL,
			     "{'invite_token':'%s','password':'" BOB "','username':'new'}", token),
		201);
	cr_assert_eq(api_login(mails.server, "new", BOB).status, 200);
	mail_scene_clear(&mails);
}

static char *one(const char *sql)
{
	return scene_query(scene.server, sql);
}

static void expect_one(const char *sql, const char *expected)
{
	char *text = one(sql);

	cr_expect_str_eq(text, expected, "%s gives %s", sql, text);
	free(text);
}

Test(admin_users, everybodys_sessions_end_at_once_with_one_audit_row_and_no_mails)
{
	static const char live[] = "SELECT count(*) FROM sessions WHERE revoked_ms = 0";
	static const char rows[] = "SELECT count(*) FROM audit WHERE type = 'user.sessions_revoked_all' AND actor = "
				   "'admin:root' AND client = '127.0.0.1' AND request_id <> ''";
	struct api_login alice = api_login(scene.server, "alice", SCENE_PASSWORD);
	struct http_reply reply;
	char *events = one("SELECT count(*) FROM events");

	cr_assert_eq(ask(alice.authorization, "POST", "/admin/sessions/revoke", "{'all':true}", NULL), 403);
	free(ask_for(400, "POST", "/admin/sessions/revoke", "{'all':false}", "code"));
	free(ask_for(400, "POST", "/admin/sessions/revoke", "{}", "code"));
	expect_one(live, "2");
	cr_assert_eq(ask(root.authorization, "POST", "/admin/sessions/revoke", "{'all':true}", &reply), 200);
	cr_expect_eq(json_integer_value(json_object_get(reply.json, "sessions")), 2);
	http_reply_release(&reply);
	cr_expect_eq(me_status(&alice), 401);
	cr_expect_eq(me_status(&root), 401, "also that of who asks");
	expect_one(rows, "1");
	expect_one("SELECT count(*) FROM events", events);
	cr_expect_eq(api_login(scene.server, "alice", SCENE_PASSWORD).status, 200);
	free(events);
}

/* More than one batch, beside a server and without one. */
Test(admin_users, the_command_ends_all_sessions_however_many)
{
	static const char *const all[] = {"user", "revoke", "--all", NULL};
	static const char *const neither[] = {"user", "revoke", NULL}, *const both[] = {
									       "user", "revoke", "bob", "--all", NULL};
	static const char more[] =
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO sessions "
		"(user_id, generation, created_ms, refreshed_ms, expires_ms, revoked_ms, client, user_agent) SELECT 1, "
		"1, "
		"1, 1, 9000000000000, 0, '', '' FROM n";
	char *out = NULL;

	cr_expect_eq(server_command(scene.server, neither, NULL, NULL), 2);
	cr_expect_eq(server_command(scene.server, both, NULL, NULL), 2);
	cr_assert_eq(server_stop(scene.server), 0);
	scene_change(scene.server, more);
	server_restart(scene.server, NULL);
	cr_assert_eq(server_command(scene.server, all, NULL, &out), 0);
	cr_expect_str_eq(out, "1201 sessions have ended\n", "%s", out);
	free(out);
	expect_one("SELECT count(*) FROM sessions WHERE revoked_ms = 0", "0");
	cr_expect_eq(me_status(&root), 401);
	cr_assert_eq(server_stop(scene.server), 0);
	scene_change(scene.server, more);
	cr_assert_eq(server_command(scene.server, all, NULL, &out), 0);
	cr_expect_str_eq(out, "1200 sessions have ended\n", "%s", out);
	free(out);
	expect_one("SELECT count(*) FROM sessions WHERE revoked_ms = 0", "0");
	expect_one("SELECT count(*) FROM audit WHERE type = 'user.sessions_revoked_all' AND actor = 'command'", "2");
	server_restart(scene.server, NULL);
}
