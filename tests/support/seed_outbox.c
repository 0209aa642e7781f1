/*
 * seed_outbox: a store with a large backlog, faster than clients could make one.
 *
 *   seed_outbox --store sqlite:PATH --effect NAME --count N [--state pending|dead|delivered]
 *
 * Writes N events of the type "seed.made" with one row each through the store's own functions, as if they had happened
 * a moment ago. No server may have the store open. Prints one JSON object.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "background/store/outbox.h"
#include "background/store/store.h"
#include "config/clock.h"
#include "tests/support/harness.h"

enum { TRANSACTION = 2000, COUNT_MAX = 100000000 };

struct seed {
	struct db *db;
	const char *effect, *state;
	int64_t now_ms;
};

static void fail_if(int err, struct db *db)
{
	if (err != 0)
		harness_quit("%s: %s", err_text(err), db_message(db));
}

static void add_one(const struct seed *seed)
{
	const struct new_effect effect = {
		.effect = seed->effect,
		.delivery = "durable",
		.dead_cause = strcmp(seed->state, "dead") == 0 ? CAUSE_ATTEMPTS : NULL,
		.due_ms = seed->now_ms,
	};
	struct settlement done = {.attempt = 1,
		.state = EFFECT_DELIVERED,
		.now_ms = seed->now_ms,
		.effect = seed->effect,
		.cause = "",
		.reason = "",
		.log = "[]"};
	char id[ID_SIZE];
	size_t stale;

	id_new(id, seed->now_ms);
	struct event *event = event_new(id, "seed.made", "",
		"{\"user\":{\"username\":\"alice\",\"email\":\"alice@example.com\"}}", 0, "", seed->now_ms);
	if (!event)
		harness_quit("out of memory");
	fail_if(outbox_add_event(seed->db, event, ""), seed->db);
	fail_if(outbox_add_effect(seed->db, event, &effect, &done.row), seed->db);
	if (strcmp(seed->state, "delivered") == 0)
		fail_if(outbox_settle(seed->db, &done, 1, &stale), seed->db);
	event_unref(event);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, 's'},
		{"effect", required_argument, NULL, 'e'},
		{"count", required_argument, NULL, 'n'},
		{"state", required_argument, NULL, 't'},
		{0},
	};
	struct seed seed = {.state = "pending"};
	const char *url = NULL;
	struct store *store = NULL;
	char why[256] = "";
	int64_t count = 0, start_us;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			url = optarg;
		else if (c == 'e')
			seed.effect = optarg;
		else if (c == 'n')
			count = harness_number("count", optarg, 1, COUNT_MAX);
		else if (c == 't')
			seed.state = optarg;
		else
			return 2;
	}
	if (!url || !seed.effect || count == 0)
		harness_quit("--store, --effect and --count are needed");
	clock_start();
	start_us = harness_mono_us();
	seed.now_ms = clock_now_ms();
	int err = store_open(url, &store, why);
	if (err != 0)
		harness_quit("%s: %s", url, why[0] != '\0' ? why : err_text(err));
	seed.db = store_writer(store);
	for (int64_t i = 0; i < count; i++) {
		if (i % TRANSACTION == 0)
			fail_if(db_begin(seed.db), seed.db);
		add_one(&seed);
		if (i % TRANSACTION == TRANSACTION - 1 || i == count - 1)
			fail_if(db_commit(seed.db), seed.db);
	}
	store_close(store);
	printf("{\"rows\":%" PRId64 ",\"seconds\":%.3f}\n", count, (double)(harness_mono_us() - start_us) / 1e6);
	return 0;
}
