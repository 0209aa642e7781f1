/* Administrators' rights: only of an administrator's account, only by a token that says so, only for a while after a
 * login. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/forge.h"
#include "tests/support/jws.h"
#include "tests/support/scene.h"

static const char *const ttl[] = {"token.admin_ttl=5m", "token.access_ttl=20m", NULL};
static struct server *server;

static void setup(void)
{
	server = scene_server(NULL, ttl);
	server_add_user(server, "root", NULL, SCENE_PASSWORD, true);
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(admin_scope, .init = setup, .fini = teardown, .timeout = 60);

static void expect(const char *token, int status, const char *code, const char *challenge)
{
	char line[API_TOKEN + 32], value[HTTP_HEADER_MAX];
	struct http_reply reply;

	(void)snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
	api_get(server, "/admin/targets", line, &reply);
	cr_expect_eq(reply.status, status, "%d %s", reply.status, reply.body);
	cr_expect_str_eq(http_reply_text(&reply, "code"), code);
	cr_expect_str_eq(http_reply_header(&reply, "WWW-Authenticate", value), challenge);
	http_reply_release(&reply);
}

Test(admin_scope, a_login_gives_an_administrator_what_it_gives_nobody_else)
{
	struct api_login root = api_login(server, "root", SCENE_PASSWORD);
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&root), others = forge_claims(&alice);
	json_t *payload = jws_part(alice.access_token, 1);

	cr_assert(root.status == 200 && alice.status == 200);
	cr_expect(claims.admin);
	cr_expect_eq(claims.expires_s - claims.issued_s, 5 * 60);
	cr_expect_null(json_object_get(payload, "scope"));
	cr_expect_eq(others.expires_s - others.issued_s, 20 * 60);
	expect(root.access_token, 200, "", "");
	expect(alice.access_token, 403, "forbidden", "");
	json_decref(payload);
}

/* RFC 6750 3.1 */
Test(admin_scope, an_administrators_ordinary_token_does_not_suffice)
{
	struct api_login root = api_login(server, "root", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&root);
	char *token;

	claims.admin = false;
	token = forge_token(server, &root, &claims);
	expect(token, 403, "insufficient_scope", "Bearer error=\"insufficient_scope\", scope=\"admin\"");
	free(token);
}

/* Also of somebody who was an administrator as it was made. */
Test(admin_scope, the_scope_without_the_account_does_not_suffice)
{
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&alice);
	char *token;

	claims.admin = true;
	token = forge_token(server, &alice, &claims);
	expect(token, 403, "forbidden", "");
	free(token);
}

static int status_of_event(const char *token, const char *event_id)
{
	char path[64], line[API_TOKEN + 32];
	struct http_reply reply;
	int status;

	(void)snprintf(path, sizeof(path), "/events/%s", event_id);
	(void)snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
	api_get(server, path, line, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

Test(admin_scope, the_events_of_others_take_the_scope_as_well)
{
	struct api_login root = api_login(server, "root", SCENE_PASSWORD);
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&root);
	char *token;

	claims.admin = false;
	token = forge_token(server, &root, &claims);
	cr_expect_eq(status_of_event(root.access_token, alice.event_id), 200);
	cr_expect_eq(status_of_event(token, alice.event_id), 404);
	cr_expect_eq(status_of_event(token, root.event_id), 200, "one's own");
	free(token);
}
