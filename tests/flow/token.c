/* Access tokens as others see them: verified with OpenSSL against the published keys; and what they open. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/harness.h"
#include "tests/support/jws.h"
#include "tests/support/scene.h"

#define CONFIG                                                                                                         \
	"{\"password\": {\"memory_kib\": 8, \"passes\": 1}, \"token\": {\"issuer\": \"https://id.example\","           \
	" \"audience\": \"shop\", \"access_ttl\": \"10m\"}}"

TestSuite(token, .timeout = 60);

static json_t *jwks_get(const struct server *server)
{
	struct http_reply reply;
	json_t *jwks;

	api_get(server, "/.well-known/jwks.json", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_not_null(reply.json);
	jwks = json_incref(reply.json);
	http_reply_release(&reply);
	return jwks;
}

/* The same token with one character of a part replaced by another of the alphabet. Free it. */
static char *tampered(const char *token, int part)
{
	char *copy = strdup(token);
	char *at = copy;

	cr_assert_not_null(copy);
	for (; part > 0; part--)
		at = strchr(at, '.') + 1;
	at[8] = at[8] == 'A' ? 'B' : 'A';
	return copy;
}

static void header_check(const char *token, const char *alg)
{
	json_t *header = jws_part(token, 0);

	cr_assert_not_null(header);
	cr_assert_eq(json_object_size(header), 3);
	cr_assert_str_eq(scene_member(header, "typ"), "at+jwt");
	cr_assert_str_eq(scene_member(header, "alg"), alg);
	cr_assert_gt(strlen(scene_member(header, "kid")), 10);
	json_decref(header);
}

static void claims_check(const char *token, const char *user_id)
{
	json_t *claims = jws_part(token, 1);
	json_int_t issued = json_integer_value(json_object_get(claims, "iat"));
	json_int_t now = (json_int_t)time(NULL);

	cr_assert_not_null(claims);
	cr_assert_str_eq(scene_member(claims, "iss"), "https://id.example");
	cr_assert_str_eq(scene_member(claims, "aud"), "shop");
	cr_assert_str_eq(scene_member(claims, "sub"), user_id);
	cr_assert_eq(strlen(scene_member(claims, "jti")), 26);
	cr_assert(issued >= now - 30 && issued <= now, "iat %lld, now %lld", (long long)issued, (long long)now);
	cr_assert_eq(json_integer_value(json_object_get(claims, "exp")), issued + 600);
	json_decref(claims);
}

static void signature_check(const struct server *server, const char *token)
{
	json_t *jwks = jwks_get(server);

	cr_assert(jws_verifies(token, jwks));
	for (int part = 1; part <= 2; part++) {
		char *broken = tampered(token, part);

		cr_assert_not(jws_verifies(broken, jwks), "part %d may be tampered with", part);
		free(broken);
	}
	json_decref(jwks);
}

static void me_check(const struct server *server, const struct api_login *login)
{
	struct http_reply reply;

	api_get(server, "/me", login->authorization, &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "username"), "alice");
	cr_assert_str_eq(http_reply_text(&reply, "email"), "alice@example.com");
	claims_check(login->access_token, http_reply_text(&reply, "id"));
	http_reply_release(&reply);
}

static void algorithm_check(const char *alg)
{
	char setting[32];
	const char *const settings[] = {setting, NULL};
	struct server *server;
	struct api_login login;

	snprintf(setting, sizeof(setting), "token.alg=%s", alg);
	server = scene_server(CONFIG, settings);
	login = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
	header_check(login.access_token, alg);
	signature_check(server, login.access_token);
	me_check(server, &login);
	server_free(server);
}

Test(token, eddsa)
{
	algorithm_check("EdDSA");
}

Test(token, es256)
{
	algorithm_check("ES256");
}

Test(token, rs256)
{
	algorithm_check("RS256");
}

