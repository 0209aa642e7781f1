/* Access tokens by OAuth2: fetched once, renewed once, and never an attempt. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"

TestSuite(delivery_tokens, .timeout = 60);

#define TOKEN(text) "{\"access_token\":\"" text "\",\"token_type\":\"Bearer\",\"expires_in\":3600}"

struct stage {
	struct delivery_scene scene;
	struct peer *issuer, *receiver;
};

/* `more` as for delivery_scene_make; NULL: nothing. */
static void raise_stage(struct stage *stage, const struct peer_step *issuer, size_t issuer_steps,
	const struct peer_step *receiver, size_t receiver_steps, const char *more)
{
	char url[PEER_TEXT], token_url[PEER_TEXT], all[2 * PEER_TEXT];

	stage->issuer = peer_start(issuer, issuer_steps);
	stage->receiver = peer_start(receiver, receiver_steps);
	snprintf(all, sizeof(all),
		"{'auth':{'type':'oauth2','token_url':'%s','client_id':'me','client_secret':'s3cret','scope':'api'}%s%"
		"s",
		peer_url(stage->issuer, "/token", token_url), more != NULL ? "," : "}", more != NULL ? more + 1 : "");
	delivery_scene_make(&stage->scene,
		(struct delivery_effect[]){{.url = peer_url(stage->receiver, "/", url), .more = all}}, 1);
}

static void strike_stage(struct stage *stage)
{
	delivery_scene_remove(&stage->scene);
	peer_stop(stage->issuer);
	peer_stop(stage->receiver);
}

static bool sent_with(struct peer *peer, size_t request, const char *token)
{
	struct peer_request record = peer_request(peer, request);
	char value[PEER_TEXT], expected[PEER_TEXT];

	snprintf(expected, sizeof expected, "Bearer %s", token);
	return strcmp(peer_header(&record, "Authorization", value), expected) == 0;
}

/* State, attempts and the beginning of the reason of one effect. */
static void check_row(struct stage *stage, const char *id, const char *state, int attempts, const char *reason)
{
	struct delivery_row row = delivery_scene_row(&stage->scene, id, "bus");

	cr_assert_str_eq(row.state, state);
	cr_assert_eq(row.attempts, attempts, "%d attempts", row.attempts);
	cr_assert_eq(strncmp(row.reason, reason, strlen(reason)), 0, "%s", row.reason);
	cr_assert_null(strstr(row.log, "s3cret"));
	cr_assert_null(strstr(row.log, "tok-"));
	delivery_row_release(&row);
}

/* Waits until an effect waits for that reason. */
static void await_reason(struct stage *stage, const char *id, const char *reason)
{
	int64_t until_us = harness_mono_us() + DELIVERY_WAIT_MS * 1000;

	for (;;) {
		struct delivery_row row = delivery_scene_row(&stage->scene, id, "bus");
		bool found = strcmp(row.reason, reason) == 0;

		cr_assert(found || harness_mono_us() < until_us, "%s: %s", row.state, row.reason);
		delivery_row_release(&row);
		if (found)
			return;
		harness_sleep_ms(2);
	}
}

Test(delivery_tokens, one_for_many_effects)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1"), .delay_ms = 500}};

	raise_stage(&stage, issuer, 1, NULL, 0, NULL);
	delivery_scene_burst(&stage.scene, 200);
	cr_assert(peer_wait(stage.issuer, 1, DELIVERY_WAIT_MS));
	harness_sleep_ms(50);
	/* the one that fetches: all others wait in the lane */
	cr_assert_eq(gauge_get(delivery_scene_target(&stage.scene, "bus")->in_flight), 1);
	cr_assert(delivery_scene_await_ended(&stage.scene, "bus", "delivered", 200));
	cr_assert_eq(peer_count(stage.issuer), 1);
	cr_assert_eq(peer_count(stage.receiver), 200);
	for (size_t i = 0; i < 200; i++)
		cr_assert(sent_with(stage.receiver, i, "tok-1"));

	struct peer_request request = peer_request(stage.issuer, 0);
	char value[PEER_TEXT];
	cr_assert_str_eq(request.method, "POST");
	cr_assert_str_eq(request.path, "/token");
	cr_assert_str_eq(request.body, "grant_type=client_credentials&scope=api");
	cr_assert_str_eq(peer_header(&request, "Authorization", value), "Basic bWU6czNjcmV0");
	cr_assert_str_eq(peer_header(&request, "Idempotency-Key", value), "");
	strike_stage(&stage);
}

