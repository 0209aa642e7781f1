/* The four effects of the usual configuration, from one login to what really arrives at four receivers. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/scene.h"
#include "tests/support/smtp_peer.h"

#define TRACE_ID    "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT_ID   "00f067aa0ba902b7"
#define TRACEPARENT "00-" TRACE_ID "-" PARENT_ID "-01"

enum { MAIL_MS = 60, ANALYTICS_MS = 30, CRM_MS = 40, BUS_MS = 50, HTTP_PEERS = 3 };

static const char *const names[] = {"analytics", "crm", "bus"};
static const char *const paths[] = {"/v1/track", "/crm/v3/objects/contacts/batch/upsert", "/events"};

static struct smtp_peer *mail;
static struct peer *peers[HTTP_PEERS]; /* in the order of `names` */
static struct server *server;
static char *config;

static void setup(void)
{
	static const struct peer_step steps[] = {
		{.delay_ms = ANALYTICS_MS}, {.delay_ms = CRM_MS}, {.delay_ms = BUS_MS}};
	char mail_url[SMTP_PEER_URL];
	char urls[HTTP_PEERS][PEER_TEXT];

	mail = smtp_peer_start(&(struct smtp_script){.delay_ms[SMTP_END_OF_DATA] = MAIL_MS}, 1);
	for (size_t i = 0; i < HTTP_PEERS; i++) {
		peers[i] = peer_start(&steps[i], 1);
		peer_url(peers[i], paths[i], urls[i]);
	}
	config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'effects':{"
		"'email':{'type':'email','on':['user.login'],'delivery':'durable','url':'%s','from':'auth@example.com'}"
		","
		"'analytics':{'type':'analytics','format':'segment','on':['user.login'],'delivery':'fire_and_forget',"
		" 'on_full':'drop','url':'%s'},"
		"'crm':{'type':'crm','format':'hubspot','on':['user.login'],'delivery':'durable','url':'%s'},"
		"'bus':{'type':'bus','format':'cloudevents','on':['user.login'],'delivery':'durable','url':'%s'}}}",
		smtp_peer_url(mail, mail_url), urls[0], urls[1], urls[2]);
	server = scene_server(config, NULL);
}

static void teardown(void)
{
	server_free(server);
	smtp_peer_stop(mail);
	for (size_t i = 0; i < HTTP_PEERS; i++)
		peer_stop(peers[i]);
	free(config);
}

TestSuite(delivery, .init = setup, .fini = teardown, .timeout = 60);

/* The value of a header line of a mail, unfolded lines only; free it. */
static char *mail_header(const char *message, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = message; line != NULL && *line != '\r'; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line == '\r')
			break;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return strndup(line + len + 2, strcspn(line + len + 2, "\r\n"));
	}
	return strdup("");
}

static void mail_header_is(const struct smtp_mail *received, const char *name, const char *expected)
{
	char *value = mail_header(received->message, name);

	cr_assert_str_eq(value, expected, "%s: %s", name, value);
	free(value);
}

static void mail_header_given(const struct smtp_mail *received, const char *name)
{
	char *value = mail_header(received->message, name);

	cr_assert_str_neq(value, "", "no %s in\n%s", name, received->message);
	free(value);
}

