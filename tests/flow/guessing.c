/* Guesses at passwords over real sockets: what they cost, how they are answered, and that no answer tells accounts apart. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/peer.h"
#include "tests/support/scene.h"

#define CHEAP "'password':{'memory_kib':8,'passes':1}"
/* delays that no test outlasts, but where it says so */
#define SLOW "'account':{'free':5,'first':'10m','cap':'15m'}"

enum { FREE = 5, CROWD = 200, CROWD_AT_ONCE = 40 };

TestSuite(guessing, .timeout = 60);

static struct server *serve(char *config)
{
	struct server *server = scene_server(config, NULL);

	return server;
}

static void login(struct server *server, const char *name, const char *password, struct http_reply *ret_reply)
{
	char *body = scene_text("{'username':'%s','password':'%s'}", name, password);

	api_post(server, "/login", NULL, body, ret_reply);
	free(body);
}

static int status_of(struct server *server, const char *name, const char *password)
{
	struct http_reply reply;

	login(server, name, password, &reply);
	http_reply_release(&reply);
	return reply.status;
}

static double hashes(struct server *server)
{
	return metric_value(server, "tokenfirst_login_stage_seconds_count{stage=\"password\"}");
}

struct crowd {
	char url[SERVER_URL];
	const char *body;
	int wanted;
	atomic_int left, by_status[600], without_retry;
};

static void *one_of_the_crowd(void *arg)
{
	struct crowd *crowd = arg;

	while (atomic_fetch_sub(&crowd->left, 1) > 0) {
		char value[HTTP_HEADER_MAX];
		struct http_reply reply;
		http_do(&(struct http_call){.url = crowd->url, .body = crowd->body}, &reply);
		atomic_fetch_add(&crowd->by_status[reply.status], 1);
		if (reply.status == 429 && atoi(http_reply_header(&reply, "Retry-After", value)) < 1)
			atomic_fetch_add(&crowd->without_retry, 1);
		http_reply_release(&reply);
	}
	return NULL;
}

/* CROWD logins with the same words, CROWD_AT_ONCE at a time. */
static void send_crowd(struct server *server, const char *name, const char *password, struct crowd *crowd)
{
	char *body = scene_text("{'username':'%s','password':'%s'}", name, password);
	pthread_t threads[CROWD_AT_ONCE];

	memset(crowd, 0, sizeof(*crowd));
	crowd->body = body;
	atomic_store(&crowd->left, CROWD);
	server_url(server, "/login", crowd->url);
	for (int i = 0; i < CROWD_AT_ONCE; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, one_of_the_crowd, crowd), 0);
	for (int i = 0; i < CROWD_AT_ONCE; i++)
		pthread_join(threads[i], NULL);
	free(body);
}

static void expect_few_hashes(const char *name)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW ",'address':{'burst':1000}}}");
	struct server *server = serve(config);
	struct crowd crowd;

	send_crowd(server, name, "wrong", &crowd);
	cr_expect_eq(hashes(server), FREE, "%.0f hashes", hashes(server));
	cr_expect_eq(crowd.by_status[401], FREE);
	cr_expect_eq(crowd.by_status[429], CROWD - FREE);
	cr_expect_eq(crowd.without_retry, 0);
	cr_expect_eq(
		metric_value(server, "tokenfirst_throttled_total{kind=\"password\",by=\"account\"}"), CROWD - FREE);
	server_free(server);
	free(config);
}

Test(guessing, parallel_wrong_logins_at_one_account_run_no_more_hashes_than_are_free)
{
	expect_few_hashes("alice");
}

Test(guessing, and_at_a_name_that_does_not_exist_just_so)
{
	expect_few_hashes("nobody");
}

Test(guessing, a_crowd_that_knows_its_password_is_served)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW ",'address':{'burst':10}}}");
	struct server *server = serve(config);
	struct crowd crowd;

	send_crowd(server, "alice", SCENE_PASSWORD, &crowd);
	cr_expect_eq(crowd.by_status[200], CROWD, "%d of %d", crowd.by_status[200], CROWD);
	server_free(server);
	free(config);
}

