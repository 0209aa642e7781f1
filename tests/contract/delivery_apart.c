/*
 * What one target does is of no concern to the others of its worker: with two workers, the first and the third share
 * one.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/operate.h"
#include "background/delivery/worker.h"
#include "config/limits.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"
#include "tests/support/smtp_peer.h"

enum { EVENTS = 100, PER_SECOND = 500, BACKLOG = 120, LOGINS = 300, MANY = 1200 };

TestSuite(delivery_apart, .timeout = 60);

/* While a token is on its way, the others of the worker are woken when their own time has come. */
Test(delivery_apart, an_issuer_that_never_answers)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer *issuer = peer_start(silent, 1), *receiver = peer_start(NULL, 0);
	char url[PEER_TEXT], token_url[PEER_TEXT], with_token[2 * PEER_TEXT], rated[PEER_TEXT];
	struct delivery_scene scene;

	peer_url(receiver, "/", url);
	snprintf(with_token, sizeof(with_token),
		"{'auth':{'type':'oauth2','token_url':'%s','client_id':'me','client_secret':'s3cret'}}",
		peer_url(issuer, "/token", token_url));
	snprintf(rated, sizeof(rated), "{'rate':{'per_second':%d,'burst':1},'max_in_flight':1}", PER_SECOND);
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "first", .url = url, .more = with_token},
			{.name = "second", .url = url}, {.name = "third", .url = url, .more = rated}},
		3);
	delivery_scene_burst(&scene, 1);
	cr_assert(peer_wait(issuer, 1, DELIVERY_WAIT_MS));
	int64_t began_us = harness_mono_us();
	delivery_scene_burst(&scene, EVENTS);
	cr_assert(delivery_scene_await_ended(&scene, "third", "delivered", EVENTS + 1));
	int64_t took_ms = (harness_mono_us() - began_us) / 1000;
	printf("figure: %d effects at %d/s beside an issuer that never answers: %lld ms\n", EVENTS, PER_SECOND,
		(long long)took_ms);
	cr_assert_eq(peer_count(issuer), 1);
	cr_assert_lt(took_ms, 5 * EVENTS * 1000 / PER_SECOND);
	delivery_scene_remove(&scene);
	peer_stop(issuer);
	peer_stop(receiver);
}

/* Together they have more in flight than a worker once kept connections: each then closed those of the other. */
Test(delivery_apart, connections_stay_open_however_many_are_in_flight)
{
	struct peer_step slow[] = {{.delay_ms = 20}};
	struct peer *one = peer_start(slow, 1), *other = peer_start(slow, 1);
	char one_url[PEER_TEXT], other_url[PEER_TEXT];
	const char *more = "{'max_in_flight':150}";
	struct delivery_scene scene;

	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "first", .url = peer_url(one, "/", one_url), .more = more},
			{.name = "second", .url = one_url},
			{.name = "third", .url = peer_url(other, "/", other_url), .more = more}},
		3);
	delivery_scene_burst(&scene, MANY);
	cr_assert(delivery_scene_await_ended(&scene, "first", "delivered", MANY));
	cr_assert(delivery_scene_await_ended(&scene, "third", "delivered", MANY));
	cr_assert_gt(peer_connections(other), 128, "they were in flight at once");
	cr_assert_leq(peer_connections(other), 150, "each connection is opened once");
	delivery_scene_remove(&scene);
	peer_stop(one);
	peer_stop(other);
}

/* However many mails hang at one server, those to another are sent. */
Test(delivery_apart, a_mail_server_that_never_answers)
{
	struct smtp_script stalls[] = {{.replies = {[SMTP_RCPT] = SMTP_PEER_STALL}}};
	struct smtp_peer *silent = smtp_peer_start(stalls, 1), *well = smtp_peer_start(NULL, 0);
	char silent_url[SMTP_PEER_URL], well_url[SMTP_PEER_URL];
	const char *mail = "{'type':'email','from':'auth@example.com','to':['alice@example.com'],'timeout':'30s',"
			   "'max_in_flight':200}";
	struct delivery_scene scene;

	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "first", .url = smtp_peer_url(silent, silent_url), .more = mail},
			{.name = "second", .url = smtp_peer_url(well, well_url), .more = mail},
			{.name = "third", .url = smtp_peer_url(well, well_url), .more = mail}},
		3);
	delivery_scene_burst(&scene, 2 * LIMIT_COURIERS);
	cr_assert(delivery_scene_await_ended(&scene, "second", "delivered", 2 * LIMIT_COURIERS));
	cr_assert(delivery_scene_await_ended(&scene, "third", "delivered", 2 * LIMIT_COURIERS));
	int64_t began_us = harness_mono_us();
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 2 * LIMIT_COURIERS);
	cr_assert_lt(harness_mono_us() - began_us, 5 * 1000 * 1000);
	delivery_scene_remove(&scene);
	smtp_peer_stop(silent);
	smtp_peer_stop(well);
}

struct reading {
	struct delivery_scene *scene;
	atomic_bool over;
};

/* Makes both lanes read their rows again, all the time. */
static void *read_on(void *arg)
{
	static const char *const names[] = {"first", "third"};
	struct reading *reading = arg;

	while (!atomic_load(&reading->over)) {
		for (size_t i = 0; i < 2; i++) {
			struct target *target = delivery_scene_target(reading->scene, names[i]);
			atomic_fetch_or(&target->orders, ORDER_NOTE);
			worker_nudge(target->worker);
		}
		harness_sleep_ms(1);
	}
	return NULL;
}

/*
 * A row that is read while the offer of its inline effect is on its way is left for its request. A backlog beside it
 * makes the worker's turns longer than a millisecond.
 */
Test(delivery_apart, an_inline_effect_whose_row_is_read_early)
{
	struct peer *receiver = peer_start(NULL, 0);
	char url[PEER_TEXT], id[ID_SIZE];
	struct delivery_scene scene;
	struct reading reading = {.scene = &scene};
	static char data[60000];
	pthread_t reader;

	peer_url(receiver, "/", url);
	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.name = "first", .url = url, .more = "{'on':['user.login']}"},
			{.name = "second", .url = url, .more = "{'on':['none']}"},
			{.name = "third",
				.url = url,
				.more = "{'on':['user.signup'],'delivery':'inline','on_failure':'reject'}"}},
		3);
	cr_assert_eq(pool_pause(scene.pool, "first", "a backlog"), 0);
	memset(data + 1, 'x', sizeof(data) - 3);
	data[0] = data[sizeof(data) - 2] = '"';
	for (int i = 0; i < BACKLOG; i++)
		cr_assert_eq(delivery_scene_event_of(&scene, "user.login", data, id), 0);
	cr_assert_eq(pthread_create(&reader, NULL, read_on, &reading), 0);
	int refused = 0;
	for (int i = 0; i < LOGINS; i++)
		refused += delivery_scene_event_of(&scene, "user.signup", NULL, id) != 0;
	atomic_store(&reading.over, true);
	pthread_join(reader, NULL);
	cr_assert_eq(refused, 0, "%d were sent with nobody waiting", refused);
	cr_assert_eq(peer_count(receiver), LOGINS);
	delivery_scene_remove(&scene);
	peer_stop(receiver);
}
