/* A backlog of effects to be tried again, on disk and all due at once: what is new does not wait behind it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "config/id.h"
#include "config/limits.h"
#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/outbox_rows.h"
#include "tests/support/peer.h"

enum { STORM = 2 * LIMIT_LANE_WINDOW, NEW = 100, IN_FLIGHT = 4, ANSWER_MS = 3 };

TestSuite(delivery_storm, .timeout = 60);

static struct delivery_scene scene;
static struct peer *peer;

static int make_storm(struct db *db, void *arg)
{
	(void)arg;
	return db_execute(db, "UPDATE effects SET again = 1, attempts = 1");
}

/* Stopped, with that many rows of OUTBOX_AGAIN, all due. */
static void begin(void)
{
	char url[PEER_TEXT], more[128];

	peer = peer_start((struct peer_step[]){{.action = PEER_SILENT}}, 1);
	snprintf(more, sizeof(more), "{'max_in_flight':%d}", IN_FLIGHT);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url), .more = more}}, 1);
	delivery_scene_burst(&scene, STORM);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, STORM);
	cr_assert_eq(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), 0);
	cr_assert_eq(committer_run(scene.opened.committer, make_storm, NULL), 0);
	peer_script(peer, (struct peer_step[]){{.delay_ms = ANSWER_MS}}, 1);
}

/* They go in turns: until the last new one is sent, there has been one of the storm for each, and no more. */
Test(delivery_storm, new_effects_go_in_turns_with_it)
{
	char boundary[ID_SIZE], key[PEER_TEXT];
	size_t before, first = 0, last = 0, new = 0;

	begin();
	before = peer_count(peer);
	delivery_scene_start(&scene);
	cr_assert(peer_wait(peer, before + 1, DELIVERY_WAIT_MS));
	harness_sleep_ms(2);
	id_new(boundary, clock_now_ms()); /* ids sort by time */
	harness_sleep_ms(2);
	delivery_scene_burst(&scene, NEW);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", STORM + NEW));
	cr_assert_eq(peer_count(peer), before + STORM + NEW, "something was sent twice");
	for (size_t i = before; i < before + STORM + NEW; i++) {
		struct peer_request request = peer_request(peer, i);
		if (strncmp(peer_header(&request, "Idempotency-Key", key), boundary, ID_LENGTH) < 0)
			continue;
		first = new == 0 ? i : first;
		last = i;
		new ++;
	}
	cr_assert_eq(new, NEW);
	cr_assert_leq(last - first, 2 * NEW + 2 * IN_FLIGHT, "%zu requests for %d new effects", last - first, NEW);
	cr_assert_gt(before + STORM + NEW - last, NEW, "the storm was over");
	delivery_scene_remove(&scene);
	peer_stop(peer);
}
