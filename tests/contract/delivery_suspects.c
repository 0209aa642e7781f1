/* Effects that were in flight when the process ended: sent alone and last, and set aside when they end it alone. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/operate.h"
#include "config/clock.h"
#include "config/limits.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/peer.h"
#include "tests/support/smtp_peer.h"

enum { SUSPECTS = 3, OTHERS = 20, ANSWER_MS = 150 };

TestSuite(delivery_suspects, .timeout = 60);

static struct delivery_scene scene;
static struct peer *peer;
static char url[PEER_TEXT];

/* Past runs of the process that ended while these rows were in flight. */
struct past {
	int64_t first_row, last_row;
	int crashes;
	bool alone; /* at the last of them */
};

static int note_past(struct db *db, void *arg)
{
	const struct past *past = arg;

	for (int64_t row = past->first_row; row <= past->last_row; row++)
		for (int crash = 0; crash < past->crashes; crash++) {
			const struct started started = {
				.row = row, .attempt = 10 + crash, .alone = past->alone && crash == past->crashes - 1};
			int err = outbox_mark_started(db, 1000 + crash, &started, 1);
			if (err != 0)
				return err;
		}
	return 0;
}

/* So many effects, all of them still owed when the process has "ended". */
static void begin(size_t effects, const struct past *past, const char *other)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}}, well[] = {{.delay_ms = ANSWER_MS}};

	peer = peer_start(silent, 1);
	peer_url(peer, "/", url);
	delivery_scene_make(
		&scene, (struct delivery_effect[]){{.url = url}, {.name = "other", .url = url, .more = other}}, 2);
	delivery_scene_burst(&scene, effects);
	/* all of them, or the peer would count the rest of these among those of the next run */
	cr_assert(peer_wait(peer, other == NULL ? 2 * effects : effects, DELIVERY_WAIT_MS));
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, (int64_t)(other == NULL ? 2 * effects : effects));
	cr_assert_eq(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), 0);
	cr_assert_eq(committer_run(scene.opened.committer, note_past, (void *)past), 0);
	peer_script(peer, well, 1);
}

static void finish(void)
{
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

static const char *key_of(size_t request, char key[PEER_TEXT])
{
	struct peer_request got = peer_request(peer, request);

	return peer_header(&got, "Idempotency-Key", key);
}

static uint64_t delivered(void)
{
	return delivery_scene_ended(&scene, "bus", "delivered") + delivery_scene_ended(&scene, "other", "delivered");
}

static void await_delivered(uint64_t count)
{
	for (int i = 0; i < DELIVERY_WAIT_MS && delivered() < count; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivered(), count);
}

/*
 * The rows of an event are side by side: 1 is the first one's "bus", 2 its "other". Each suspect has the peer to
 * itself: no other request comes while it is being answered.
 */
Test(delivery_suspects, are_sent_alone_and_last)
{
	const struct past past = {.first_row = 1, .last_row = SUSPECTS, .crashes = LIMIT_CRASHES};
	char key[PEER_TEXT], suspects[SUSPECTS][PEER_TEXT];
	size_t before, seen = 0;

	begin(OTHERS, &past, NULL);
	before = peer_count(peer);
	delivery_scene_start(&scene);
	await_delivered(2 * OTHERS);
	cr_assert_eq(peer_count(peer), before + 2 * OTHERS);
	for (size_t i = before + 2 * OTHERS - SUSPECTS; i < before + 2 * OTHERS; i++) {
		struct peer_request last = peer_request(peer, i), former = peer_request(peer, i - 1);

		snprintf(suspects[seen++], PEER_TEXT, "%s", key_of(i, key));
		cr_assert_geq(
			last.arrived_us - former.arrived_us, (ANSWER_MS - 20) * 1000, "request %zu was not alone", i);
	}
	/* the first two events have the first rows */
	for (size_t i = 0; i < SUSPECTS; i++)
		for (size_t j = before; j < before + 2 * OTHERS - SUSPECTS; j++)
			cr_assert_str_neq(key_of(j, key), suspects[i]);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

/* One crash, as any machine has it, makes nobody a suspect. */
Test(delivery_suspects, one_crash_is_none_of_their_doing)
{
	const struct past past = {.first_row = 1, .last_row = 2 * OTHERS, .crashes = LIMIT_CRASHES - 1};
	size_t before;

	begin(OTHERS, &past, NULL);
	before = peer_count(peer);
	delivery_scene_start(&scene);
	cr_assert(peer_wait(peer, before + 2, DELIVERY_WAIT_MS));
	struct peer_request first = peer_request(peer, before), second = peer_request(peer, before + 1);
	cr_assert_lt(second.arrived_us - first.arrived_us, ANSWER_MS * 1000 / 2);
	await_delivered(2 * OTHERS);
	finish();
}

/* It ended the process while nothing else was sent: that is proof, and it is not sent again. */
Test(delivery_suspects, poison_is_set_aside)
{
	const struct past past = {.first_row = 1, .last_row = 1, .crashes = LIMIT_CRASHES, .alone = true};
	size_t before;

	begin(1, &past, NULL);
	before = peer_count(peer);
	delivery_scene_start(&scene);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "dead", 1));
	cr_assert(delivery_scene_await_ended(&scene, "other", "delivered", 1));
	cr_assert_eq(peer_count(peer), before + 1);
	cr_assert_eq(outbox_rows_count(scene.reader, "bus", CAUSE_POISON), 1);
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		cr_assert_eq(gauge_get(delivery_scene_target(&scene, "bus")->dead[i]),
			strcmp(target_causes[i], CAUSE_POISON) == 0 ? 1 : 0);
	finish();
}

