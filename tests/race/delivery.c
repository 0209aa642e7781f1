/*
 * Many threads cause events while workers deliver their effects, of all three classes, to peers that do well and
 * badly; metrics are rendered meanwhile, and the drain begins amid the last of them. Then all of it once more over
 * the same store. For ThreadSanitizer, under which Criterion does not run. Exit code 0, or 1 when the
 * accounts do not balance.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "config/clock.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"

enum { CALLERS = 6, ROUNDS = 2, EVENTS = 100, DRAIN_MS = 2000 };

static struct delivery_scene scene;
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
	(void)arg;
	while (atomic_load(&callers_left) > 0) {
		(void)pool_progressing(scene.pool);
		target_refresh(delivery_scene_target(&scene, "bus"), clock_now_ms());
		harness_sleep_ms(1);
	}
	return NULL;
}

static void run_round(void)
{
	pthread_t callers[CALLERS], watcher;

	atomic_store(&callers_left, CALLERS);
	for (size_t i = 0; i < CALLERS; i++)
		if (pthread_create(&callers[i], NULL, call, NULL) != 0)
			harness_fail("no thread");
	if (pthread_create(&watcher, NULL, watch, NULL) != 0)
		harness_fail("no thread");
	/* the workers end while the last requests come in */
	while (atomic_load(&callers_left) > CALLERS / 2)
		harness_sleep_ms(1);
	pool_end_waits(scene.pool, clock_mono_us() + DRAIN_MS * 500);
	pool_drain(scene.pool, clock_mono_us() + DRAIN_MS * 1000);
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	pthread_join(watcher, NULL);
}

/* Each effect that was owed has one end, or is kept. */
static int balance(const char *effect)
{
	static const char *const outcomes[] = {"delivered", "dead", "dropped", "skipped"};
	uint64_t created = delivery_scene_created(&scene, effect), ended = 0;
	int64_t kept = delivery_scene_pending(&scene, effect);

	for (size_t i = 0; i < 4; i++)
		ended += delivery_scene_ended(&scene, effect, outcomes[i]);
	printf("%s: %lu owed, %lu ended, %ld kept\n", effect, (unsigned long)created, (unsigned long)ended, (long)kept);
	return created == ended + (uint64_t)kept && created > 0 ? 0 : 1;
}

int main(void)
{
	struct peer_step steps[PEER_STEPS] = {{.status = 200}};
	char well_url[PEER_TEXT], badly_url[PEER_TEXT];

	for (size_t i = 0; i < PEER_STEPS; i++)
		steps[i] = (struct peer_step){.status = i % 3 == 0 ? 500 : i % 7 == 0 ? 400 : 200, .close = i % 5 == 0};
	struct peer *badly = peer_start(steps, PEER_STEPS - 1); /* the last of them is a 200, for ever */
	struct peer *well = peer_start(NULL, 0);
	peer_url(badly, "/", badly_url);
	peer_url(well, "/", well_url);
	const struct delivery_effect effects[] = {
		{.url = badly_url, .more = "{'max_pending':400}"},
		{.name = "ping",
			.url = badly_url,
			.more = "{'delivery':'fire_and_forget','max_pending':50,'on_full':'spill'}"},
		{.name = "first", .url = well_url, .more = "{'delivery':'inline'}"},
		{.name = "second", .url = well_url, .more = "{'delivery':'inline','on_failure':'reject'}"},
	};
	delivery_scene_make(&scene, effects, 4);
	int failed = 0;
	for (int round = 0; round < ROUNDS; round++) {
		if (round > 0)
			delivery_scene_start(&scene);
		run_round();
		(void)delivery_scene_stop(&scene, 0);
		for (size_t i = 0; i < 4; i++)
			failed |= balance(effects[i].name != NULL ? effects[i].name : "bus");
	}
	/* every request that was refused for an inline effect was refused because the workers had ended */
	printf("%d requests refused\n", atomic_load(&unanswered));
	delivery_scene_remove(&scene);
	peer_stop(well);
	peer_stop(badly);
	return failed;
}