Test(delivery, the_mail_arrives)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	char message_id[PEER_TEXT + 32];
	char key[PEER_TEXT];
	struct smtp_mail received;

	cr_assert_eq(login.status, 200);
	cr_assert(smtp_peer_wait(mail, 1, SCENE_WAIT_MS));
	received = smtp_peer_mail(mail, 0);
	cr_assert(received.accepted);
	cr_assert_str_eq(received.sender, "auth@example.com");
	cr_assert_eq(received.recipient_count, 1);
	cr_assert_str_eq(received.recipients[0], "alice@example.com");
	snprintf(message_id, sizeof(message_id), "<%s@example.com>", scene_key(&login, "email", key));
	mail_header_is(&received, "Message-ID", message_id);
	mail_header_is(&received, "MIME-Version", "1.0");
	mail_header_given(&received, "Subject");
	mail_header_given(&received, "Date");
	mail_header_given(&received, "From");
	mail_header_given(&received, "To");
	cr_assert_not_null(strstr(received.message, "multipart/alternative"));
	cr_assert_not_null(strstr(received.message, "text/plain; charset=utf-8"));
	cr_assert_not_null(strstr(received.message, "text/html; charset=utf-8"));
	cr_assert(strstr(received.message, "text/plain") < strstr(received.message, "text/html"));
	cr_assert_not_null(strstr(received.message, "alice"), "nobody is addressed:\n%s", received.message);
	cr_assert(api_effect_wait(server, &login, "email", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(smtp_peer_count(mail), 1);
}

static void login_traced(struct api_login *ret_login)
{
	struct http_reply reply;

	api_post(server, "/login", "traceparent: " TRACEPARENT,
		"{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\"}", &reply);
	cr_assert_eq(reply.status, 200, "%s", reply.body);
	snprintf(ret_login->event_id, sizeof(ret_login->event_id), "%s", http_reply_text(&reply, "event_id"));
	snprintf(ret_login->authorization, sizeof(ret_login->authorization), "Authorization: Bearer %s",
		http_reply_text(&reply, "access_token"));
	http_reply_release(&reply);
}

/* The caller's trace goes on, with a span of its own. */
static void trace_check(const struct peer_request *request)
{
	char value[PEER_TEXT];

	peer_header(request, "traceparent", value);
	cr_assert_eq(strlen(value), strlen(TRACEPARENT), "%s", value);
	cr_assert_eq(strncmp(value, "00-" TRACE_ID "-", 36), 0, "%s", value);
	cr_assert_neq(strncmp(value + 36, PARENT_ID, 16), 0, "%s", value);
	cr_assert_str_eq(value + 52, "-01", "%s", value);
}

Test(delivery, the_requests_arrive)
{
	struct api_login login = {0};
	char value[PEER_TEXT];
	char key[PEER_TEXT];

	login_traced(&login);
	for (size_t i = 0; i < HTTP_PEERS; i++) {
		struct peer_request request;

		cr_assert(peer_wait(peers[i], 1, SCENE_WAIT_MS), "nothing at %s", names[i]);
		request = peer_request(peers[i], 0);
		cr_assert_str_eq(request.method, "POST");
		cr_assert_str_eq(request.path, paths[i]);
		cr_assert_str_eq(peer_header(&request, "Idempotency-Key", value), scene_key(&login, names[i], key));
		cr_assert_eq(strncmp(peer_header(&request, "User-Agent", value), "tokenfirst/", 11), 0, "%s", value);
		cr_assert_eq(
			strncmp(peer_header(&request, "Content-Type", value), "application/json", 16), 0, "%s", value);
		cr_assert_str_eq(peer_header(&request, "Expect", value), "");
		trace_check(&request);
	}
}

Test(delivery, the_bodies_say_who_and_what)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	struct peer_request request;
	char value[PEER_TEXT];
	json_t *body;

	cr_assert_eq(login.status, 200);
	for (size_t i = 0; i < HTTP_PEERS; i++)
		cr_assert(peer_wait(peers[i], 1, SCENE_WAIT_MS));
	request = peer_request(peers[0], 0);
	body = json_loads(request.body, 0, NULL);
	cr_assert_str_eq(scene_member(body, "event"), "user.login");
	cr_assert_eq(strlen(scene_member(body, "userId")), 26);
	cr_assert_null(strstr(request.body, "alice@example.com"), "analytics is told an address");
	json_decref(body);

	request = peer_request(peers[1], 0);
	body = json_loads(request.body, 0, NULL);
	cr_assert_str_eq(scene_member(json_array_get(json_object_get(body, "inputs"), 0), "id"), "alice@example.com");
	json_decref(body);

	request = peer_request(peers[2], 0);
	cr_assert_str_eq(peer_header(&request, "ce-id", value), login.event_id);
	cr_assert_str_eq(peer_header(&request, "ce-type", value), "user.login");
	body = json_loads(request.body, 0, NULL);
	cr_assert_str_eq(scene_member(json_object_get(body, "user"), "username"), "alice");
	json_decref(body);
	for (size_t i = 0; i < HTTP_PEERS; i++) {
		cr_assert_null(strstr(peer_request(peers[i], 0).body, SCENE_PASSWORD));
		cr_assert_null(strstr(peer_request(peers[i], 0).body, login.access_token));
	}
}