Test(delivery_tokens, renewed_once_after_a_401)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1")}, {.body = TOKEN("tok-2")}};
	struct peer_step receiver[] = {{.status = 401}, {.status = 200}};
	char id[ID_SIZE];

	raise_stage(&stage, issuer, 2, receiver, 2, "{'breaker':{'failures':1,'open_for':'1h'}}");
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	check_row(&stage, id, "delivered", 1, "");
	cr_assert_eq(peer_count(stage.issuer), 2);
	cr_assert(sent_with(stage.receiver, 0, "tok-1"));
	cr_assert(sent_with(stage.receiver, 1, "tok-2"));
	strike_stage(&stage);
}

Test(delivery_tokens, all_that_was_refused_together_shares_one_renewal)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1")}, {.body = TOKEN("tok-2"), .delay_ms = 300}};
	struct peer_step receiver[21];

	for (size_t i = 0; i < 20; i++)
		receiver[i] = (struct peer_step){.status = 401, .delay_ms = 100};
	receiver[20] = (struct peer_step){.status = 200};
	raise_stage(&stage, issuer, 2, receiver, 21, "{'max_in_flight':20,'breaker':{'failures':1,'open_for':'1h'}}");
	delivery_scene_burst(&stage.scene, 50);
	cr_assert(delivery_scene_await_ended(&stage.scene, "bus", "delivered", 50));
	cr_assert_eq(peer_count(stage.issuer), 2);
	cr_assert_eq(peer_count(stage.receiver), 70);
	strike_stage(&stage);
}

/* Others are welcome with the same token, so it is not the token: an effect is sent again once, and not for ever. */
Test(delivery_tokens, one_effect_that_is_always_refused)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1")}, {.body = TOKEN("tok-2")}, {.body = TOKEN("tok-3")}};
	struct peer_step receiver[] = {{.status = 401}, {.status = 401, .delay_ms = 700}, {.status = 200}};
	char refused[ID_SIZE], taken[ID_SIZE];

	raise_stage(&stage, issuer, 3, receiver, 3, "{'breaker':{'open_for':'1h'}}");
	cr_assert_eq(delivery_scene_event(&stage.scene, refused), 0);
	cr_assert(peer_wait(stage.receiver, 2, DELIVERY_WAIT_MS));
	cr_assert_eq(delivery_scene_event(&stage.scene, taken), 0);
	cr_assert(delivery_scene_await(&stage.scene, taken, "bus", "delivered"));
	await_reason(&stage, refused, "HTTP 401: credentials missing or refused");
	check_row(&stage, refused, "pending", 0, "HTTP 401");
	cr_assert_eq(peer_count(stage.receiver), 3);
	cr_assert_eq(peer_count(stage.issuer), 2);
	strike_stage(&stage);
}

Test(delivery_tokens, a_fresh_one_that_is_refused_condemns_the_target)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1")}, {.body = TOKEN("tok-2")}, {.body = TOKEN("tok-3")}};
	struct peer_step refused[] = {{.status = 401}}, taken[] = {{.status = 200}};
	char id[ID_SIZE];

	raise_stage(&stage, issuer, 3, refused, 1, "{'breaker':{'open_for':'300ms'}}");
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	await_reason(&stage, id, "HTTP 401: credentials missing or refused");
	cr_assert_eq(peer_count(stage.receiver), 2);
	cr_assert_eq(peer_count(stage.issuer), 2);
	check_row(&stage, id, "pending", 0, "HTTP 401");
	/* the probe comes with a token of its own */
	peer_script(stage.receiver, taken, 1);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	cr_assert_eq(peer_count(stage.issuer), 3);
	cr_assert(sent_with(stage.receiver, 2, "tok-3"));
	strike_stage(&stage);
}

Test(delivery_tokens, a_dead_issuer_parks_effects_and_costs_them_nothing)
{
	struct stage stage;
	struct peer_step dead[] = {{.status = 503}}, well[] = {{.body = TOKEN("tok-1")}};
	char ids[30][ID_SIZE];

	raise_stage(
		&stage, dead, 1, NULL, 0, "{'retry':{'max_attempts':1},'breaker':{'failures':3,'open_for':'200ms'}}");
	for (size_t i = 0; i < 30; i++)
		cr_assert_eq(delivery_scene_event(&stage.scene, ids[i]), 0);
	await_reason(&stage, ids[0], "token endpoint: HTTP 503");
	harness_sleep_ms(500);
	/* three that opened the breaker, and a probe for each 200 ms */
	cr_assert_leq(peer_count(stage.issuer), 3 + 30);
	cr_assert_eq(peer_count(stage.receiver), 0);
	for (size_t i = 0; i < 30; i++)
		check_row(&stage, ids[i], "pending", 0, "");
	peer_script(stage.issuer, well, 1);
	cr_assert(delivery_scene_await_ended(&stage.scene, "bus", "delivered", 30));
	for (size_t i = 0; i < 30; i++)
		check_row(&stage, ids[i], "delivered", 1, "");
	cr_assert_eq(peer_count(stage.receiver), 30);
	strike_stage(&stage);
}

