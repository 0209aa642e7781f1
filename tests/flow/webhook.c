/*
 * Webhooks as a receiver sees them: verified by the reference library of Standard Webhooks (npm standardwebhooks; see
 * scripts/install-deps) where Node.js is there, and by libsodium.
 */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"
#include "tests/support/scratch.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OLDER  "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define OTHER  "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
/* RFC 8032 7.1, test 1 */
#define PRIVATE "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define PUBLIC	"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* scripts/install-deps puts it there, whatever folder the program is built in. */
#define LIBRARY "NODE_PATH=build/npm/node_modules timeout 30 node -e "

TestSuite(webhook, .timeout = 60);

struct hooks {
	struct peer *peer;
	struct server *server;
	char *config;
};

static void open_hooks(struct hooks *hooks, const struct peer_step *steps, size_t count, const char *more)
{
	char url[PEER_TEXT];

	hooks->peer = peer_start(steps, count);
	hooks->config =
		scene_text("{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'},"
			   " 'effects':{'hooks':{'type':'webhook','on':['user.*'],'delivery':'durable','url':'%s',"
			   " 'retry':{'first':'20ms','cap':'100ms'}, 'breaker':{'failures':1000}%s}}}",
			peer_url(hooks->peer, "/hook", url), more);
	hooks->server = scene_server(hooks->config, NULL);
}

static void close_hooks(struct hooks *hooks)
{
	server_free(hooks->server);
	peer_stop(hooks->peer);
	free(hooks->config);
}

static struct peer_request delivered(const struct hooks *hooks, size_t count)
{
	struct api_login login = api_login(hooks->server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	cr_assert(api_effect_wait(hooks->server, &login, "hooks", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(peer_count(hooks->peer), count);
	return peer_request(hooks->peer, count - 1);
}

/* Whether the reference library takes a body under the headers of a request. */
static bool library_takes(const struct peer_request *request, const char *secret, const char *body)
{
	char id[PEER_TEXT], timestamp[PEER_TEXT], signature[PEER_TEXT], command[4096];
	struct scratch scratch;
	char path[256];
	FILE *file;
	int status;

	scratch_make(&scratch);
	snprintf(path, sizeof(path), "%s/body", scratch.folder);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(body, file);
	cr_assert_eq(fclose(file), 0);
	/* 3 is the library's no; anything else that is not 0 is a mistake of this test */
	snprintf(command, sizeof(command),
		LIBRARY "'const [secret, id, timestamp, signature, path] = process.argv.slice(1);"
			"const {Webhook, WebhookVerificationError} = require(\"standardwebhooks\");"
			"const body = require(\"fs\").readFileSync(path);"
			"try { new Webhook(secret).verify(body, {\"webhook-id\": id, \"webhook-timestamp\": timestamp,"
			" \"webhook-signature\": signature}); }"
			"catch (e) { process.exit(e instanceof WebhookVerificationError ? 3 : 4); }'"
			" -- '%s' '%s' '%s' '%s' '%s'",
		secret, peer_header(request, "webhook-id", id), peer_header(request, "webhook-timestamp", timestamp),
		peer_header(request, "webhook-signature", signature), path);
	status = system(command);
	scratch_remove(&scratch);
	cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3), "node: %d", status);
	return WEXITSTATUS(status) == 0;
}

static bool library_there(void)
{
	if (system(LIBRARY "'require(\"standardwebhooks\")' 2> /dev/null") == 0)
		return true;
	cr_skip_test("node or its package standardwebhooks is not installed");
	return false;
}

Test(webhook, the_reference_library_takes_it_and_nothing_else)
{
	struct hooks hooks;
	struct peer_request request;
	char *changed;

	if (!library_there())
		return;
	open_hooks(&hooks, NULL, 0, ",'secret':'" SECRET "'");
	request = delivered(&hooks, 1);
	cr_assert(library_takes(&request, SECRET, request.body));
	cr_assert_not(library_takes(&request, OTHER, request.body));
	changed = strdup(request.body);
	cr_assert_not_null(changed);
	*strstr(changed, "alice") = 'A';
	cr_assert_not(library_takes(&request, SECRET, changed));
	free(changed);
	close_hooks(&hooks);
}

/* While one secret replaces another, a receiver may know either; one that knows Ed25519 alone is content too. */
Test(webhook, each_of_several_secrets_is_enough)
{
	struct hooks hooks;
	struct peer_request request;

	if (!library_there())
		return;
	open_hooks(&hooks, NULL, 0, ",'secret':['" SECRET "','" PRIVATE "','" OLDER "']");
	request = delivered(&hooks, 1);
	cr_assert(library_takes(&request, SECRET, request.body));
	cr_assert(library_takes(&request, OLDER, request.body));
	cr_assert_not(library_takes(&request, OTHER, request.body));
	close_hooks(&hooks);
}

Test(webhook, an_ed25519_signature_is_verified_with_the_public_key)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES], bytes[crypto_sign_BYTES];
	char id[PEER_TEXT], timestamp[PEER_TEXT], signature[PEER_TEXT];
	struct hooks hooks;
	struct peer_request request;
	char *content = NULL;
	size_t len;

	open_hooks(&hooks, NULL, 0, ",'secret':'" PRIVATE "'");
	request = delivered(&hooks, 1);
	(void)peer_header(&request, "webhook-signature", signature);
	cr_assert_eq(strncmp(signature, "v1a,", 4), 0, "%s", signature);
	cr_assert_eq(sodium_base642bin(bytes, sizeof(bytes), signature + 4, strlen(signature + 4), NULL, &len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0);
	cr_assert_eq(sodium_base642bin(public, sizeof(public), PUBLIC, strlen(PUBLIC), NULL, &len, NULL,
			     sodium_base64_VARIANT_ORIGINAL),
		0);
	cr_assert_gt(asprintf(&content, "%s.%s.%s", peer_header(&request, "webhook-id", id),
			     peer_header(&request, "webhook-timestamp", timestamp), request.body),
		0);
	cr_assert_eq(crypto_sign_verify_detached(bytes, (unsigned char *)content, strlen(content), public), 0);
	content[0] ^= 1;
	cr_assert_neq(crypto_sign_verify_detached(bytes, (unsigned char *)content, strlen(content), public), 0);
	free(content);
	close_hooks(&hooks);
}

