/* What operators do to a running pool: pause, resume, replay, discard, and look. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/operate.h"
#include "config/clock.h"
#include "config/limits.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/peer.h"

enum { DEAD = 3 };

TestSuite(delivery_operate, .timeout = 60);

static struct delivery_scene scene;
static struct peer *peer;
static char url[PEER_TEXT];

static void begin(const struct peer_step *steps, size_t count, const char *more)
{
	peer = peer_start(steps, count);
	peer_url(peer, "/events", url);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = url, .more = more}}, 1);
}

static void finish(void)
{
	cr_assert(outbox_rows_add_up(scene.reader));
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

static struct target_view view(void)
{
	struct target_view seen;

	cr_assert_eq(pool_view(scene.pool, 0, &seen), 0);
	return seen;
}

static void await_paused(bool paused)
{
	for (int i = 0; i < DELIVERY_WAIT_MS && view().paused != paused; i++)
		harness_sleep_ms(1);
	cr_assert_eq(view().paused, paused);
}

/* So many dead letters of "bus", condemned by the peer, which takes everything from then on. */
static void die(size_t count)
{
	struct peer_step well[] = {{.status = 200}};

	delivery_scene_burst(&scene, count);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "dead", count));
	peer_script(peer, well, 1);
}

static const struct peer_step refuse[] = {{.status = 400}};

Test(delivery_operate, a_paused_target_gets_nothing_until_it_is_resumed)
{
	struct delivery_row row;
	char id[ID_SIZE];

	begin(NULL, 0, NULL);
	cr_assert_eq(pool_pause(scene.pool, "bus", "the receiver moves house"), 0);
	cr_assert_eq(pool_pause(scene.pool, "bus", "again"), 0);
	await_paused(true);
	cr_assert_str_eq(view().pause_reason, "the receiver moves house");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert_not(peer_wait(peer, 1, 100));
	row = delivery_scene_row(&scene, id, "bus");
	cr_assert_str_eq(row.state, "pending");
	cr_assert_eq(row.attempts, 0);
	delivery_row_release(&row);
	/* a restart does not forget it */
	cr_assert_eq(delivery_scene_stop(&scene, 100).kept, 1);
	delivery_scene_start(&scene);
	cr_assert(view().paused);
	cr_assert_str_eq(view().pause_reason, "the receiver moves house");
	cr_assert_not(peer_wait(peer, 1, 100));
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	await_paused(false);
	cr_assert_str_eq(view().pause_reason, "");
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0, "it may be repeated");
	cr_assert_eq(pool_pause(scene.pool, "buses", "none such"), ERR_NOT_FOUND);
	cr_assert_eq(pool_resume(scene.pool, "bu"), ERR_NOT_FOUND);
	finish();
}

Test(delivery_operate, a_410_lasts_until_it_is_resumed)
{
	struct peer_step gone[] = {{.status = 410}}, well[] = {{.status = 200}};
	char id[ID_SIZE];

	begin(gone, 1, NULL);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	await_paused(true);
	cr_assert_not_null(strstr(view().pause_reason, "410"));
	(void)delivery_scene_stop(&scene, 1000);
	peer_script(peer, well, 1);
	delivery_scene_start(&scene);
	cr_assert(view().paused);
	cr_assert_not_null(strstr(view().pause_reason, "410"));
	cr_assert_not(peer_wait(peer, 2, 100));
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	/* and the next start does not know it any more */
	(void)delivery_scene_stop(&scene, 1000);
	delivery_scene_start(&scene);
	cr_assert_not(view().paused);
	finish();
}

