/*
 * Logins on their way to a CRM that wants an access token: what the CRM sees, and what happens without the token's
 * issuer.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"

#define SECRET "kept-to-itself"
#define TOKEN  "00Dxx!tok-1"

TestSuite(oauth, .timeout = 90);

struct stage {
	struct peer *issuer, *crm;
	struct server *server;
	char *config;
};

static void raise_stage(struct stage *stage, const struct peer_step *issuer, size_t issuer_steps,
	const struct peer_step *crm, size_t crm_steps)
{
	char url[PEER_TEXT], token_url[PEER_TEXT];

	stage->issuer = peer_start(issuer, issuer_steps);
	stage->crm = peer_start(crm, crm_steps);
	stage->config =
		scene_text("{'background':{'drain':'300ms'},'effects':{'crm':{'type':'crm','format':'salesforce','on':["
			   "'user.login'],"
			   "'delivery':'durable','url':'%s','timeout':'2s','retry':{'first':'20ms','cap':'100ms','max_"
			   "attempts':2},"
			   "'breaker':{'failures':3,'open_for':'300ms'},'auth':{'type':'oauth2','token_url':'%s',"
			   "'client_id':'me','client_secret':'" SECRET "'}}}}",
			peer_url(stage->crm, "/services/data/v61.0/sobjects/Contact/External_Id__c", url),
			peer_url(stage->issuer, "/services/oauth2/token", token_url));
	stage->server = scene_server(stage->config, NULL);
}

static void strike_stage(struct stage *stage)
{
	cr_assert_not(server_log_contains(stage->server, SECRET));
	cr_assert_not(server_log_contains(stage->server, "tok-1"));
	server_free(stage->server);
	peer_stop(stage->issuer);
	peer_stop(stage->crm);
	free(stage->config);
}

static struct api_login login(const struct stage *stage)
{
	struct api_login made = api_login(stage->server, "alice", SCENE_PASSWORD);

	cr_assert_eq(made.status, 200);
	return made;
}

/* As /events/{id} shows it. */
static void check_effect(const struct stage *stage, const struct api_login *made, const char *state, size_t attempts)
{
	json_t *event = api_event(stage->server, made);
	const json_t *effect = api_event_effect(event, "crm");

	cr_assert_str_eq(scene_member(effect, "state"), state);
	cr_assert_eq(json_array_size(json_object_get(effect, "attempts")), attempts);
	json_decref(event);
}

Test(oauth, a_contact_is_upserted_with_a_token_that_was_fetched_once)
{
	struct peer_step issuer[] = {{.body = "{\"access_token\":\"" TOKEN "\",\"token_type\":\"Bearer\"}"}};
	struct peer_step crm[] = {{.status = 201}, {.status = 204, .body = ""}};
	struct api_login logins[3];
	struct stage stage;
	char value[PEER_TEXT];

	raise_stage(&stage, issuer, 1, crm, 2);
	for (size_t i = 0; i < 3; i++)
		logins[i] = login(&stage);
	for (size_t i = 0; i < 3; i++)
		cr_assert(api_effect_wait(stage.server, &logins[i], "crm", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(peer_count(stage.issuer), 1);
	cr_assert_eq(peer_count(stage.crm), 3);
	for (size_t i = 0; i < 3; i++) {
		struct peer_request request = peer_request(stage.crm, i);

		cr_assert_str_eq(request.method, "PATCH");
		cr_assert_eq(strncmp(request.path, "/services/data/v61.0/sobjects/Contact/External_Id__c/", 53), 0,
			"%s", request.path);
		cr_assert_eq(strlen(request.path + 53), 26, "the user's id");
		cr_assert_str_eq(request.body, "{\"Email\":\"alice@example.com\",\"LastName\":\"alice\"}");
		cr_assert_str_eq(peer_header(&request, "Authorization", value), "Bearer " TOKEN);
	}
	cr_assert_eq(metric_value(stage.server, "tokenfirst_token_fetches_total{effect=\"crm\",outcome=\"ok\"}"), 1);
	cr_assert_eq(
		metric_value(stage.server, "tokenfirst_token_fetches_total{effect=\"crm\",outcome=\"failed\"}"), 0);
	strike_stage(&stage);
}

Test(oauth, without_the_issuer_effects_wait_and_logins_do_not)
{
	struct peer_step dead[] = {{.status = 503}};
	struct peer_step well[] = {{.body = "{\"access_token\":\"" TOKEN "\",\"expires_in\":3600}"}};
	struct api_login logins[10];
	struct stage stage;

	raise_stage(&stage, dead, 1, NULL, 0);
	for (size_t i = 0; i < 10; i++)
		logins[i] = login(&stage);
	cr_assert(server_log_wait(stage.server, "breaker opened: effects wait", 1, SCENE_WAIT_MS));
	json_t *line = server_log_line(stage.server, "breaker opened: effects wait");
	cr_assert_eq(strncmp(scene_member(line, "reason"), "token endpoint: HTTP 503", 24), 0);
	json_decref(line);
	/* longer than their two attempts would have lasted */
	harness_sleep_ms(1500);
	for (size_t i = 0; i < 10; i++)
		check_effect(&stage, &logins[i], "pending", 0);
	cr_assert_eq(peer_count(stage.crm), 0);
	peer_script(stage.issuer, well, 1);
	for (size_t i = 0; i < 10; i++) {
		cr_assert(api_effect_wait(stage.server, &logins[i], "crm", "delivered", SCENE_WAIT_MS));
		check_effect(&stage, &logins[i], "delivered", 1);
	}
	cr_assert_eq(peer_count(stage.crm), 10);
	strike_stage(&stage);
}

Test(oauth, a_token_that_was_revoked_is_replaced_unseen)
{
	struct peer_step issuer[] = {{.body = "{\"access_token\":\"" TOKEN "\",\"expires_in\":3600}"},
		{.body = "{\"access_token\":\"00Dxx!tok-2\",\"expires_in\":3600}"}};
	struct peer_step crm[] = {{.status = 201},
		{.status = 401, .body = "[{\"message\":\"Session expired\",\"errorCode\":\"INVALID_SESSION_ID\"}]"},
		{.status = 204, .body = ""}};
	struct stage stage;
	char value[PEER_TEXT];

	raise_stage(&stage, issuer, 2, crm, 3);
	struct api_login first = login(&stage);
	cr_assert(api_effect_wait(stage.server, &first, "crm", "delivered", SCENE_WAIT_MS));
	struct api_login second = login(&stage);
	cr_assert(api_effect_wait(stage.server, &second, "crm", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(peer_count(stage.issuer), 2);
	struct peer_request request = peer_request(stage.crm, 2);
	cr_assert_str_eq(peer_header(&request, "Authorization", value), "Bearer 00Dxx!tok-2");
	cr_assert_eq(server_log_count(stage.server, "breaker opened: effects wait"), 0);
	strike_stage(&stage);
}
