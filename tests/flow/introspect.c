/* POST /introspect (RFC 7662): what services learn of tokens, and who learns nothing. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/forge.h"
#include "tests/support/jws.h"
#include "tests/support/scene.h"

#define ASKER "a-token+of/the-shop~7"
#define OTHER "a-token-of-the-stock"
#define CONFIG                                                                                                         \
	"{\"services\": {\"shop\": {\"token\": \"" ASKER "\", \"types\": [\"order.*\"], \"introspect\": true},"        \
	" \"stock\": {\"token\": \"" OTHER "\", \"types\": [\"stock.*\"]}}}"
#define BEARER "Authorization: Bearer " ASKER

static struct server *server;

static void setup(void)
{
	server = scene_server(CONFIG, NULL);
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(introspect, .init = setup, .fini = teardown, .timeout = 60);

static void ask(const char *authorization, const char *token, struct http_reply *ret_reply)
{
	json_t *body = json_pack("{s:s, s:s}", "token", token, "token_type_hint", "whatever");
	char *text = json_dumps(body, JSON_COMPACT);

	api_post(server, "/introspect", authorization, text, ret_reply);
	free(text);
	json_decref(body);
}

static void expect_inactive(const char *token)
{
	struct http_reply reply;

	ask(BEARER, token, &reply);
	cr_expect_eq(reply.status, 200);
	cr_expect_str_eq(reply.body, "{\"active\":false}", "%.40s: %s", token, reply.body);
	http_reply_release(&reply);
}

static bool active(const char *token)
{
	struct http_reply reply;
	bool yes;

	ask(BEARER, token, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	yes = json_is_true(http_reply_member(&reply, "active"));
	http_reply_release(&reply);
	return yes;
}

Test(introspect, an_access_token_says_who_and_how_long)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	static const char *const same[] = {"sub", "client_id", "iss", "aud", "exp", "iat", "jti", "sid"};
	json_t *claims = jws_part(login.access_token, 1);
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	ask(BEARER, login.access_token, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_expect(json_is_true(http_reply_member(&reply, "active")));
	cr_expect_str_eq(http_reply_text(&reply, "token_type"), "access_token");
	cr_expect_str_eq(http_reply_text(&reply, "username"), "alice");
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		cr_expect(json_equal(http_reply_member(&reply, same[i]), json_object_get(claims, same[i])), "%s",
			same[i]);
	cr_expect_null(http_reply_member(&reply, "scope"));
	cr_expect_str_eq(http_reply_header(&reply, "Cache-Control", value), "no-store");
	http_reply_release(&reply);
	json_decref(claims);
}

Test(introspect, a_refresh_token_is_active_while_it_is_the_latest)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&login);
	char session[24];
	struct http_reply reply;

	ask(BEARER, login.refresh_token, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_expect(json_is_true(http_reply_member(&reply, "active")));
	cr_expect_str_eq(http_reply_text(&reply, "token_type"), "refresh_token");
	cr_expect_str_eq(http_reply_text(&reply, "sub"), claims.subject);
	(void)snprintf(session, sizeof(session), "%lld", (long long)claims.session_id);
	cr_expect_str_eq(http_reply_text(&reply, "sid"), session);
	cr_expect_gt(json_integer_value(http_reply_member(&reply, "exp")), claims.issued_s + 29 * 86400);
	cr_expect_leq(json_integer_value(http_reply_member(&reply, "iat")), claims.issued_s + 1);
	cr_expect_eq(json_object_size(reply.json), 6);
	http_reply_release(&reply);
}

Test(introspect, an_administrators_has_its_scope)
{
	struct api_login root;
	struct http_reply reply;

	server_add_user(server, "root", NULL, SCENE_PASSWORD, true);
	root = api_login(server, "root", SCENE_PASSWORD);
	ask(BEARER, root.access_token, &reply);
	cr_expect_str_eq(http_reply_text(&reply, "scope"), "admin");
	http_reply_release(&reply);
}

Test(introspect, all_that_is_doubtful_is_not_active_and_nothing_more)
{
	static const char *const disable[] = {"user", "disable", "alice", NULL};
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	struct token_claims claims = forge_claims(&login);
	char *changed = strdup(login.access_token), *huge = malloc(9000), *token;

	expect_inactive("");
	expect_inactive("nonsense");
	expect_inactive("eyJhbGciOiJub25lIn0.e30.");
	memset(huge, 'A', 8999);
	huge[8999] = '\0';
	expect_inactive(huge);
	changed[strlen(changed) - 5] = changed[strlen(changed) - 5] == 'A' ? 'B' : 'A';
	expect_inactive(changed);
	(void)snprintf(changed, strlen(login.refresh_token) + 1, "%s", login.refresh_token);
	changed[3] = changed[3] == 'A' ? 'B' : 'A';
	expect_inactive(changed);

	claims.issued_s -= 5000;
	claims.expires_s = claims.issued_s + 900;
	token = forge_token(server, &login, &claims);
	expect_inactive(token); /* expired */
	free(token);
	claims = forge_claims(&login);
	claims.session_id += 1000;
	token = forge_token(server, &login, &claims);
	expect_inactive(token); /* of a session that is not there */
	free(token);

	cr_expect(active(login.access_token));
	cr_expect(active(login.refresh_token));
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	expect_inactive(login.access_token);
	expect_inactive(login.refresh_token);
	free(changed);
	free(huge);
}