static void effect_check(const json_t *event, const char *name, const char *delivery, double at_least_ms)
{
	const json_t *effect = api_event_effect(event, name);
	const json_t *attempt = scene_attempt(event, name, 0);

	cr_assert_not_null(effect, "%s is missing", name);
	cr_assert_str_eq(scene_member(effect, "delivery"), delivery);
	cr_assert_str_eq(scene_member(effect, "state"), "delivered");
	cr_assert(json_is_null(json_object_get(effect, "next_attempt")), "%s", name);
	cr_assert_eq(json_array_size(json_object_get(effect, "attempts")), 1);
	cr_assert_str_eq(scene_member(attempt, "outcome"), "ok");
	cr_assert_eq(strlen(scene_member(attempt, "start")), strlen("2006-01-02T15:04:05.999Z"), "%s",
		scene_member(attempt, "start"));
	cr_assert_geq(json_number_value(json_object_get(attempt, "duration_ms")), at_least_ms, "%s", name);
}

Test(delivery, the_event_shows_each_effect)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	json_t *event = api_event_settled(server, &login, SCENE_WAIT_MS);

	cr_assert_not_null(event);
	cr_assert_str_eq(scene_member(event, "event_id"), login.event_id);
	cr_assert_str_eq(scene_member(event, "type"), "user.login");
	cr_assert_eq(json_array_size(json_object_get(event, "effects")), 1 + HTTP_PEERS);
	effect_check(event, "email", "durable", MAIL_MS);
	effect_check(event, "analytics", "fire_and_forget", ANALYTICS_MS);
	effect_check(event, "crm", "durable", CRM_MS);
	effect_check(event, "bus", "durable", BUS_MS);
	json_decref(event);
}