/* What is published tells nobody how to sign. */
Test(token, published_keys_are_public_ones)
{
	static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "k"};
	struct server *server = scene_server(CONFIG, NULL);
	json_t *jwks = jwks_get(server);
	json_t *jwk;
	size_t i;

	cr_assert_geq(json_array_size(json_object_get(jwks, "keys")), 1);
	json_array_foreach(json_object_get(jwks, "keys"), i, jwk)
	{
		cr_assert_str_eq(scene_member(jwk, "use"), "sig");
		for (size_t m = 0; m < sizeof(private_members) / sizeof(private_members[0]); m++)
			cr_assert_null(json_object_get(jwk, private_members[m]), "%s", private_members[m]);
	}
	json_decref(jwks);
	server_free(server);
}

Test(token, another_algorithm_keeps_the_old_tokens_good)
{
	static const char *const es256[] = {"token.alg=ES256", NULL};
	struct server *server = scene_server(CONFIG, NULL);
	struct api_login before = api_login(server, "alice", SCENE_PASSWORD);
	struct api_login after;

	cr_assert_eq(before.status, 200);
	cr_assert_eq(server_stop(server), 0);
	server_restart(server, &(struct server_options){.config = CONFIG, .settings = es256});
	after = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert_eq(after.status, 200);
	header_check(after.access_token, "ES256");
	me_check(server, &before);
	me_check(server, &after);
	signature_check(server, before.access_token);
	server_free(server);
}

/* 401 with a challenge as RFC 6750 3 has it. */
static void refusal_check(const struct server *server, const char *authorization, const char *code, bool names_error)
{
	char challenge[HTTP_HEADER_MAX];
	struct http_reply reply;

	api_get(server, "/me", authorization, &reply);
	cr_assert_eq(reply.status, 401, "%s: %d", authorization, reply.status);
	cr_assert_str_eq(http_reply_text(&reply, "code"), code);
	http_reply_header(&reply, "WWW-Authenticate", challenge);
	cr_assert_eq(strncmp(challenge, "Bearer", 6), 0, "%s", challenge);
	cr_assert_eq(strstr(challenge, "error=\"invalid_token\"") != NULL, names_error, "%s", challenge);
	http_reply_release(&reply);
}

Test(token, me_refuses_all_but_a_good_one)
{
	struct server *server = scene_server(CONFIG, NULL);
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	char line[API_TOKEN + 32];

	cr_assert_eq(login.status, 200);
	refusal_check(server, NULL, "token_missing", false);
	refusal_check(server, "Authorization: Basic YWxpY2U6c2VjcmV0", "token_missing", false);
	refusal_check(server, "Authorization: Bearer nonsense", "invalid_token", true);
	refusal_check(server, "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.", "invalid_token", true);
	for (int part = 0; part <= 2; part++) {
		char *broken = tampered(login.access_token, part);

		snprintf(line, sizeof(line), "Authorization: Bearer %s", broken);
		refusal_check(server, line, "invalid_token", true);
		free(broken);
	}
	snprintf(line, sizeof(line), "Authorization: Bearer %s ", login.refresh_token);
	refusal_check(server, line, "invalid_token", true);
	me_check(server, &login);
	server_free(server);
}

static int me_status(const struct server *server, const struct api_login *login)
{
	struct http_reply reply;
	int status;

	api_get(server, "/me", login->authorization, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

Test(token, expired_it_opens_nothing)
{
	static const char *const one_second[] = {"token.access_ttl=1s", NULL};
	struct server *server = scene_server(CONFIG, one_second);
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	int status;

	cr_assert_eq(login.status, 200);
	while ((status = me_status(server, &login)) == 200 && harness_mono_us() < until_us)
		harness_sleep_ms(10);
	cr_assert_eq(status, 401);
	server_free(server);
}

Test(token, another_server_does_not_know_it)
{
	struct server *server = scene_server(CONFIG, NULL);
	struct server *other = scene_server(CONFIG, NULL);
	struct api_login login = api_login(other, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	refusal_check(server, login.authorization, "invalid_token", true);
	server_free(other);
	server_free(server);
}