/* A 429 as bytes, but for what is each request's own. Free it. */
static char *refusal(struct server *server, const char *name)
{
	struct http_reply reply;
	char value[HTTP_HEADER_MAX];
	char *text;

	login(server, name, "wrong", &reply);
	cr_assert_eq(reply.status, 429, "%s: %d %s", name, reply.status, reply.body);
	cr_assert_str_eq(http_reply_text(&reply, "code"), "throttled");
	cr_assert(atoi(http_reply_header(&reply, "Retry-After", value)) > 500, "Retry-After: %s", value);
	cr_assert_eq(json_object_del(reply.json, "request_id"), 0);
	text = json_dumps(reply.json, JSON_COMPACT | JSON_SORT_KEYS);
	http_reply_release(&reply);
	return text;
}

Test(guessing, a_refusal_is_the_same_for_a_name_that_does_not_exist)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW "}}");
	struct server *server = serve(config);
	char *of_alice, *of_nobody;

	for (int i = 0; i < FREE; i++) {
		cr_assert_eq(status_of(server, i % 2 ? "ALICE" : "alice", "wrong"), 401);
		cr_assert_eq(status_of(server, i % 2 ? "Nobody" : "nobody", "wrong"), 401);
	}
	of_alice = refusal(server, "alice");
	of_nobody = refusal(server, "nobody");
	cr_expect_str_eq(of_alice, of_nobody);
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 429, "a delay holds whatever the password");
	cr_expect_eq(hashes(server), 2 * FREE);
	free(of_alice);
	free(of_nobody);
	server_free(server);
	free(config);
}

Test(guessing, logins_that_succeed_use_nothing_up_and_forget_failures)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW ",'address':{'burst':30}}}");
	struct server *server = serve(config);

	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < FREE - 1; k++)
			cr_assert_eq(status_of(server, "alice", "wrong"), 401);
		for (int k = 0; k < 10; k++)
			cr_assert_eq(status_of(server, "alice", SCENE_PASSWORD), 200);
	}
	server_free(server);
	free(config);
}

/* Until anything but 429 comes: by then a delay of `ms` has gone by, less the first request's own time. */
static int await_turn(struct server *server, const char *password, double *ret_ms)
{
	int64_t begin_us = harness_mono_us();
	int status;

	do {
		harness_sleep_ms(5);
		status = status_of(server, "alice", password);
	} while (status == 429);
	*ret_ms = (double)(harness_mono_us() - begin_us) / 1000;
	return status;
}

Test(guessing, delays_double_and_end)
{
	char *config = scene_text("{" CHEAP ",'throttle':{'account':{'free':1,'first':'150ms','cap':'600ms'}}}");
	struct server *server = serve(config);
	static const double delays_ms[] = {150, 300, 600, 600};
	double ms;

	cr_assert_eq(status_of(server, "alice", "wrong"), 401);
	for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
		cr_assert_eq(await_turn(server, "wrong", &ms), 401);
		/* it began before this test's clock did, within the request before */
		cr_expect_geq(ms, delays_ms[i] - 100, "delay %zu lasted %.0f ms", i, ms);
	}
	cr_expect_eq(await_turn(server, SCENE_PASSWORD, &ms), 200);
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 200, "forgotten");
	server_free(server);
	free(config);
}

/* A password that a session's owner is asked for again: one allowance whatever it is asked for, and nobody else's to use up. */
Test(guessing, confirmations_share_what_logins_by_any_name_leave_alone)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW ",'address':{'burst':100}}}");
	char *change = scene_text("{'current_password':'wrong','new_password':'another horse, another battery'}");
	char *enrol = scene_text("{'password':'wrong'}"), *right = scene_text("{'password':'%s'}", SCENE_PASSWORD);
	struct server *server = serve(config);
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	struct http_reply reply;

	for (int i = 0; i <= FREE; i++)
		cr_assert_eq(status_of(server, "id:1", "wrong"), i < FREE ? 401 : 429);
	for (int i = 0; i < FREE; i++) {
		api_post(server, i % 2 ? "/password/change" : "/me/totp", alice.authorization, i % 2 ? change : enrol,
			&reply);
		http_reply_release(&reply);
		cr_assert_eq(reply.status, 403, "guess %d", i);
	}
	api_post(server, "/me/totp", alice.authorization, right, &reply);
	http_reply_release(&reply);
	cr_expect_eq(reply.status, 429, "the allowance is one");
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 200, "her logins have another");
	server_free(server);
	free(right);
	free(enrol);
	free(change);
	free(config);
}

