/*
 * Many threads cause events while workers deliver their effects, of all three classes, to peers that do well and badly;
 * operators pause, resume, replay and discard meanwhile, the janitor removes what is done with, metrics are rendered,
 * and the drain begins amid the last of it. Then all of it once more over the same store, where the first run is said
 * to have crashed with some effects in flight: those are sent alone. For ThreadSanitizer, under which Criterion does
 * not run. Exit code 0, or 1 when the accounts do not balance.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/operate.h"
#include "background/store/janitor.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/peer.h"

enum { CALLERS = 6, ROUNDS = 2, EVENTS = 100, DRAIN_MS = 2000, SUSPECTS = 4, KEPT_MS = 50 };

/* "held" and "signed" are side by side, so they are different workers'. */
static const char *const names[] = {"bus", "ping", "first", "second", "held", "signed"};
enum { EFFECTS = sizeof(names) / sizeof(names[0]) };

static struct delivery_scene scene;
static struct peer *badly;
static struct peer_step trouble[PEER_STEPS];
static atomic_int unanswered, callers_left;

static void ignore(void *arg, const struct recent_state *state)
{
	(void)arg;
	(void)state;
}

static void *call(void *arg)
{
	char id[ID_SIZE];

	(void)arg;
	for (int i = 0; i < EVENTS; i++) {
		if (delivery_scene_event(&scene, id) != 0)
			atomic_fetch_add(&unanswered, 1);
		(void)!recent_find(pool_recent(scene.pool), id, "ping", ignore, NULL);
	}
	atomic_fetch_sub(&callers_left, 1);
	return NULL;
}

static void *watch(void *arg)
{
	struct target_view seen;

	(void)arg;
	while (atomic_load(&callers_left) > 0) {
		(void)pool_progressing(scene.pool);
		target_refresh(delivery_scene_target(&scene, "bus"), clock_now_ms());
		for (size_t i = 0; i < EFFECTS; i++)
			if (pool_view(scene.pool, i, &seen) != 0)
				harness_fail("no view of target %zu", i);
		harness_sleep_ms(1);
	}
	return NULL;
}

static void must(int err, const char *what)
{
	if (err != 0)
		harness_fail("%s: %s", what, err_text(err));
}

/* Two of them, each at its own target and both at the dead letters of all. */
static void *operate(void *arg)
{
	const char *name = arg;
	struct outbox_filter dead = {.part = -1, .state = EFFECT_DEAD};
	struct outbox_filter pending = {.part = -1, .state = EFFECT_PENDING, .effect = name};
	struct outbox_tally tally;

	for (int i = 0; atomic_load(&callers_left) > 0; i++) {
		must(pool_pause(scene.pool, name, "to look"), "pause");
		must(pool_replay(scene.pool, &dead, i % 2 == 0, &tally), "replay");
		must(pool_resume(scene.pool, name), "resume");
		if (i % 3 == 1)
			must(pool_discard(scene.pool, &dead, false, &tally), "discard of dead letters");
		if (i % 5 == 2)
			must(pool_discard(scene.pool, &pending, false, &tally), "discard of what is pending");
		peer_script(badly, trouble, PEER_STEPS);
		harness_sleep_ms(10);
	}
	return NULL;
}

static void removed(void *arg, const struct outbox_tally *tally)
{
	(void)arg;
	pool_removed(scene.pool, tally);
}

static struct janitor *start_janitor(void)
{
	const struct janitor_options options = {.store = scene.opened.store,
		.committer = scene.opened.committer,
		.metrics = scene.opened.metrics,
		.delivered_ms = KEPT_MS,
		.dead_ms = 2 * KEPT_MS,
		.interval_ms = 1,
		.removed = removed};
	struct janitor *janitor;

	must(janitor_start(&options, &janitor), "janitor");
	return janitor;
}

/* What is shown of dead letters is what there is, once all is quiet. */
static int dead_letters_add_up(void)
{
	static const char *const causes[] = {CAUSE_CONDEMNED, CAUSE_UNBUILDABLE, CAUSE_ATTEMPTS, CAUSE_AGE,
		CAUSE_BACKLOG_FULL, CAUSE_REJECTED, CAUSE_POISON};
	int wrong = 0;

	must(committer_run(scene.opened.committer, job_nothing, NULL), "commit");
	for (size_t i = 0; i < EFFECTS; i++) {
		int64_t shown = 0, kept = 0;
		for (size_t cause = 0; cause < CAUSE_COUNT; cause++)
			shown += gauge_get(delivery_scene_target(&scene, names[i])->dead[cause]);
		for (size_t cause = 0; cause < sizeof(causes) / sizeof(causes[0]); cause++)
			kept += outbox_rows_count(scene.reader, names[i], causes[cause]);
		if (shown != kept)
			printf("%s: %ld dead letters shown, %ld kept\n", names[i], (long)shown, (long)kept);
		wrong |= shown != kept;
	}
	return wrong;
}

static void start(pthread_t *ret_thread, void *(*run)(void *), const char *arg)
{
	if (pthread_create(ret_thread, NULL, run, (void *)(uintptr_t)arg) != 0)
		harness_fail("no thread");
}

