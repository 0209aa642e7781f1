/* POST /events: what other services hand over, through the same outbox. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"

#define ORDER "{\"type\":\"order.paid\",\"subject\":\"42\",\"data\":{\"total\":12}}"
#define CONFIG                                                                                                         \
	"{'services':{'shop':{'token':'a-token-of-the-shop','types':['order.*']},"                                     \
	" 'forms':{'token':'a-token-of-the-forms'}},"                                                                  \
	" 'effects':{'bus':{'on':['order.*','contact.sent']}}}"

TestSuite(handover, .timeout = 60);

static int hand_over(struct scene *scene, const char *token, const char *key, const char *body, char ret_event_id[64])
{
	char authorization[128], idempotency[400], url[SERVER_URL];
	const char *headers[3] = {NULL};
	const struct http_call call = {
		.url = server_url(scene->server, "/events", url), .headers = headers, .body = body};
	struct http_reply reply;
	size_t count = 0;

	(void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", token);
	(void)snprintf(idempotency, sizeof(idempotency), "Idempotency-Key: %s", key ? key : "");
	if (*token)
		headers[count++] = authorization;
	if (key)
		headers[count++] = idempotency;
	http_do(&call, &reply);
	int status = reply.status;
	if (ret_event_id)
		(void)snprintf(ret_event_id, 64, "%s", http_reply_text(&reply, "event_id"));
	http_reply_release(&reply);
	return status;
}

Test(handover, an_event_goes_where_it_is_wanted)
{
	char id[64], key[PEER_TEXT];
	struct peer_request request;
	struct scene scene;
	json_t *body;

	scene_set(&scene, NULL, 0, CONFIG);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, id), 202);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	request = peer_request(scene.peer, 0);
	(void)snprintf(key, sizeof(key), "%s-bus", id);
	cr_assert_eq(scene_key_count(scene.peer, key), 1);
	body = json_loads(request.body, 0, NULL);
	cr_assert_str_eq(scene_member(body, "type"), "order.paid");
	cr_assert_str_eq(scene_member(body, "subject"), "42");
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(body, "data"), "total")), 12);
	json_decref(body);
	scene_clear(&scene);
}

Test(handover, an_amount_arrives_as_it_was_written)
{
	struct scene scene;

	scene_set(&scene, NULL, 0, CONFIG);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", NULL,
			     "{\"type\":\"order.paid\",\"data\":{\"total\":19.99,\"rate\":0.1}}", NULL),
		202);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	struct peer_request request = peer_request(scene.peer, 0);
	cr_assert_not_null(strstr(request.body, "{\"total\":19.99,\"rate\":0.1}"), "%s", request.body);
	scene_clear(&scene);
}

Test(handover, a_key_stands_for_one_event_even_over_a_crash)
{
	char first[64], again[64], other[64];
	struct scene scene;

	scene_set(&scene, NULL, 0, CONFIG);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, first), 202);
	/* members in another order are the same request */
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1",
			     "{\"subject\":\"42\",\"data\":{\"total\":12},\"type\":\"order.paid\"}", again),
		202);
	cr_assert_str_eq(again, first);
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, again), 202);
	cr_assert_str_eq(again, first);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1",
			     "{\"type\":\"order.paid\",\"subject\":\"43\",\"data\":{\"total\":12}}", NULL),
		422);
	/* another service's key, and another key, are others */
	cr_assert_eq(hand_over(&scene, "a-token-of-the-forms", "k1", ORDER, other), 202);
	cr_assert_str_neq(other, first);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k2", ORDER, other), 202);
	cr_assert_str_neq(other, first);
	char *events = scene_query(scene.server, "SELECT count(*) FROM events");
	cr_assert_str_eq(events, "3");
	free(events);
	scene_clear(&scene);
}