Test(guessing, one_address_is_limited_over_all_accounts)
{
	char *config = scene_text("{" CHEAP ",'throttle':{'address':{'burst':4,'per_minute':1}}}");
	struct server *server = serve(config);
	struct http_reply reply;
	char value[HTTP_HEADER_MAX];

	for (int i = 0; i < 4; i++) {
		char *name = scene_text("nobody%d", i);
		cr_assert_eq(status_of(server, name, "wrong"), 401);
		free(name);
	}
	login(server, "alice", SCENE_PASSWORD, &reply);
	cr_expect_eq(reply.status, 429);
	int seconds = atoi(http_reply_header(&reply, "Retry-After", value));
	cr_expect(seconds > 20 && seconds <= 60, "Retry-After: %s", value);
	http_reply_release(&reply);
	server_free(server);
	free(config);
}

Test(guessing, the_exempt_and_a_throttle_that_is_off_guess_on)
{
	static const char *const throttles[] = {"'exempt':['127.0.0.0/8'],'account':{'free':1,'hard':2}",
		"'enabled':false,'account':{'free':1,'hard':2}"};

	for (size_t i = 0; i < 2; i++) {
		char *config = scene_text("{" CHEAP ",'throttle':{%s}}", throttles[i]);
		struct server *server = serve(config);
		for (int k = 0; k < 20; k++)
			cr_assert_eq(status_of(server, "alice", "wrong"), 401);
		cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 200, "what is not limited locks nobody");
		server_free(server);
		free(config);
	}
}

static int64_t count(struct server *server, const char *sql)
{
	char *text = scene_query(server, sql);
	int64_t value = atoll(text);

	free(text);
	return value;
}

static bool await_count(struct server *server, const char *sql, int64_t wanted)
{
	int64_t until_us = harness_mono_us() + (int64_t)SCENE_WAIT_MS * 1000;

	while (count(server, sql) != wanted && harness_mono_us() < until_us)
		harness_sleep_ms(5);
	return count(server, sql) == wanted;
}

Test(guessing, failures_in_a_row_lock_the_account_for_good_and_its_owner_is_told_once)
{
	static const char locked_events[] = "SELECT count(*) FROM events WHERE type = 'user.locked'";
	static const char failures[] = "SELECT failures FROM users WHERE username = 'alice'";
	char url[PEER_TEXT];
	struct peer *peer = peer_start((struct peer_step[]){{.status = 200}}, 1);
	char *config =
		scene_text("{" CHEAP ",'throttle':{'account':{'free':100,'hard':3}},'effects':{'bus':{'type':'bus',"
			   "'format':'json','on':['user.*'],'delivery':'durable','url':'%s'}}}",
			peer_url(peer, "/", url));
	struct server *server = serve(config);

	for (int i = 0; i < 2; i++)
		cr_assert_eq(status_of(server, "alice", "wrong"), 401);
	cr_assert(await_count(server, failures, 2));
	cr_assert_eq(status_of(server, "alice", SCENE_PASSWORD), 200);
	cr_assert_eq(count(server, failures), 0, "a login clears them");
	for (int i = 1; i <= 5; i++) {
		cr_assert_eq(status_of(server, "alice", "wrong"), 401);
		cr_assert(await_count(server, failures, i));
		cr_expect_eq(count(server, locked_events), i >= 3, "after %d failures", i);
	}
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 401);
	cr_expect_eq(count(server, "SELECT count(*) FROM audit WHERE type = 'user.locked' AND user_id = 1"), 1);
	cr_expect_eq(count(server, "SELECT count(*) FROM effects e JOIN events v ON v.id = e.event WHERE "
				   "v.type = 'user.locked'"),
		1);
	cr_expect(metric_wait(
		server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"delivered\"}", 2, SCENE_WAIT_MS));
	cr_assert_eq(server_stop(server), 0);
	server_restart(server, NULL);
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 401, "a restart unlocks nothing");
	server_free(server);
	peer_stop(peer);
	free(config);
}