/* What a suspect would do is on disk before it is sent: so a process that ends at once leaves the proof. */
Test(delivery_suspects, the_mark_is_durable_before_the_request)
{
	static const char marked_alone[] = "SELECT started_run < 0 FROM effects WHERE id = 1";
	const struct past past = {.first_row = 1, .last_row = 1, .crashes = LIMIT_CRASHES};
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	size_t before;

	begin(1, &past, "{'on':['none']}");
	peer_script(peer, silent, 1);
	before = peer_count(peer);
	delivery_scene_start(&scene);
	cr_assert(peer_wait(peer, before + 1, DELIVERY_WAIT_MS));
	cr_assert_eq(outbox_rows_number(scene.reader, marked_alone), 1, "it was sent before its mark");
	finish();
}

/* However many there are, a stop does not wait for them, and what it breaks off is no crash. */
Test(delivery_suspects, a_stop_does_not_wait_for_them)
{
	const struct past past = {.first_row = 1, .last_row = 10, .crashes = LIMIT_CRASHES};

	begin(5, &past, NULL);
	delivery_scene_start(&scene);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	int64_t began_us = harness_mono_us();
	cr_assert_gt(delivery_scene_stop(&scene, 5000).kept, 0);
	cr_assert_lt(harness_mono_us() - began_us, 3 * 1000 * 1000);
	cr_assert_eq(outbox_rows_number(scene.reader,
			     "SELECT COUNT(*) FROM effects WHERE started_run < 1000 AND started_run <> 0"),
		0);
	delivery_scene_start(&scene);
	await_delivered(10);
	finish();
}

static int forget_past(struct db *db, void *arg)
{
	(void)arg;
	return db_execute(db, "UPDATE effects SET attempts = attempts + 5 WHERE state = 0");
}

/* An outcome that fits its row no more changes nothing; what the row says now is read, and it is not left lying. */
Test(delivery_suspects, a_row_that_has_moved_on_is_read_again)
{
	struct peer_step slow[] = {{.delay_ms = 300}, {.delay_ms = 0}};
	char id[ID_SIZE];

	peer = peer_start(slow, 2);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url)}}, 1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	harness_sleep_ms(100); /* its start has been noted */
	cr_assert_eq(committer_run(scene.opened.committer, forget_past, NULL), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	cr_assert_eq(peer_count(peer), 2);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	finish();
}

/* Threads made from here on ask for more memory than there is. */
static void limit_threads(size_t stack)
{
	pthread_attr_t attributes;

	cr_assert_eq(pthread_attr_init(&attributes), 0);
	cr_assert_eq(pthread_attr_setstacksize(&attributes, stack), 0);
	cr_assert_eq(pthread_setattr_default_np(&attributes), 0);
	pthread_attr_destroy(&attributes);
}

static int64_t number(const char *sql)
{
	return outbox_rows_number(scene.reader, sql);
}

/*
 * Noted as begun, and then not to be sent for want of a thread: it is tried again, it has had no attempt, and it is a
 * suspect as before. Nothing of it may look as if it had ended the process.
 */
Test(delivery_suspects, one_that_could_not_be_sent_after_all)
{
	const struct past past = {.first_row = 1, .last_row = 1, .crashes = LIMIT_CRASHES};
	struct smtp_peer *mails = smtp_peer_start(NULL, 0);
	char mail_url[SMTP_PEER_URL];

	delivery_scene_make(&scene,
		(struct delivery_effect[]){{.url = smtp_peer_url(mails, mail_url),
			.more = "{'type':'email','from':'auth@example.com','to':'bob@example.com'}"}},
		1);
	cr_assert_eq(pool_pause(scene.pool, "bus", "test"), 0);
	delivery_scene_burst(&scene, 1);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 1);
	cr_assert_eq(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), 0);
	cr_assert_eq(committer_run(scene.opened.committer, note_past, (void *)&past), 0);
	int64_t attempts = number("SELECT attempts FROM effects");
	delivery_scene_start(&scene);
	limit_threads((size_t)1 << 46);
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && number("SELECT again FROM effects") == 0; i++)
		harness_sleep_ms(1);
	cr_assert_eq(number("SELECT again FROM effects"), 1);
	cr_assert_eq(number("SELECT started_run FROM effects"), 0);
	cr_assert_eq(number("SELECT crashes FROM effects"), LIMIT_CRASHES);
	cr_assert_eq(number("SELECT attempts FROM effects"), attempts);
	limit_threads((size_t)1 << 20);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	delivery_scene_remove(&scene);
	smtp_peer_stop(mails);
}

/* Without an access token it is not sent: that clears it of nothing. */
Test(delivery_suspects, one_without_a_token_stays_one)
{
	const struct past past = {.first_row = 1, .last_row = 1, .crashes = LIMIT_CRASHES};
	struct peer_step refused[] = {{.status = 500}};
	struct peer *issuer = peer_start(refused, 1);
	char more[2 * PEER_TEXT], token_url[PEER_TEXT];

	peer = peer_start(NULL, 0);
	snprintf(more, sizeof(more),
		"{'auth':{'type':'oauth2','token_url':'%s','client_id':'me','client_secret':'s3cret'}}",
		peer_url(issuer, "/token", token_url));
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url), .more = more}}, 1);
	cr_assert_eq(pool_pause(scene.pool, "bus", "test"), 0);
	delivery_scene_burst(&scene, 1);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 1);
	cr_assert_eq(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), 0);
	cr_assert_eq(committer_run(scene.opened.committer, note_past, (void *)&past), 0);
	delivery_scene_start(&scene);
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0);
	cr_assert(peer_wait(issuer, 3, DELIVERY_WAIT_MS));
	cr_assert_eq(number("SELECT again FROM effects"), 1);
	cr_assert_eq(number("SELECT crashes FROM effects"), LIMIT_CRASHES);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 1);
	finish();
	peer_stop(issuer);
}
