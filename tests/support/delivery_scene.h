/*
 * The delivery pool alone, over a real store in a folder of its own: events go in as a request would put them in,
 * and what became of their effects is read from the outbox, the ring of recent ones and the metrics.
 *
 *   struct delivery_scene scene;
 *   delivery_scene_make(&scene, (struct delivery_effect[]){{.url = url, .more = "{'timeout':'100ms'}"}}, 1);
 *   cr_assert_eq(delivery_scene_event(&scene, id), 0);
 *   cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
 *   delivery_scene_remove(&scene);
 *
 * Effects are durable and of type bus; retries come within 20 to 40 ms, and breakers stay closed for 1,000 failures and
 * open for 100 ms. In Criterion tests and in plain programs: what can't be set up ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_DELIVERY_SCENE_H
#define TOKENFIRST_TESTS_SUPPORT_DELIVERY_SCENE_H

#include "background/delivery/dispatch.h"
#include "tests/support/open_store.h"

enum { DELIVERY_WAIT_MS = 10000, DELIVERY_TEXT = 600 };

struct delivery_effect {
	const char *name; /* NULL: "bus" */
	const char *url;  /* NULL: `more` has it */
	const char *
		more; /* JSON written with ' for ", merged over the rest, without a format if that is null; NULL: nothing */
};

struct delivery_scene {
	struct open_store opened;
	struct db *reader;
	struct config *config;
	struct pool *pool; /* NULL: stopped */
};

/* A store, a committer and a running pool of two workers. */
void delivery_scene_make(struct delivery_scene *scene, const struct delivery_effect *effects, size_t count);
/* Stops what runs, without a drain, and removes everything. */
void delivery_scene_remove(struct delivery_scene *scene);
/* An orderly stop of pool and committer, in the order of a server's. */
struct pool_totals delivery_scene_stop(struct delivery_scene *scene, int64_t drain_ms);
/* Both again, over the same store. */
void delivery_scene_start(struct delivery_scene *scene);

/*
 * An event of type user.login: planned, committed, offered, and its inline effects run. The result of the first step
 * that failed. Any thread.
 */
int delivery_scene_event(struct delivery_scene *scene, char ret_id[ID_SIZE]);
/* The same for any type of event and its data, JSON text; NULL: that of a login. */
int delivery_scene_event_of(struct delivery_scene *scene, const char *type, const char *data, char ret_id[ID_SIZE]);
/* Many at once, in the fewest transactions: the offers come faster than anything can be delivered. */
void delivery_scene_burst(struct delivery_scene *scene, size_t count);

/* What the outbox says of an effect, or for one without a row the ring. `state` "" : nothing. */
struct delivery_row {
	char state[16], cause[32], reason[LIMIT_REASON], reply[DELIVERY_TEXT];
	char *log; /* free it: delivery_row_release */
	int attempts;
	int64_t due_ms;
	bool stored; /* it has a row */
};
struct delivery_row delivery_scene_row(struct delivery_scene *scene, const char *event_id, const char *effect);
void delivery_row_release(struct delivery_row *row);
/* Waits until an effect has this state. */
bool delivery_scene_await(struct delivery_scene *scene, const char *event_id, const char *effect, const char *state);

struct target *delivery_scene_target(struct delivery_scene *scene, const char *effect);
/* tokenfirst_effects_total of an effect; it outlives the pool. */
uint64_t delivery_scene_ended(struct delivery_scene *scene, const char *effect, const char *outcome);
/* Waits until so many effects have ended so. */
bool delivery_scene_await_ended(struct delivery_scene *scene, const char *effect, const char *outcome, uint64_t count);
/* tokenfirst_effects_created_total */
uint64_t delivery_scene_created(struct delivery_scene *scene, const char *effect);
/* Pending rows as the store counts them. */
int64_t delivery_scene_pending(struct delivery_scene *scene, const char *effect);

#endif