Test(guessing, each_failure_leaves_an_audit_row_without_the_name_of_nobody)
{
	char *config = scene_text("{" CHEAP "}");
	struct server *server = serve(config);

	cr_assert_eq(status_of(server, "alice", "wrong-guess"), 401);
	cr_assert_eq(status_of(server, "nobody-by-that-name", "wrong-guess"), 401);
	cr_assert(await_count(server, "SELECT count(*) FROM audit WHERE type = 'user.login_failed'", 2));
	cr_expect_eq(count(server, "SELECT count(*) FROM audit WHERE type = 'user.login_failed' AND user_id = 1 AND "
				   "client = '127.0.0.1' AND length(request_id) = 26 AND actor = 'user'"),
		1);
	cr_expect_eq(count(server, "SELECT count(*) FROM audit WHERE type = 'user.login_failed' AND user_id = 0"), 1);
	cr_expect_eq(count(server, "SELECT count(*) FROM audit WHERE instr(detail, 'nobody') > 0"), 0);
	cr_expect_eq(metric_value(server, "tokenfirst_audit_lost_total"), 0);
	cr_expect_not(server_log_contains(server, "wrong-guess"));
	server_free(server);
	free(config);
}

/* The 401 as bytes, but for what is each request's own. Free it. */
static char *unwelcome(struct server *server, const char *name, const char *password)
{
	struct http_reply reply;
	char *text;

	login(server, name, password, &reply);
	cr_assert_eq(reply.status, 401, "%s: %d %s", name, reply.status, reply.body);
	cr_assert_eq(json_object_del(reply.json, "request_id"), 0);
	text = json_dumps(reply.json, JSON_COMPACT | JSON_SORT_KEYS);
	http_reply_release(&reply);
	return text;
}

Test(guessing, unknown_wrong_locked_and_disabled_read_the_same)
{
	static const char *const names[] = {"nobody", "alice", "locked", "locked", "disabled", "disabled"};
	static const char *const passwords[] = {"wrong", "wrong", "wrong", SCENE_PASSWORD, "wrong", SCENE_PASSWORD};
	static const char *const disable[] = {"user", "disable", "disabled", NULL};
	char *config = scene_text("{" CHEAP ",'throttle':{'account':{'hard':1}}}");
	struct server *server = serve(config);
	char *first = unwelcome(server, names[0], passwords[0]);

	server_add_user(server, "locked", NULL, SCENE_PASSWORD, false);
	server_add_user(server, "disabled", NULL, SCENE_PASSWORD, false);
	cr_assert_eq(server_command(server, disable, NULL, NULL), 0);
	cr_assert_eq(status_of(server, "locked", "wrong"), 401);
	cr_assert(await_count(server, "SELECT count(*) FROM users WHERE locked_ms > 0", 1));
	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = unwelcome(server, names[i], passwords[i]);
		cr_expect_str_eq(text, first, "%s with %s", names[i], passwords[i]);
		free(text);
	}
	free(first);
	server_free(server);
	free(config);
}

/* One wrong guess at a name of its own, with a header of a proxy. */
static int guess_for(struct server *server, int number, const char *header)
{
	char *body = scene_text("{'username':'nobody%d','password':'wrong'}", number);
	struct http_reply reply;

	api_post(server, "/login", header, body, &reply);
	free(body);
	http_reply_release(&reply);
	return reply.status;
}

Test(guessing, the_address_is_a_trusted_proxys_word_and_nobody_elses)
{
	static const char *const clients[] = {"X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 203.0.113.2"};
	static const char *const proxies[] = {"'trusted_proxies':['127.0.0.1']", "'trusted_proxies':['192.0.2.1']"};

	for (size_t trusted = 0; trusted < 2; trusted++) {
		char *config = scene_text(
			"{" CHEAP ",'http':{%s},'throttle':{'address':{'burst':2,'per_minute':1}}}", proxies[trusted]);
		struct server *server = serve(config);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(guess_for(server, i, clients[0]), 401);
		cr_expect_eq(guess_for(server, 2, clients[0]), 429);
		cr_expect_eq(guess_for(server, 3, clients[1]), trusted == 0 ? 401 : 429);
		server_free(server);
		free(config);
	}
}

static int status_by_email(struct server *server, const char *email, const char *password)
{
	char *body = scene_text("{'email':'%s','password':'%s'}", email, password);
	struct http_reply reply;

	api_post(server, "/login", NULL, body, &reply);
	free(body);
	http_reply_release(&reply);
	return reply.status;
}