/* What is tried again becomes due without anything else that happens. */
Test(delivery_operate, what_becomes_due_while_its_target_is_paused_is_seen)
{
	struct peer_step fail[] = {{.status = 500}};
	struct delivery_row row;
	char id[ID_SIZE];

	begin(fail, 1, "{'retry':{'first':'500ms','cap':'500ms'}}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	cr_assert_eq(pool_pause(scene.pool, "bus", "the receiver moves house"), 0);
	await_paused(true);
	for (int i = 0; i < DELIVERY_WAIT_MS && (view().oldest_due_ms == 0 || view().in_flight > 0); i++)
		harness_sleep_ms(1);
	row = delivery_scene_row(&scene, id, "bus");
	cr_assert_eq(view().oldest_due_ms, row.due_ms);
	cr_assert_str_eq(row.state, "pending");
	delivery_row_release(&row);
	finish();
}

/* An open breaker need not be waited for by somebody who knows that the target is well again. */
Test(delivery_operate, resuming_probes_at_once)
{
	struct peer_step refused[] = {{.status = 401}, {.status = 200}};
	char id[ID_SIZE];

	begin(refused, 2, "{'breaker':{'open_for':'1h'}}");
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && strcmp(view().breaker, "open") != 0; i++)
		harness_sleep_ms(1);
	cr_assert_str_eq(view().breaker, "open");
	cr_assert_neq(view().breaker_cause[0], '\0');
	cr_assert_eq(pool_resume(scene.pool, "bus"), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	finish();
}

Test(delivery_operate, dead_letters_are_replayed_under_the_same_key)
{
	struct outbox_filter filter = {.effect = "bus", .part = -1};
	struct outbox_tally tally;
	char first[PEER_TEXT], second[PEER_TEXT];

	begin(refuse, 1, "{'max_in_flight':1}");
	die(DEAD);
	cr_assert_eq(view().dead[0], DEAD);
	cr_assert_eq(pool_replay(scene.pool, &filter, true, &tally), 0);
	cr_assert_eq(tally.rows, DEAD);
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0, "a dry run changes nothing");
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, DEAD);
	cr_assert_not(tally.more);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", DEAD));
	cr_assert_eq(view().dead[0], 0);
	cr_assert_eq(view().pending, 0);
	cr_assert_eq(atomic_load(&delivery_scene_target(&scene, "bus")->replayed->value), DEAD);
	for (size_t i = 0; i < DEAD; i++) {
		struct peer_request one = peer_request(peer, i), two = peer_request(peer, DEAD + i);
		cr_assert_str_eq(
			peer_header(&one, "Idempotency-Key", first), peer_header(&two, "Idempotency-Key", second));
	}
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 0);
	finish();
}

/* More than one batch, through the window of the lane. */
Test(delivery_operate, a_replay_of_many)
{
	enum { MANY = 2 * LIMIT_OUTBOX_BATCH + 7 };
	struct outbox_filter filter = {.part = -1};
	struct outbox_tally tally;

	begin(refuse, 1, NULL);
	die(MANY);
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, MANY);
	cr_assert_eq(tally.count, 1);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", MANY));
	cr_assert_eq(peer_count(peer), 2 * MANY);
	finish();
}

/* A stop has its time, and a million rows would take longer: what is left is said to be there. */
Test(delivery_operate, a_stop_ends_a_replay_and_a_discard_between_two_batches)
{
	enum { MANY = 2 * LIMIT_OUTBOX_BATCH + 7 };
	struct outbox_filter filter = {.part = -1, .state = EFFECT_DEAD};
	struct outbox_tally tally;

	begin(refuse, 1, NULL);
	die(MANY);
	pool_end_waits(scene.pool, clock_mono_us());
	cr_assert_eq(pool_discard(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, LIMIT_OUTBOX_BATCH);
	cr_assert(tally.more);
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, LIMIT_OUTBOX_BATCH);
	cr_assert(tally.more);
	cr_assert_eq(pool_discard(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 7);
	cr_assert_not(tally.more);
	finish();
}

/* The rows that are owed again obey max_pending; the others stay dead for the next replay. */
Test(delivery_operate, a_replay_stops_at_max_pending)
{
	struct outbox_filter filter = {.effect = "bus", .part = -1};
	struct outbox_tally tally;

	begin(refuse, 1, "{'max_pending':2}");
	for (size_t i = 0; i < DEAD; i++) {
		char id[ID_SIZE];
		cr_assert_eq(delivery_scene_event(&scene, id), 0);
		cr_assert(delivery_scene_await_ended(&scene, "bus", "dead", i + 1));
	}
	cr_assert_eq(pool_pause(scene.pool, "bus", "to look"), 0);
	await_paused(true);
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 2);
	cr_assert(tally.more);
	cr_assert_eq(view().pending, 2);
	cr_assert_eq(view().dead[0], DEAD - 2);
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 0);
	cr_assert(tally.more);
	finish();
}