static int run_round(void)
{
	pthread_t callers[CALLERS], watcher, operators[2];
	struct janitor *janitor = start_janitor();

	atomic_store(&callers_left, CALLERS);
	for (size_t i = 0; i < CALLERS; i++)
		start(&callers[i], call, NULL);
	start(&watcher, watch, NULL);
	start(&operators[0], operate, "bus");
	start(&operators[1], operate, "signed");
	/* the workers end while the last requests come in */
	while (atomic_load(&callers_left) > CALLERS / 2)
		harness_sleep_ms(1);
	pool_end_waits(scene.pool, clock_mono_us() + DRAIN_MS * 500);
	pool_drain(scene.pool, clock_mono_us() + DRAIN_MS * 1000);
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	pthread_join(watcher, NULL);
	for (size_t i = 0; i < 2; i++)
		pthread_join(operators[i], NULL);
	janitor_stop(janitor);
	return dead_letters_add_up();
}

/* Crashes of the past, with these in flight; and both targets are let go. */
static int note_past(struct db *db, void *arg)
{
	const struct due_rows *due = arg;
	int err = 0;

	for (int i = 0; err == 0 && i < due->count; i++)
		for (int crash = 0; err == 0 && crash < LIMIT_CRASHES; crash++) {
			const struct started started = {.row = due->rows[i], .attempt = due->attempts[i] + 1 + crash};
			err = outbox_mark_started(db, 1000 + crash, &started, 1);
		}
	return err != 0 ? err : pause_remove(db, "held");
}

static void crash(void)
{
	struct due_rows due = due_rows(scene.reader, "held", OUTBOX_FIRST, clock_now_ms(), SUSPECTS);

	if (due.count != SUSPECTS)
		harness_fail("%d effects were held", due.count);
	must(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), "committer");
	must(committer_run(scene.opened.committer, note_past, &due), "marks of a crash");
}

static uint64_t replayed(const char *effect)
{
	char labels[80];

	snprintf(labels, sizeof(labels), "effect=\"%s\"", effect);
	return atomic_load(&metrics_counter(
		scene.opened.metrics, "tokenfirst_effects_replayed_total", "Dead letters owed again.", labels)
				    ->value);
}

/* Each effect that was owed has one end, or is kept; and a dead letter that is owed again has another. */
static int balance(const char *effect)
{
	static const char *const outcomes[] = {"delivered", "dead", "dropped", "skipped", "discarded"};
	uint64_t created = delivery_scene_created(&scene, effect), again = replayed(effect), ended = 0;
	int64_t kept = delivery_scene_pending(&scene, effect);

	printf("%s: %lu owed, %lu again;", effect, (unsigned long)created, (unsigned long)again);
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		uint64_t count = delivery_scene_ended(&scene, effect, outcomes[i]);
		printf(" %lu %s,", (unsigned long)count, outcomes[i]);
		ended += count;
	}
	printf(" %ld kept\n", (long)kept);
	return created + again == ended + (uint64_t)kept && created > 0 ? 0 : 1;
}

static void make(const char *well_url, const char *badly_url, const char *token_url)
{
	char signature[2 * PEER_TEXT];
	const struct delivery_effect effects[EFFECTS] = {
		{.url = badly_url, .more = "{'max_pending':400}"},
		{.name = "ping",
			.url = badly_url,
			.more = "{'delivery':'fire_and_forget','max_pending':50,'on_full':'spill'}"},
		{.name = "first", .url = well_url, .more = "{'delivery':'inline'}"},
		{.name = "second", .url = well_url, .more = "{'delivery':'inline','on_failure':'reject'}"},
		{.name = "held", .url = well_url},
		{.name = "signed", .url = badly_url, .more = signature},
	};

	snprintf(signature, sizeof(signature),
		"{'auth':{'type':'oauth2','token_url':'%s','client_id':'me','client_secret':'s3cret'}}", token_url);
	delivery_scene_make(&scene, effects, EFFECTS);
}

int main(void)
{
	static const struct peer_step token[] = {{.body = "{\"access_token\":\"t\",\"expires_in\":1}"}};
	char well_url[PEER_TEXT], badly_url[PEER_TEXT], token_url[PEER_TEXT];
	int failed = 0;

	for (size_t i = 0; i < PEER_STEPS - 1; i++)
		trouble[i] = (struct peer_step){.status = i % 3 == 0	? 500
							  : i % 7 == 0	? 400
							  : i % 11 == 0 ? 401
									: 200,
			.close = i % 5 == 0};
	trouble[PEER_STEPS - 1] = (struct peer_step){.status = 200}; /* for ever */
	badly = peer_start(trouble, PEER_STEPS);
	struct peer *well = peer_start(NULL, 0), *issuer = peer_start(token, 1);
	make(peer_url(well, "/", well_url), peer_url(badly, "/", badly_url), peer_url(issuer, "/", token_url));
	must(pool_pause(scene.pool, "held", "until the next start"), "pause");
	for (int round = 0; round < ROUNDS; round++) {
		if (round > 0) {
			crash();
			delivery_scene_start(&scene);
		}
		failed |= run_round();
		(void)delivery_scene_stop(&scene, 0);
		for (size_t i = 0; i < EFFECTS; i++)
			failed |= balance(names[i]);
		failed |= !outbox_rows_add_up(scene.reader);
	}
	failed |= delivery_scene_ended(&scene, "held", "delivered") < SUSPECTS;
	/* every request that was refused for an inline effect was refused because the workers had ended */
	printf("%d requests refused, %zu tokens fetched\n", atomic_load(&unanswered), peer_count(issuer));
	delivery_scene_remove(&scene);
	peer_stop(well);
	peer_stop(badly);
	peer_stop(issuer);
	return failed;
}
