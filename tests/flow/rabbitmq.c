/* A real broker routes what a login publishes, and what it can't route is not lost. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/broker.h"
#include "tests/support/harness.h"
#include "tests/support/scene.h"

TestSuite(rabbitmq, .timeout = 120);

static void call(
	const struct broker *broker, const char *method, const char *path, const char *body, int least, int most)
{
	struct http_reply reply;

	broker_call(broker, method, path, body, &reply);
	cr_assert(reply.status >= least && reply.status <= most, "%s %s: %d %s%s", method, path, reply.status,
		reply.body, reply.failure);
	http_reply_release(&reply);
}

/* An exchange that knows nothing of the event's type, and a queue bound for another. */
static void declare(const struct broker *broker)
{
	call(broker, "PUT", "/api/exchanges/%2F/logins", "{\"type\":\"topic\",\"durable\":true}", 201, 204);
	call(broker, "PUT", "/api/queues/%2F/logins", "{\"durable\":true}", 201, 204);
	call(broker, "POST", "/api/bindings/%2F/e/logins/q/logins", "{\"routing_key\":\"user.logout\"}", 201, 201);
}

static struct server *start_server(const struct broker *broker, char **ret_config)
{
	char url[BROKER_URL];

	*ret_config = scene_text("{'background':{'drain':'300ms'},'effects':{'bus':{'type':'bus','format':'rabbitmq',"
				 "'on':['user.login'],'delivery':'durable','url':'%s',"
				 "'auth':{'type':'basic','username':'guest','password':'guest'},'timeout':'5s',"
				 "'retry':{'first':'50ms','cap':'200ms','max_attempts':1000},"
				 "'breaker':{'failures':1000,'open_for':'200ms'}}}}",
		broker_url(broker, "/api/exchanges/%2F/logins/publish", url));
	return scene_server(*ret_config, NULL);
}

/* The reason for which the effect waits says what an operator has to do. */
static void await_reason(const struct server *server, const struct api_login *login, const char *part)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	bool found = false;

	while (!found) {
		json_t *event = api_event(server, login);
		char *text = json_dumps(event, 0);

		found = text != NULL && strstr(text, part) != NULL;
		cr_assert(found || harness_mono_us() < until_us, "%s", text);
		if (found)
			cr_assert_str_eq(scene_member(api_event_effect(event, "bus"), "state"), "pending");
		free(text);
		json_decref(event);
		harness_sleep_ms(5);
	}
}

/* What is in the queue, taken out of it. */
static json_t *take_messages(const struct broker *broker)
{
	struct http_reply reply;

	broker_call(broker, "POST", "/api/queues/%2F/logins/get",
		"{\"count\":10,\"ackmode\":\"ack_requeue_false\",\"encoding\":\"auto\"}", &reply);
	cr_assert_eq(reply.status, 200, "%d %s", reply.status, reply.body);
	json_t *messages = json_incref(reply.json);
	http_reply_release(&reply);
	return messages;
}

static void check_message(const json_t *message, const struct api_login *login)
{
	const json_t *properties = json_object_get(message, "properties");
	json_t *payload = json_loads(scene_member(message, "payload"), JSON_REJECT_DUPLICATES, NULL);
	char key[PEER_TEXT];

	scene_key(login, "bus", key);
	cr_assert_str_eq(scene_member(message, "exchange"), "logins");
	cr_assert_str_eq(scene_member(message, "routing_key"), "user.login");
	cr_assert_str_eq(scene_member(properties, "message_id"), key);
	cr_assert_str_eq(scene_member(properties, "type"), "user.login");
	cr_assert_str_eq(scene_member(properties, "content_type"), "application/json");
	cr_assert_eq(json_integer_value(json_object_get(properties, "delivery_mode")), 2, "it is not persistent");
	cr_assert_str_eq(scene_member(payload, "id"), key);
	cr_assert_str_eq(scene_member(payload, "event_id"), login->event_id);
	cr_assert_str_eq(scene_member(json_object_get(json_object_get(payload, "data"), "user"), "username"), "alice");
	json_decref(payload);
}

Test(rabbitmq, an_event_waits_until_a_queue_is_bound_and_is_routed_then)
{
	char *config;

	if (!broker_possible())
		cr_skip_test("rabbitmq-server is not installed");
	struct broker *broker = broker_start();
	declare(broker);
	struct server *server = start_server(broker, &config);

	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
	await_reason(server, &login, "RabbitMQ routed it to no queue");
	json_t *messages = take_messages(broker);
	cr_assert_eq(json_array_size(messages), 0);
	json_decref(messages);

	call(broker, "POST", "/api/bindings/%2F/e/logins/q/logins", "{\"routing_key\":\"user.*\"}", 201, 201);
	cr_assert(api_effect_wait(server, &login, "bus", "delivered", SCENE_WAIT_MS));
	messages = take_messages(broker);
	cr_assert_eq(json_array_size(messages), 1, "%zu messages", json_array_size(messages));
	check_message(json_array_get(messages, 0), &login);
	json_decref(messages);

	server_free(server);
	broker_stop(broker);
	free(config);
}