Test(delivery_operate, what_nobody_would_send_stays_dead)
{
	struct outbox_filter filter = {.part = -1};
	struct outbox_tally tally;
	int64_t row;

	begin(refuse, 1, NULL);
	die(1);
	(void)delivery_scene_stop(&scene, 0);
	row = outbox_rows_alone(store_writer(scene.opened.store), "former", 5);
	(void)outbox_rows_settle(store_writer(scene.opened.store), "former", row, 1, EFFECT_DEAD);
	delivery_scene_start(&scene);
	cr_assert_eq(pool_replay(scene.pool, &filter, true, &tally), 0);
	cr_assert_eq(tally.rows, 1);
	cr_assert_eq(pool_replay(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 1);
	cr_assert_eq(outbox_rows_count(scene.reader, "former", CAUSE_CONDEMNED), 1);
	filter.state = EFFECT_DEAD;
	cr_assert_eq(pool_discard(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, 1, "but it can be given up");
	finish();
}

/* Those in the lane's memory, those on disk, and one in the air. */
Test(delivery_operate, pending_rows_are_discarded)
{
	enum { MANY = LIMIT_LANE_WINDOW + 100 };
	struct peer_step slow[] = {{.delay_ms = 400}};
	struct outbox_filter filter = {.effect = "bus", .part = -1, .state = EFFECT_PENDING};
	struct outbox_tally tally;
	char id[ID_SIZE];

	begin(slow, 1, "{'max_in_flight':1}");
	delivery_scene_burst(&scene, MANY);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	cr_assert_eq(pool_discard(scene.pool, &filter, true, &tally), 0);
	cr_assert_eq(tally.rows, MANY);
	cr_assert_eq(pool_discard(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, MANY);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "discarded"), MANY);
	cr_assert_eq(view().pending, 0);
	/* what was in the air comes too late to count, and the lane goes on with what is new */
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 1));
	cr_assert_leq(peer_count(peer), 3);
	cr_assert_eq(view().pending, 0);
	finish();
}

Test(delivery_operate, dead_letters_are_discarded_and_removed)
{
	struct outbox_filter filter = {.effect = "bus", .part = -1, .state = EFFECT_DEAD};
	struct outbox_tally tally;

	begin(refuse, 1, NULL);
	die(DEAD);
	cr_assert_eq(pool_discard(scene.pool, &filter, false, &tally), 0);
	cr_assert_eq(tally.rows, DEAD);
	cr_assert_eq(view().dead[0], 0);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "discarded"), 0, "they have been counted as dead");
	target_add_dead(delivery_scene_target(&scene, "bus"), CAUSE_CONDEMNED, DEAD);
	pool_removed(scene.pool, &tally);
	cr_assert_eq(view().dead[0], 0);
	finish();
}

/* Several targets: each by its own name, all by the effect's. */
Test(delivery_operate, targets_of_one_effect)
{
	static const char more[] = "{'type':'bus','urls':[{'name':'shop','url':'%s'},{'name':'desk','url':'%s'}]}";
	struct target_view seen;
	char text[3 * PEER_TEXT];

	peer = peer_start(NULL, 0);
	peer_url(peer, "/", url);
	snprintf(text, sizeof(text), more, url, url);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.name = "hooks", .more = text}}, 1);
	cr_assert_eq(pool_pause(scene.pool, "hooks.shop", "one"), 0);
	await_paused(true);
	cr_assert_eq(pool_view(scene.pool, 1, &seen), 0);
	cr_assert_str_eq(seen.name, "hooks.desk");
	cr_assert_str_eq(seen.effect, "hooks");
	cr_assert_str_eq(seen.target, "desk");
	cr_assert_not(seen.paused);
	cr_assert_eq(pool_view(scene.pool, 2, &seen), ERR_NOT_FOUND);
	cr_assert_eq(pool_pause(scene.pool, "hooks", "both"), 0);
	for (int i = 0; i < DELIVERY_WAIT_MS && !seen.paused; i++) {
		harness_sleep_ms(1);
		cr_assert_eq(pool_view(scene.pool, 1, &seen), 0);
	}
	cr_assert(seen.paused);
	cr_assert_eq(pool_resume(scene.pool, "hooks"), 0);
	await_paused(false);
	finish();
}