static int event_status(const char *id, const char *authorization)
{
	char path[API_ID + 16];
	struct http_reply reply;
	int status;

	snprintf(path, sizeof(path), "/events/%s", id);
	api_get(server, path, authorization, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

Test(delivery, an_event_is_for_its_user_and_admins)
{
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	struct api_login bob, admin;

	server_add_user(server, "bob", NULL, SCENE_PASSWORD, false);
	server_add_user(server, "carol", NULL, SCENE_PASSWORD, true);
	bob = api_login(server, "bob", SCENE_PASSWORD);
	admin = api_login(server, "carol", SCENE_PASSWORD);
	cr_assert_eq(event_status(alice.event_id, alice.authorization), 200);
	cr_assert_eq(event_status(alice.event_id, admin.authorization), 200);
	cr_assert_eq(event_status(alice.event_id, bob.authorization), 404);
	cr_assert_eq(event_status(alice.event_id, NULL), 401);
	cr_assert_eq(event_status("01ARZ3NDEKTSV4RRFFQ69G5FAV", alice.authorization), 404);
	cr_assert_eq(event_status("nonsense", alice.authorization), 404);
}

/* Nobody to send a mail to is neither a failure nor a delivery. */
Test(delivery, without_an_address_the_mail_is_skipped)
{
	struct api_login login;
	json_t *event;

	server_add_user(server, "bob", NULL, SCENE_PASSWORD, false);
	login = api_login(server, "bob", SCENE_PASSWORD);
	event = api_event_settled(server, &login, SCENE_WAIT_MS);
	cr_assert_not_null(event);
	cr_assert_str_eq(scene_member(api_event_effect(event, "email"), "state"), "skipped");
	json_decref(event);
	cr_assert(metric_wait(
		server, "tokenfirst_effects_total{effect=\"email\",outcome=\"skipped\"}", 1, SCENE_WAIT_MS));
	cr_assert_eq(smtp_peer_count(mail), 0);
}

static void metric_is(double expected, const char *metric, const char *name)
{
	char series[256];
	double value;

	snprintf(series, sizeof(series), "%s{effect=\"%s\"}", metric, name);
	value = metric_value(server, series);
	cr_assert_eq(value, expected, "%s is %g", series, value);
}

static void effect_metrics_check(const char *name)
{
	char series[256];

	snprintf(series, sizeof(series), "tokenfirst_effects_total{effect=\"%s\",outcome=\"delivered\"}", name);
	cr_assert(metric_wait(server, series, 1, SCENE_WAIT_MS), "%s", series);
	cr_assert_eq(metric_value(server, series), 1, "%s", series);
	snprintf(series, sizeof(series), "tokenfirst_effect_attempts_total{effect=\"%s\",outcome=\"ok\"}", name);
	cr_assert_eq(metric_value(server, series), 1, "%s", series);
	metric_is(1, "tokenfirst_effects_created_total", name);
	metric_is(1, "tokenfirst_effect_end_to_end_seconds_count", name);
	metric_is(1, "tokenfirst_effect_queue_seconds_count", name);
	metric_is(1, "tokenfirst_effect_attempt_duration_seconds_count", name);
	metric_is(0, "tokenfirst_effects_pending", name);
	metric_is(0, "tokenfirst_effects_in_flight", name);
	metric_is(0, "tokenfirst_breaker_state", name);
}

Test(delivery, the_metrics_add_up)
{
	static const char *const stages[] = {
		"parse", "lookup", "password_wait", "password", "token", "commit", "inline"};
	const double delays = (MAIL_MS + ANALYTICS_MS + CRM_MS + BUS_MS) / 1000.0;
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	double cost;

	cr_assert_eq(login.status, 200);
	effect_metrics_check("email");
	for (size_t i = 0; i < HTTP_PEERS; i++)
		effect_metrics_check(names[i]);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		char series[128];

		snprintf(series, sizeof(series), "tokenfirst_login_stage_seconds_count{stage=\"%s\"}", stages[i]);
		cr_assert_eq(metric_value(server, series), 1, "%s", series);
	}
	cr_assert_eq(metric_value(server, "tokenfirst_login_duration_seconds_count{outcome=\"ok\"}"), 1);
	cr_assert_lt(metric_value(server, "tokenfirst_login_duration_seconds_sum{outcome=\"ok\"}"), delays);
	cr_assert(metric_wait(server, "tokenfirst_login_blocking_cost_seconds_count", 1, SCENE_WAIT_MS));
	cr_assert_eq(metric_value(server, "tokenfirst_login_blocking_cost_seconds_count"), 1);
	cost = metric_value(server, "tokenfirst_login_blocking_cost_seconds_sum");
	cr_assert_geq(cost, delays, "%g s, the receivers alone take %g s", cost, delays);
	cr_assert_lt(cost, delays + 5);
	cr_assert_eq(metric_value(server, "tokenfirst_login_blocking_cost_skipped_total"), 0);
}

Test(delivery, the_metrics_are_well_formed)
{
	struct api_login login = api_login(server, "alice", SCENE_PASSWORD);
	json_t *event = api_event_settled(server, &login, SCENE_WAIT_MS);
	struct http_reply reply;
	FILE *checker;

	cr_assert_not_null(event);
	json_decref(event);
	checker = popen("command -v promtool > /dev/null", "w");
	if (checker == NULL || pclose(checker) != 0)
		cr_skip_test("promtool is not installed");
	api_get(server, "/metrics", NULL, &reply);
	cr_assert_eq(reply.status, 200);
	checker = popen("promtool check metrics 1>&2", "w");
	cr_assert_not_null(checker);
	cr_assert_eq(fwrite(reply.body, 1, reply.body_len, checker), reply.body_len);
	cr_assert_eq(pclose(checker), 0, "promtool complains, see above");
	http_reply_release(&reply);
}