/* As after a refresh: its successor is the latest. */
Test(introspect, a_refresh_token_that_was_used_is_not_active)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);

	cr_assert_eq(server_stop(server), 0);
	scene_change(server, "UPDATE sessions SET generation = generation + 1");
	server_restart(server, NULL);
	expect_inactive(login.refresh_token);
	cr_expect(active(login.access_token));
	cr_assert_eq(server_stop(server), 0);
	scene_change(server, "UPDATE sessions SET generation = generation - 1");
	server_restart(server, NULL);
	cr_expect(active(login.refresh_token));
}

/* "name:token" as Basic has it, as a header line. */
static const char *basic(const char *pair, char line[256])
{
	char encoded[200];

	sodium_bin2base64(
		encoded, sizeof(encoded), (const unsigned char *)pair, strlen(pair), sodium_base64_VARIANT_ORIGINAL);
	(void)snprintf(line, 256, "Authorization: Basic %s", encoded);
	return line;
}

static void expect_client(const char *authorization, int status, const char *code, const char *scheme)
{
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	ask(authorization, "nonsense", &reply);
	cr_expect_eq(reply.status, status, "%s: %d", authorization, reply.status);
	cr_expect_str_eq(http_reply_text(&reply, "code"), code, "%s", authorization);
	http_reply_header(&reply, "WWW-Authenticate", value);
	cr_expect_eq(strncmp(value, scheme, strlen(scheme)), 0, "%s: %s", authorization, value);
	http_reply_release(&reply);
}

Test(introspect, only_services_that_may_are_told)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	char line[256];

	expect_client(NULL, 401, "token_missing", "Basic");
	expect_client("Authorization: Bearer wrong", 401, "invalid_token", "Bearer");
	expect_client(login.authorization, 401, "invalid_token", "Bearer");
	expect_client("Authorization: Bearer " OTHER, 403, "forbidden", "");
	expect_client(basic("stock:" OTHER, line), 403, "forbidden", "");
	expect_client(basic("shop:wrong", line), 401, "invalid_client", "Basic");
	expect_client(basic("stock:" ASKER, line), 401, "invalid_client", "Basic");
	expect_client(basic(":" ASKER, line), 401, "invalid_client", "Basic");
	expect_client(basic(ASKER, line), 401, "invalid_client", "Basic");
	expect_client(basic("", line), 401, "invalid_client", "Basic");
	expect_client("Authorization: Basic !!!!", 401, "invalid_client", "Basic");
	expect_client(basic("shop:" ASKER, line), 200, "", "");
}

/* RFC 6749 2.3.1 has both encoded like form fields; many clients know nothing of that. */
Test(introspect, basic_may_be_form_encoded)
{
	char line[256];

	expect_client(basic("shop:a-token%2Bof%2Fthe-shop~7", line), 200, "", "");
	expect_client(basic("shop:a-token%2Bof%2Fthe-shop~8", line), 401, "invalid_client", "Basic");
}

Test(introspect, a_body_without_a_token_is_malformed)
{
	struct http_reply reply;

	api_post(server, "/introspect", BEARER, "{\"token\": 7}", &reply);
	cr_expect_eq(reply.status, 400);
	cr_expect_str_eq(http_reply_text(&reply, "code"), "malformed");
	http_reply_release(&reply);
}
