/*
 * A wall clock that jumps, while the server runs or between two runs: an hour or a day, forth or back. Nothing is lost,
 * nothing is sent before its time, nothing stalls. Times are taken by the monotonic clock, which does not jump.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"
#include "tests/support/scratch.h"

enum {
	LOGINS = 6,
	HOUR_S = 3600,
	DAY_S = 86400,
	TOLD_MS = 1000, /* Retry-After */
	CAP_MS = 2000,
	CLOCK_GRAIN_US = 2000, /* the server counts milliseconds */
	SLACK_MS = 8000,       /* generous: a stall would last for an hour */
};

static const int64_t jumps_s[] = {HOUR_S, -HOUR_S, DAY_S, -DAY_S};
enum { JUMPS = sizeof(jumps_s) / sizeof(jumps_s[0]) };

TestSuite(clock, .timeout = 120);

struct stage {
	struct scratch scratch;
	int clock_fd;
	char preload[PATH_MAX + 32], shift[256], sanitizer[1024];
	const char *environment[4];
	char *config;
	struct peer *peer;
	struct server *server;
};

static void jump(const struct stage *stage, int64_t seconds)
{
	int64_t ms = seconds * 1000;

	cr_assert_eq(pwrite(stage->clock_fd, &ms, sizeof(ms), 0), sizeof(ms));
}

/* The library lies beside the folder of this program. */
static void find_preload(struct stage *stage)
{
	char path[PATH_MAX] = "";
	const char *options = getenv("ASAN_OPTIONS");

	cr_assert_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	(void)snprintf(stage->preload, sizeof(stage->preload), "LD_PRELOAD=%s/support/clock_shift.so", path);
	cr_assert_eq(access(stage->preload + strlen("LD_PRELOAD="), R_OK), 0, "%s is not built", stage->preload);
	/* it need not be the first library that is loaded */
	(void)snprintf(stage->sanitizer, sizeof(stage->sanitizer), "ASAN_OPTIONS=%s%sverify_asan_link_order=0",
		options != NULL ? options : "", options != NULL ? ":" : "");
}

static void stage_set(struct stage *stage, const struct peer_step *steps, size_t count)
{
	char url[PEER_TEXT], path[200];

	*stage = (struct stage){0};
	scratch_make(&stage->scratch);
	(void)snprintf(path, sizeof(path), "%s/shift", stage->scratch.folder);
	(void)snprintf(stage->shift, sizeof(stage->shift), "CLOCK_SHIFT=%s", path);
	stage->clock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(stage->clock_fd, 0);
	jump(stage, 0);
	find_preload(stage);
	stage->environment[0] = stage->preload;
	stage->environment[1] = stage->shift;
	stage->environment[2] = stage->sanitizer;
	stage->peer = peer_start(steps, count);
	stage->config =
		scene_text("{'password':{'memory_kib':8,'passes':1}, 'effects':{'bus':{'type':'bus','format':'json',"
			   " 'on':['user.login'],'delivery':'durable','url':'%s','timeout':'2s',"
			   " 'retry':{'first':'500ms','cap':'%dms'},'breaker':{'failures':1000,'failure_share':0}}}}",
			peer_url(stage->peer, "/", url), CAP_MS);
	stage->server =
		scene_server_with(&(struct server_options){.config = stage->config, .environment = stage->environment});
}

static void stage_clear(struct stage *stage)
{
	server_free(stage->server);
	peer_stop(stage->peer);
	free(stage->config);
	close(stage->clock_fd);
	scratch_remove(&stage->scratch);
}