Test(delivery_tokens, a_refused_client_condemns_the_target)
{
	struct stage stage;
	struct peer_step issuer[] = {{.status = 401, .body = "{\"error\":\"invalid_client\"}"}};
	char first[ID_SIZE], second[ID_SIZE];

	raise_stage(&stage, issuer, 1, NULL, 0, "{'breaker':{'open_for':'1h'}}");
	cr_assert_eq(delivery_scene_event(&stage.scene, first), 0);
	await_reason(&stage, first, "token endpoint: HTTP 401 invalid_client");
	cr_assert_eq(delivery_scene_event(&stage.scene, second), 0);
	harness_sleep_ms(50);
	cr_assert_eq(peer_count(stage.issuer), 1);
	check_row(&stage, first, "pending", 0, "token endpoint");
	check_row(&stage, second, "pending", 0, "");
	strike_stage(&stage);
}

/* The last attempt meets a 401, and then there is no token to be had: that attempt does not count. */
Test(delivery_tokens, a_renewal_that_fails_costs_no_attempt)
{
	struct stage stage;
	struct peer_step issuer[] = {{.body = TOKEN("tok-1")}, {.status = 500}, {.body = TOKEN("tok-2")}};
	struct peer_step receiver[] = {{.status = 401}, {.status = 200}};
	char id[ID_SIZE];

	raise_stage(&stage, issuer, 3, receiver, 2, "{'retry':{'max_attempts':1,'first':'300ms','cap':'300ms'}}");
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(peer_wait(stage.issuer, 3, DELIVERY_WAIT_MS));
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	check_row(&stage, id, "delivered", 1, "");
	cr_assert_eq(peer_count(stage.receiver), 2);
	strike_stage(&stage);
}

Test(delivery_tokens, one_is_replaced_before_it_expires)
{
	struct stage stage;
	struct peer_step issuer[] = {
		{.body = "{\"access_token\":\"tok-1\",\"expires_in\":1}"}, {.body = TOKEN("tok-2")}};
	char id[ID_SIZE];

	raise_stage(&stage, issuer, 2, NULL, 0, NULL);
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	harness_sleep_ms(1000);
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	cr_assert_eq(peer_count(stage.issuer), 2);
	cr_assert(sent_with(stage.receiver, 0, "tok-1"));
	cr_assert(sent_with(stage.receiver, 1, "tok-2"));
	strike_stage(&stage);
}

Test(delivery_tokens, a_stop_while_one_is_fetched)
{
	struct stage stage;
	struct peer_step silent[] = {{.action = PEER_SILENT}}, well[] = {{.body = TOKEN("tok-1")}};
	char id[ID_SIZE];

	raise_stage(&stage, silent, 1, NULL, 0, NULL);
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(peer_wait(stage.issuer, 1, DELIVERY_WAIT_MS));
	int64_t began_us = harness_mono_us();
	struct pool_totals totals = delivery_scene_stop(&stage.scene, 300);
	cr_assert_lt(harness_mono_us() - began_us, 3 * 1000 * 1000);
	cr_assert_eq(totals.kept, 1);
	check_row(&stage, id, "pending", 0, "");
	peer_script(stage.issuer, well, 1);
	delivery_scene_start(&stage.scene);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	check_row(&stage, id, "delivered", 1, "");
	strike_stage(&stage);
}

/* Nobody who waits for an inline effect waits for more than one fetch. */
Test(delivery_tokens, inline_effects_without_a_token)
{
	struct stage stage;
	struct peer_step dead[] = {{.status = 500}}, well[] = {{.body = TOKEN("tok-1")}};
	char id[ID_SIZE];

	raise_stage(&stage, dead, 1, NULL, 0, "{'delivery':'inline','on_failure':'reject'}");
	cr_assert_eq(delivery_scene_event(&stage.scene, id), ERR_DENIED);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "dead"));
	check_row(&stage, id, "dead", 0, "token endpoint: HTTP 500");
	peer_script(stage.issuer, well, 1);
	cr_assert_eq(delivery_scene_event(&stage.scene, id), 0);
	cr_assert(delivery_scene_await(&stage.scene, id, "bus", "delivered"));
	check_row(&stage, id, "delivered", 1, "");
	strike_stage(&stage);
}
