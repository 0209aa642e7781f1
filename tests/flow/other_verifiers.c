/*
 * Tokens of each algorithm, verified by four programs that are not ours, from nothing but the published keys: Debian's
 * jose, python3-jwcrypto, python3-jwt and npm's jose. Each also refuses them with one byte changed, in every part.
 *
 * Debian 12's jose (11) knows no EdDSA (`jose alg` lists what it knows): of those tokens it is not asked.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scene.h"
#include "tests/support/scratch.h"

#define ISSUER	 "https://id.example"
#define AUDIENCE "shop"
#define CONFIG	 "{\"token\": {\"issuer\": \"" ISSUER "\", \"audience\": \"" AUDIENCE "\"}}"

enum { REFUSED = 3 };

TestSuite(other_verifiers, .timeout = 180);

/* Debian's own Python, whatever else is installed; `$jwks`, `$key`, `$alg`, `$token` are set. */
static const struct verifier {
	const char *name, *there, *command;
	bool eddsa;
	bool any_refusal; /* it has one exit code for every no; else REFUSED */
} verifiers[] = {
	{"jose", "command -v jose", "jose jws ver -i - -k \"$jwks\" -O /dev/null", false, true},
	{"python3-jwcrypto", "/usr/bin/python3 -c 'import jwcrypto'",
		"/usr/bin/python3 tests/support/verify_jwcrypto.py \"$jwks\" \"$alg\"", true, false},
	{"python3-jwt", "/usr/bin/python3 -c 'import jwt, cryptography'",
		"/usr/bin/python3 tests/support/verify_pyjwt.py \"$jwks\" \"$alg\" " AUDIENCE " " ISSUER, true, false},
	{"npm's jose", "NODE_PATH=build/npm/node_modules node -e 'require(\"jose\")'",
		"NODE_PATH=build/npm/node_modules node tests/support/verify_jose.js \"$jwks\" \"$alg\" " AUDIENCE
		" " ISSUER,
		true, false},
};

static int shell(const char *command)
{
	int status = system(command);

	cr_assert(WIFEXITED(status), "%s: %d", command, status);
	return WEXITSTATUS(status);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

/* Its exit code for this token. */
static int run(const struct verifier *verifier, const char *folder, const char *alg, const char *token)
{
	char command[1024];

	write_file(folder, "token", token);
	(void)snprintf(command, sizeof(command),
		"jwks=%s/jwks.json alg=%s; export jwks alg; timeout 30 sh -c '%s' < %s/token > %s/out 2>&1", folder,
		alg, verifier->command, folder, folder);
	return shell(command);
}

/* One character of a part replaced by another of the alphabet: there and back. */
static void expect_refused(const struct verifier *verifier, const char *folder, const char *alg, char *token, int part)
{
	char *at = token, was;
	int code;

	for (; part > 0; part--)
		at = strchr(at, '.') + 1;
	at += strcspn(at, ".") / 2;
	was = *at;
	*at = was == 'A' ? 'B' : 'A';
	code = run(verifier, folder, alg, token);
	cr_expect(verifier->any_refusal ? code != 0 : code == REFUSED, "%s, %s: %d for a token that was tampered with",
		verifier->name, alg, code);
	*at = was;
}

static void jwks_save(const struct server *server, const char *folder)
{
	struct http_reply reply;

	api_get(server, "/.well-known/jwks.json", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	write_file(folder, "jwks.json", reply.body);
	http_reply_release(&reply);
}

static void verify_with(const struct verifier *verifier)
{
	static const char *const algs[] = {"EdDSA", "ES256", "RS256"};
	char there[256], setting[32];
	const char *const settings[] = {setting, NULL};
	struct scratch scratch;

	(void)snprintf(there, sizeof(there), "{ %s; } > /dev/null 2>&1", verifier->there);
	if (shell(there) != 0) {
		cr_skip_test("%s is not installed", verifier->name);
		return;
	}
	scratch_make(&scratch);
	for (size_t i = verifier->eddsa ? 0 : 1; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct server *server;
		struct api_login login;

		(void)snprintf(setting, sizeof(setting), "token.alg=%s", algs[i]);
		server = scene_server(CONFIG, settings);
		login = api_login(server, "alice", SCENE_PASSWORD);
		cr_assert_eq(login.status, 200);
		jwks_save(server, scratch.folder);
		cr_expect_eq(run(verifier, scratch.folder, algs[i], login.access_token), 0, "%s, %s", verifier->name,
			algs[i]);
		for (int part = 0; part < 3; part++)
			expect_refused(verifier, scratch.folder, algs[i], login.access_token, part);
		server_free(server);
	}
	scratch_remove(&scratch);
}

Test(other_verifiers, debians_jose)
{
	verify_with(&verifiers[0]);
}

Test(other_verifiers, python3_jwcrypto)
{
	verify_with(&verifiers[1]);
}

Test(other_verifiers, python3_jwt)
{
	verify_with(&verifiers[2]);
}

Test(other_verifiers, npms_jose)
{
	verify_with(&verifiers[3]);
}