static struct api_login login(const struct stage *stage)
{
	struct api_login login = api_login(stage->server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	return login;
}

/* A token of before the jump is too old after one forth, and of the future after one back: the jump has happened. */
static void assert_jumped(const struct stage *stage, const struct api_login *before)
{
	struct http_reply reply;

	api_get(stage->server, "/me", before->authorization, &reply);
	cr_assert_eq(reply.status, 401, "the clock has not jumped");
	http_reply_release(&reply);
}

static void assert_all_delivered(const struct stage *stage, size_t logins)
{
	cr_assert(metric_wait_below(stage->server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, CAP_MS + SLACK_MS));
	cr_assert_eq(metric_value(stage->server, "tokenfirst_effects_total{effect=\"bus\",outcome=\"delivered\"}"),
		(double)logins);
}

/* Requests from number `from` on that carry the key of this login's effect. */
static size_t sent(const struct stage *stage, const struct api_login *login, size_t from)
{
	char key[PEER_TEXT], value[PEER_TEXT];
	size_t count = 0, all = peer_count(stage->peer);

	scene_key(login, "bus", key);
	for (size_t i = from; i < all; i++) {
		struct peer_request request = peer_request(stage->peer, i);
		count += strcmp(peer_header(&request, "Idempotency-Key", value), key) == 0;
	}
	return count;
}

/*
 * The one that was told to wait waits for as long as it was told, by the clock that counts; the others are not held up
 * after it.
 */
static void jump_while_it_runs(struct stage *stage, int64_t seconds, size_t refusals)
{
	const struct peer_step told[] = {{.status = 503, .headers = "Retry-After: 1\r\n"}, {.status = 200}};
	size_t before = peer_count(stage->peer);

	peer_script(stage->peer, told, 2);
	struct api_login first = login(stage);
	/* its next attempt has its time by now */
	cr_assert(metric_wait(stage->server, "tokenfirst_effect_attempts_total{effect=\"bus\",outcome=\"retryable\"}",
		(double)refusals, SLACK_MS));
	jump(stage, seconds);
	assert_jumped(stage, &first);
	for (size_t i = 1; i < LOGINS; i++)
		login(stage);
	cr_assert(peer_wait(stage->peer, before + LOGINS + 1, TOLD_MS + CAP_MS + SLACK_MS));

	struct peer_request refused = peer_request(stage->peer, before);
	cr_assert_eq(sent(stage, &first, before), 2);
	for (size_t i = before + 1; i < peer_count(stage->peer); i++) {
		struct peer_request request = peer_request(stage->peer, i);
		char key[PEER_TEXT], value[PEER_TEXT];
		if (strcmp(peer_header(&request, "Idempotency-Key", value), scene_key(&first, "bus", key)) == 0)
			cr_assert_geq(request.arrived_us - refused.answered_us,
				(int64_t)TOLD_MS * 1000 - CLOCK_GRAIN_US, "sent again before its time");
	}
}

Test(clock, jumps_while_it_runs)
{
	struct stage stage;

	stage_set(&stage, NULL, 0);
	for (size_t i = 0; i < JUMPS; i++) {
		jump_while_it_runs(&stage, jumps_s[i], i + 1);
		assert_all_delivered(&stage, (i + 1) * LOGINS + i);
		jump(&stage, 0); /* as long a jump the other way */
		struct api_login after = login(&stage);
		cr_assert(api_effect_wait(stage.server, &after, "bus", "delivered", SLACK_MS));
	}
	/* each once, and what was refused at each jump */
	cr_assert_eq(peer_count(stage.peer), JUMPS * (LOGINS + 1 + 1), "something was sent twice");
	cr_assert_eq(server_stop(stage.server), 0);
	stage_clear(&stage);
}

static void await_sent(
	const struct stage *stage, const struct api_login *logins, size_t from, size_t count, int64_t deadline_ms)
{
	int64_t end_us = harness_mono_us() + deadline_ms * 1000;

	for (size_t i = 0; i < LOGINS; i++) {
		while (sent(stage, &logins[i], from) < count) {
			cr_assert_lt(harness_mono_us(), end_us, "%zu of %d are not late", i, LOGINS);
			harness_sleep_ms(10);
		}
	}
}

/*
 * Rows in backoff, a kill, and a start by another clock: each is sent within the longest delay that it could have had.
 */
static void jump_between_runs(int64_t seconds)
{
	const struct peer_step failing[] = {{.status = 500}};
	const struct peer_step well[] = {{.status = 200}};
	struct api_login logins[LOGINS];
	struct stage stage;

	stage_set(&stage, failing, 1);
	for (size_t i = 0; i < LOGINS; i++)
		logins[i] = login(&stage);
	await_sent(&stage, logins, 0, 3, SCENE_WAIT_MS); /* delays as long as they get */
	server_kill(stage.server);
	peer_script(stage.peer, well, 1);
	jump(&stage, seconds);
	size_t before = peer_count(stage.peer);
	server_restart(stage.server, NULL);
	assert_jumped(&stage, &logins[0]);
	await_sent(&stage, logins, before, 1, CAP_MS + SLACK_MS);
	assert_all_delivered(&stage, LOGINS);
	struct api_login after = login(&stage);
	cr_assert(api_effect_wait(stage.server, &after, "bus", "delivered", SLACK_MS));
	cr_assert_eq(server_stop(stage.server), 0);
	stage_clear(&stage);
}

Test(clock, an_hour_forth_between_runs)
{
	jump_between_runs(HOUR_S);
}

Test(clock, an_hour_back_between_runs)
{
	jump_between_runs(-HOUR_S);
}

Test(clock, a_day_forth_between_runs)
{
	jump_between_runs(DAY_S);
}

Test(clock, a_day_back_between_runs)
{
	jump_between_runs(-DAY_S);
}