Test(handover, what_is_no_event_is_refused_and_nothing_is_written)
{
	static const struct {
		const char *token, *key, *body;
		int status;
	} cases[] = {
		{"", "k", ORDER, 401},
		{"a-token-of-the-sho", "k", ORDER, 401},
		{"a-token-of-the-shop ", "k", ORDER, 401},
		{"a-token-of-the-shop", "k", "{\"type\":\"user.login\"}", 403},
		{"a-token-of-the-shop", "k", "{\"type\":\"Order\"}", 400},
		{"a-token-of-the-shop", "k", "{\"type\":\"order.\"}", 400},
		{"a-token-of-the-shop", "k", "{\"type\":7}", 400},
		{"a-token-of-the-shop", "k", "{\"type\":\"order.paid\",\"data\":[]}", 400},
		{"a-token-of-the-shop", "k", "{\"type\":\"order.paid\",\"subject\":1}", 400},
		{"a-token-of-the-shop", "k", "{\"type\":\"order.paid\",\"extra\":1}", 400},
		{"a-token-of-the-shop", "k", "[]", 400},
		{"a-token-of-the-shop",
			"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
			"4567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
			"890123456789012345678901234567890123456789012345678901234567890123456789",
			ORDER, 400},
	};
	struct scene scene;

	scene_set(&scene, NULL, 0, CONFIG);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(hand_over(&scene, cases[i].token, cases[i].key, cases[i].body, NULL), cases[i].status,
			"case %zu", i);
	char *rows = scene_query(scene.server, "SELECT (SELECT count(*) FROM events) || ' ' || (SELECT count(*) FROM"
					       " idempotency_keys)");
	cr_assert_str_eq(rows, "0 0");
	free(rows);
	scene_clear(&scene);
}

/* Quotes are what grows most: each is four bytes in a JSON text within JSON. */
Test(handover, what_is_taken_can_be_carried_and_the_rest_is_refused)
{
	enum { FITS = 48 * 1000, ROOM = 64 * 1000 };
	static char body[2 * ROOM + 128];
	struct scene scene;

	scene_set(&scene, NULL, 0,
		"{'services':{'shop':{'token':'a-token-of-the-shop','types':['order.*']}},'http':{'body_bytes':'1MiB'},"
		" 'effects':{'bus':{'on':['order.*'],'format':'rabbitmq'}}}");
	for (size_t quotes = FITS; quotes <= ROOM; quotes += ROOM - FITS) {
		size_t len = (size_t)snprintf(body, sizeof(body), "{\"type\":\"order.paid\",\"data\":{\"note\":\"");
		for (size_t i = 0; i < quotes; i++, len += 2)
			memcpy(body + len, "\\\"", 2);
		(void)snprintf(body + len, sizeof(body) - len, "\"}}");
		cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", NULL, body, NULL), quotes == FITS ? 202 : 413);
	}
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS), "it is sent, and no dead letter at once");
	scene_clear(&scene);
}

/* What the first answer said, the next ones say too, until an operator has mended it. */
Test(handover, a_key_of_an_event_that_was_rejected_is_rejected_again)
{
	static const struct peer_step refuse[] = {{.status = 422}};
	static const struct peer_step accept[] = {{.status = 200}};
	char rows[2] = "", *dead;
	struct scene scene;

	scene_set(&scene, refuse, 1,
		"{'services':{'shop':{'token':'a-token-of-the-shop','types':['order.*']}},"
		" 'effects':{'bus':{'on':['order.*'],'delivery':'inline','on_failure':'reject'}}}");
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, NULL), 502);
	dead = scene_query(scene.server, "SELECT count(*) FROM effects WHERE state = 0");
	cr_assert_str_eq(dead, "0", "what is refused is durable as such once it is said");
	free(dead);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, NULL), 502);
	cr_assert_eq(peer_count(scene.peer), 1, "nothing is done twice");
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, NULL), 502);
	peer_script(scene.peer, accept, 1);
	cr_assert_eq(server_command(scene.server, (const char *[]){"effects", "replay", "--all", NULL}, NULL, NULL), 0);
	for (int i = 0; rows[0] != '0' && i < SCENE_WAIT_MS / 20; i++) {
		dead = scene_query(scene.server, "SELECT count(*) FROM effects WHERE state <> 1");
		(void)snprintf(rows, sizeof(rows), "%s", dead);
		free(dead);
		(void)poll(NULL, 0, 20);
	}
	cr_assert_eq(hand_over(&scene, "a-token-of-the-shop", "k1", ORDER, NULL), 202);
	cr_assert_eq(peer_count(scene.peer), 2);
	scene_clear(&scene);
}

Test(handover, an_event_that_nobody_wants_is_kept_all_the_same)
{
	char id[64];
	struct scene scene;

	scene_set(&scene, NULL, 0, CONFIG);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-forms", NULL, "{\"type\":\"newsletter.left\"}", id), 202);
	cr_assert_eq(strlen(id), 26);
	cr_assert_eq(hand_over(&scene, "a-token-of-the-forms", NULL, "{\"type\":\"contact.sent\"}", id), 202);
	cr_assert(peer_wait(scene.peer, 1, SCENE_WAIT_MS));
	scene_clear(&scene);
}