/* The id stays, so that a repeat is known; body and id of the payload too. */
Test(webhook, a_repeat_has_the_same_id_and_body)
{
	static const struct peer_step steps[] = {{.status = 500}, {.status = 200}};
	struct hooks hooks;
	struct peer_request first, second;
	char one[PEER_TEXT], other[PEER_TEXT];
	json_t *body;

	open_hooks(&hooks, steps, 2, ",'secret':'" SECRET "'");
	second = delivered(&hooks, 2);
	first = peer_request(hooks.peer, 0);
	cr_assert_str_eq(peer_header(&first, "webhook-id", one), peer_header(&second, "webhook-id", other));
	cr_assert_str_eq(first.body, second.body);
	body = json_loads(first.body, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(body);
	cr_assert_str_eq(scene_member(body, "type"), "user.login");
	cr_assert_str_eq(scene_member(body, "id"), one);
	cr_assert_gt(strlen(scene_member(body, "timestamp")), 0);
	cr_assert_str_eq(scene_member(json_object_get(json_object_get(body, "data"), "user"), "username"), "alice");
	json_decref(body);
	close_hooks(&hooks);
}

Test(webhook, no_secret_reaches_the_log)
{
	struct hooks hooks;

	open_hooks(&hooks, NULL, 0, ",'secret':['" SECRET "','" PRIVATE "','short']");
	(void)delivered(&hooks, 1);
	cr_assert_not(server_log_contains(hooks.server, &SECRET[strlen("whsec_")]));
	cr_assert_not(server_log_contains(hooks.server, &PRIVATE[strlen("whsk_")]));
	close_hooks(&hooks);
}

/* A chat's URL is its credential, and its reply is a word. */
Test(webhook, a_chat_gets_its_line)
{
	struct peer_step ok = {.status = 200, .headers = "Content-Type: text/plain\r\n", .body = "ok"};
	struct peer *peer = peer_start(&ok, 1);
	char url[PEER_TEXT], *config;
	struct api_login login;
	struct server *server;

	config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'effects':{'team':{'type':'chat',"
		" 'on':['user.login'],'delivery':'durable','url':'%s', 'text':'<!here> {{user.username}}'}}}",
		peer_url(peer, "/services/T0/B0/hunter2", url));
	server = scene_server(config, NULL);
	login = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
	cr_assert(api_effect_wait(server, &login, "team", "delivered", SCENE_WAIT_MS));
	cr_assert_str_eq(peer_request(peer, 0).body, "{\"text\":\"<!here> alice\"}");
	cr_assert_not(server_log_contains(server, "hunter2"));
	server_free(server);
	peer_stop(peer);
	free(config);
}
