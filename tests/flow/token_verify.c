/* `tokenfirst token verify`: offline, by the store or by a file of published keys; and it says which rule failed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/forge.h"
#include "tests/support/program.h"
#include "tests/support/scene.h"

static struct server *server;
static struct api_login login;

static void setup(void)
{
	server = scene_server(NULL, NULL);
	login = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(token_verify, .init = setup, .fini = teardown, .timeout = 60);

/* By the keys of the store; `token` NULL: it comes on stdin. */
static void verify(const char *token, const char *input, const char *jwks, struct program_result *ret_result)
{
	const char *words[12] = {"token", "verify", "-c", server_config_file(server)};
	size_t count = 4;

	if (jwks) {
		words[count++] = "--jwks";
		words[count++] = jwks;
	}
	if (token)
		words[count++] = token;
	words[count] = NULL;
	program_run(words, input, server_folder(server), ret_result);
}

static void expect_good(const char *token, const char *input, const char *jwks)
{
	struct token_claims claims = forge_claims(&login);
	struct program_result result;
	char start[128];

	verify(token, input, jwks, &result);
	cr_expect_eq(result.exit_code, 0, "%s", result.err);
	(void)snprintf(start, sizeof(start), "subject %s\nsession %lld\ntoken   %s\nissued  20", claims.subject,
		(long long)claims.session_id, claims.token_id);
	cr_expect_eq(strncmp(result.out, start, strlen(start)), 0, "%s", result.out);
	cr_expect_not_null(strstr(result.out, "\nexpires 20"));
	program_result_release(&result);
}

static void expect_refused(const char *token, const char *input, const char *jwks, const char *rule)
{
	struct program_result result;

	verify(token, input, jwks, &result);
	cr_expect_eq(result.exit_code, 1);
	cr_expect_str_eq(result.out, "");
	cr_expect_not_null(strstr(result.err, rule), "%s, wanted %s", result.err, rule);
	if (strlen(token ? token : input) > 20)
		cr_expect_null(strstr(result.err, token ? token : input), "the token is in the error");
	program_result_release(&result);
}

static char *keep_jwks(const char *name)
{
	struct http_reply reply;
	char *path = NULL;
	FILE *file;

	api_get(server, "/.well-known/jwks.json", NULL, &reply);
	cr_assert_geq(asprintf(&path, "%s/%s", server_folder(server), name), 0);
	file = fopen(path, "w");
	cr_assert(file && fputs(reply.body, file) >= 0 && fclose(file) == 0);
	http_reply_release(&reply);
	return path;
}

Test(token_verify, a_good_one_from_an_argument_or_stdin_or_a_header)
{
	char line[API_TOKEN + 32];

	expect_good(login.access_token, NULL, NULL);
	expect_good(NULL, login.access_token, NULL);
	expect_good("-", login.access_token, NULL);
	(void)snprintf(line, sizeof(line), "  bearer  %s \r\n", login.access_token);
	expect_good(line, NULL, NULL);
	expect_good("-", line, NULL);
	cr_assert_eq(server_stop(server), 0);
	expect_good(login.access_token, NULL, NULL);
	server_restart(server, NULL);
}

Test(token_verify, an_administrators_scope_is_shown)
{
	struct token_claims claims = forge_claims(&login);
	struct program_result result;
	char *token;

	claims.admin = true;
	token = forge_token(server, &login, &claims);
	verify(token, NULL, NULL, &result);
	cr_expect_not_null(strstr(result.out, "\nscope   admin\n"), "%s", result.out);
	program_result_release(&result);
	free(token);
}

Test(token_verify, the_rule_that_failed_is_named)
{
	struct token_claims claims = forge_claims(&login);
	char *token, *huge = malloc(9000);

	expect_refused("nonsense", NULL, NULL, "refused: not three parts with dots between");
	expect_refused("", NULL, NULL, "refused: not three parts with dots between");
	expect_refused("eyJhbGciOiJub25lIn0.e30.", NULL, NULL, "refused: the header lacks alg, typ or kid");
	memset(huge, 'A', 8999);
	huge[8999] = '\0';
	expect_refused(huge, NULL, NULL, "refused: ");
	expect_refused(NULL, huge, NULL, "refused: ");
	free(huge);
	claims.issued_s -= 5000;
	claims.expires_s = claims.issued_s + 900;
	token = forge_token(server, &login, &claims);
	expect_refused(token, NULL, NULL, "refused: exp has passed");
	free(token);
	token = strdup(login.access_token);
	token[strlen(token) - 5] = token[strlen(token) - 5] == 'A' ? 'B' : 'A';
	expect_refused(token, NULL, NULL, "refused: the signature does not verify");
	free(token);
}

Test(token_verify, a_file_of_published_keys_is_enough)
{
	static const char *const rotate[] = {"keys", "rotate", "--now", NULL};
	char *before = keep_jwks("before.json"), *after;
	struct program_result result;
	struct api_login old = login;

	expect_good(login.access_token, NULL, before);
	cr_assert_eq(server_command(server, rotate, NULL, NULL), 0);
	after = keep_jwks("after.json");
	expect_good(old.access_token, NULL, after);
	login = api_login(server, "alice", SCENE_PASSWORD);
	expect_good(login.access_token, NULL, after);
	expect_refused(login.access_token, NULL, before, "refused: kid names no key");

	verify(login.access_token, NULL, "missing.json", &result);
	cr_expect_eq(result.exit_code, 1);
	cr_expect_not_null(strstr(result.err, "missing.json: "), "%s", result.err);
	program_result_release(&result);
	verify(login.access_token, NULL, server_config_file(server), &result);
	cr_expect_eq(result.exit_code, 1);
	cr_expect_not_null(strstr(result.err, "it is no JWK Set"), "%s", result.err);
	program_result_release(&result);
	free(before);
	free(after);
}
