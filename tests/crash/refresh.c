/*
 * SIGKILL amid refreshes and logouts: what was answered holds after the restart. A rotation is not undone, so its
 * parent is refused once the grace is over, and what was ended stays ended, after each further kill too.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/jws.h"
#include "tests/support/long_form.h"
#include "tests/support/refresh.h"
#include "tests/support/scene.h"

enum { CHAINS = 8, SHORT_CYCLES = 5, LONG_CYCLES = 100, GRACE_MS = 200, KILL_MS = 60, TOKEN = 256 };

#define CONFIG "{'token':{'refresh_grace':'200ms'}, 'effects':{'bus':{'on':['user.refresh_reused']}}}"

TestSuite(refresh, .timeout = 1500);

/* One session, refreshed again and again by one client until the server is gone. */
struct chain {
	pthread_t thread;
	const struct scene *scene;
	struct api_login login;
	bool leaves; /* it logs out instead, after a while */
	bool left;   /* that was answered */
	int64_t after;
	int64_t acknowledged;		    /* rotations */
	char parent[TOKEN], current[TOKEN]; /* of the last one that was answered */
};

static int log_out(const struct chain *chain)
{
	struct http_reply reply;
	int status;

	api_post(chain->scene->server, "/logout", chain->login.authorization, "{}", &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

static void *chain_main(void *arg)
{
	struct chain *chain = arg;
	int status = 200;

	while (status == 200 && !(chain->leaves && chain->acknowledged == chain->after)) {
		struct refresh_reply reply = refresh_post(chain->scene->server, chain->current);

		status = reply.status;
		if (status == 200) {
			memcpy(chain->parent, chain->current, TOKEN);
			memcpy(chain->current, reply.refresh_token, TOKEN);
			chain->acknowledged++;
		}
		refresh_reply_release(&reply);
	}
	if (status == 200)
		chain->left = log_out(chain) == 200;
	return NULL;
}

static void chain_begin(struct chain *chain, const struct scene *scene, bool leaves, int64_t after)
{
	*chain = (struct chain){.scene = scene, .leaves = leaves, .after = after};
	chain->login = scene_login(scene);
	memcpy(chain->current, chain->login.refresh_token, TOKEN);
	cr_assert_eq(pthread_create(&chain->thread, NULL, chain_main, chain), 0);
}

static int64_t generation(const struct chain *chain)
{
	json_t *claims = jws_part(chain->login.access_token, 1);
	char sql[128], *text;

	(void)snprintf(sql, sizeof(sql), "SELECT generation FROM sessions WHERE id = %s", scene_member(claims, "sid"));
	json_decref(claims);
	text = scene_query(chain->scene->server, sql);
	int64_t n = strtoll(text, NULL, 10);
	free(text);
	return n;
}

static void assert_refused(const struct chain *chain, const char *token, const char *what)
{
	struct refresh_reply reply = refresh_post(chain->scene->server, token);

	cr_assert_eq(
		reply.status, 401, "%s after %lld rotations: %d", what, (long long)chain->acknowledged, reply.status);
	refresh_reply_release(&reply);
}

static void assert_dead(const struct chain *chain)
{
	struct http_reply reply;

	assert_refused(chain, chain->current, "the last token of an ended session");
	assert_refused(chain, chain->login.refresh_token, "its first token");
	api_get(chain->scene->server, "/me", chain->login.authorization, &reply);
	cr_assert_eq(reply.status, 401);
	http_reply_release(&reply);
}

/* After the restart. From here on the session is over, by a logout that was answered or by this reuse. */
static void check(const struct chain *chain)
{
	/* the last one may have been written and not answered */
	int64_t now = generation(chain), told = 1 + chain->acknowledged;

	cr_assert(now == told || now == told + 1, "%lld rotations were answered, the generation is %lld",
		(long long)chain->acknowledged, (long long)now);
	if (chain->acknowledged > 0)
		assert_refused(chain, chain->parent, "a parent, after the grace,");
	if (chain->acknowledged > 0 || chain->left)
		assert_dead(chain);
}

struct sums {
	int64_t rotations, logouts;
};

static void cycle(struct scene *scene, struct chain chains[CHAINS], unsigned *seed, struct sums *sums)
{
	for (size_t i = 0; i < CHAINS; i++)
		chain_begin(&chains[i], scene, i % 4 == 3, rand_r(seed) % 20);
	harness_sleep_ms(rand_r(seed) % KILL_MS);
	server_kill(scene->server);
	int64_t killed_us = harness_mono_us();
	for (size_t i = 0; i < CHAINS; i++)
		pthread_join(chains[i].thread, NULL);
	server_restart(scene->server, NULL);
	while (harness_mono_us() < killed_us + (GRACE_MS + 10) * 1000)
		harness_sleep_ms(5);
	for (size_t i = 0; i < CHAINS; i++) {
		check(&chains[i]);
		sums->rotations += chains[i].acknowledged;
		sums->logouts += chains[i].left;
	}
}

Test(refresh, what_was_answered_holds_after_each_kill)
{
	const size_t cycles = long_form() ? LONG_CYCLES : SHORT_CYCLES;
	unsigned seed = (unsigned)harness_mono_us();
	struct chain *chains = calloc(cycles * CHAINS, sizeof(*chains));
	struct sums sums = {0};
	struct scene scene;

	cr_assert_not_null(chains);
	fprintf(stderr, "seed %u\n", seed);
	scene_set(&scene, NULL, 0, CONFIG);
	for (size_t i = 0; i < cycles; i++)
		cycle(&scene, chains + i * CHAINS, &seed, &sums);
	/* the ends that were made by reuses have seen further kills, but for the last ones */
	server_kill(scene.server);
	server_restart(scene.server, NULL);
	for (size_t i = 0; i < cycles * CHAINS; i++)
		if (chains[i].acknowledged > 0 || chains[i].left)
			assert_dead(&chains[i]);
	long_form_print(
		"SIGKILL amid refreshes: %zu kills, %lld rotations and %lld logouts that were answered, none undone",
		cycles + 1, (long long)sums.rotations, (long long)sums.logouts);
	cr_assert_gt(sums.rotations, (int64_t)cycles, "the kills come before the work");
	free(chains);
	scene_clear(&scene);
}