/* A username may be anything that looks like an address, or like what the server calls accounts by. */
Test(guessing, a_username_that_reads_like_anothers_address_clears_nothing_of_it)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW "}}");
	struct server *server = serve(config);

	server_add_user(server, "victim", "victim@example.com", "whatever it may be 5", false);
	server_add_user(server, "Victim@example.com", NULL, SCENE_PASSWORD, false);
	for (int i = 0; i < FREE; i++)
		cr_assert_eq(status_by_email(server, "victim@example.com", "wrong"), 401);
	cr_expect_eq(status_of(server, "victim@example.com", SCENE_PASSWORD), 200);
	cr_expect_eq(status_by_email(server, "victim@example.com", "wrong"), 429);
	server_free(server);
	free(config);
}

static int change_status(struct server *server, const struct api_login *login, const char *password)
{
	char *body = scene_text("{'current_password':'%s','new_password':'a long way to go 77'}", password);
	struct http_reply reply;

	api_post(server, "/password/change", login->authorization, body, &reply);
	free(body);
	http_reply_release(&reply);
	return reply.status;
}

Test(guessing, nobody_outside_uses_up_what_a_session_may_try)
{
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW ",'address':{'burst':100}}}");
	struct server *server = serve(config);
	struct api_login alice = api_login(server, "alice", SCENE_PASSWORD);
	char *id = scene_query(server, "SELECT public_id FROM users WHERE id = 1");
	char *names[] = {scene_text("id:%s", id), scene_text("id:1"), scene_text("1")};

	for (size_t i = 0; i < 3; i++) {
		for (int k = 0; k < FREE; k++)
			cr_assert_eq(status_of(server, names[i], "wrong"), 401);
		cr_assert_eq(status_of(server, names[i], "wrong"), 429);
		free(names[i]);
	}
	cr_expect_eq(change_status(server, &alice, SCENE_PASSWORD), 200);
	server_free(server);
	free(config);
	free(id);
}

Test(guessing, who_unlocks_an_account_ends_its_delays)
{
	static const char *const unlock[] = {"user", "unlock", "alice", NULL};
	char *config = scene_text("{" CHEAP ",'throttle':{" SLOW "}}");
	struct server *server = serve(config);

	for (int k = 0; k < FREE; k++)
		cr_assert_eq(status_of(server, "alice", "wrong"), 401);
	cr_assert_eq(status_of(server, "alice", SCENE_PASSWORD), 429);
	cr_assert_eq(server_command(server, unlock, NULL, NULL), 0);
	cr_expect_eq(status_of(server, "alice", SCENE_PASSWORD), 200);
	server_free(server);
	free(config);
}

/* The 401 to a login by address as bytes, but for what is each request's own. Free it. */
static char *unwelcome_by_email(struct server *server, const char *email, const char *password)
{
	char *body = scene_text("{'email':'%s','password':'%s'}", email, password), *text;
	struct http_reply reply;

	api_post(server, "/login", NULL, body, &reply);
	free(body);
	cr_assert_eq(reply.status, 401, "%s: %d %s", email, reply.status, reply.body);
	cr_assert_eq(json_object_del(reply.json, "request_id"), 0);
	text = json_dumps(reply.json, JSON_COMPACT | JSON_SORT_KEYS);
	http_reply_release(&reply);
	return text;
}

Test(guessing, by_address_it_reads_the_same_as_by_name_and_so_do_deleted_accounts)
{
	static const char *const delete[] = {"user", "delete", "gone", NULL};
	static const char *const emails[] = {
		"nobody@example.com", "here@example.com", "gone@example.com", "no address"};
	static const char *const names[] = {"gone", "deleted:gone", ""};
	char *config = scene_text("{" CHEAP "}");
	struct server *server = serve(config);
	char *first = unwelcome(server, "nobody", "wrong");

	server_add_user(server, "here", "here@example.com", SCENE_PASSWORD, false);
	server_add_user(server, "gone", "gone@example.com", "what opens nothing 3", false);
	cr_assert_eq(server_command(server, delete, NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(emails) / sizeof(emails[0]); i++) {
		char *text = unwelcome_by_email(server, emails[i], "what opens nothing 3");
		cr_expect_str_eq(text, first, "%s", emails[i]);
		free(text);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = unwelcome(server, names[i], "what opens nothing 3");
		cr_expect_str_eq(text, first, "%s", names[i]);
		free(text);
	}
	free(first);
	server_free(server);
	free(config);
}
