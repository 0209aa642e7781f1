/* A store that can't write, or can't be read, while effects are delivered. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/delivery_scene.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"

TestSuite(delivery_trouble, .timeout = 60);

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Delivered, but not to be written down: it is not sent again, and it is settled when the store can write. */
Test(delivery_trouble, an_outcome_that_can_not_be_written_is_kept)
{
	struct peer_step steps[] = {{.delay_ms = 200}};
	struct delivery_scene scene;
	struct peer *peer = peer_start(steps, 1);
	char url[PEER_TEXT], ids[20][ID_SIZE];

	signal(SIGXFSZ, SIG_IGN);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url)}}, 1);
	for (size_t i = 0; i < 20; i++)
		cr_assert_eq(delivery_scene_event(&scene, ids[i]), 0);
	limit_files(1);
	cr_assert(peer_wait(peer, 20, DELIVERY_WAIT_MS));
	cr_assert(open_store_await_health(&scene.opened, false));
	struct target *target = delivery_scene_target(&scene, "bus");
	for (int i = 0; i < DELIVERY_WAIT_MS && atomic_load(&target->attempts[OUTCOME_OK]->value) < 20; i++)
		harness_sleep_ms(1);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "delivered"), 0);
	cr_assert_eq(delivery_scene_event(&scene, ids[0]), ERR_STORE);
	limit_files(RLIM_INFINITY);
	cr_assert(delivery_scene_await_ended(&scene, "bus", "delivered", 20));
	cr_assert(delivery_scene_await(&scene, ids[7], "bus", "delivered"));
	cr_assert_eq(delivery_scene_pending(&scene, "bus"), 0);
	cr_assert_eq(atomic_load(&target->pending), 0);
	cr_assert_eq(peer_count(peer), 20);
	cr_assert_eq(delivery_scene_created(&scene, "bus"), 20);
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

/* A stop does not wait for ever for a store that can't write; what it could not settle is sent once more. */
Test(delivery_trouble, a_stop_with_a_store_that_can_not_write)
{
	struct peer_step steps[] = {{.delay_ms = 100}};
	struct delivery_scene scene;
	struct peer *peer = peer_start(steps, 1);
	char url[PEER_TEXT], id[ID_SIZE];

	signal(SIGXFSZ, SIG_IGN);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url)}}, 1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	limit_files(1);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	cr_assert(open_store_await_health(&scene.opened, false));
	int64_t began_us = harness_mono_us();
	struct pool_totals totals = delivery_scene_stop(&scene, 300);
	cr_assert_lt(harness_mono_us() - began_us, 3 * 1000 * 1000);
	cr_assert_eq(totals.kept, 1);
	limit_files(RLIM_INFINITY);
	delivery_scene_start(&scene);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	cr_assert_eq(peer_count(peer), 2);
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

/* A stop that comes between an outcome that could not be written and its next try is itself one more. */
Test(delivery_trouble, a_stop_tries_once_more_to_write)
{
	struct peer_step steps[] = {{.delay_ms = 100}};
	struct delivery_scene scene;
	struct peer *peer = peer_start(steps, 1);
	char url[PEER_TEXT], id[ID_SIZE];

	signal(SIGXFSZ, SIG_IGN);
	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = peer_url(peer, "/", url)}}, 1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	harness_sleep_ms(50); /* its start has been noted: what fails now is its outcome */
	limit_files(1);
	cr_assert(peer_wait(peer, 1, DELIVERY_WAIT_MS));
	cr_assert(open_store_await_health(&scene.opened, false));
	harness_sleep_ms(20);
	limit_files(RLIM_INFINITY);
	cr_assert_eq(delivery_scene_stop(&scene, 0).kept, 0);
	cr_assert_eq(delivery_scene_ended(&scene, "bus", "delivered"), 1);
	delivery_scene_remove(&scene);
	peer_stop(peer);
}

/* A pool that can't start takes down what it has built. */
Test(delivery_trouble, a_store_that_can_not_be_read)
{
	struct delivery_scene scene;
	struct pool *pool = NULL;

	delivery_scene_make(&scene, (struct delivery_effect[]){{.url = "http://127.0.0.1:1/"}}, 1);
	(void)delivery_scene_stop(&scene, 0);
	cr_assert_eq(committer_start(scene.opened.store, scene.opened.metrics, &scene.opened.committer), 0);
	cr_assert_eq(unlink(scene.opened.scratch.path), 0);
	cr_assert_neq(
		pool_start(scene.config, scene.opened.store, scene.opened.committer, scene.opened.metrics, &pool), 0);
	cr_assert_null(pool);
	delivery_scene_remove(&scene);
}
