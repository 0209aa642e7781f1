/*
 * Every allocation that a request reaches fails once, by a preloaded library (tests/support/fail_alloc.c): the server stays up, says
 * 503, and does all of what it was asked for or nothing; the same request right after it is answered as ever. Then the same for the
 * delivery of an effect, which has to be made all the same.
 *
 * A sweep ends with the first round in which nothing failed, because nobody allocated so often.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fail_alloc.h"
#include "tests/support/harness.h"
#include "tests/support/long_form.h"
#include "tests/support/scene.h"
#include "tests/support/scratch.h"

enum {
	ROUNDS = 3000, /* no request allocates so often: a sweep that gets there has not ended */
	LEAST = 30,    /* allocations that a request or a delivery has at least, or the failing does not work */
	SHORT_STEP = 11,
	REPLY_MS = 10000,
};

TestSuite(memory, .timeout = 240);

struct stage {
	struct scratch scratch;
	struct fail_alloc *order;
	char preload[PATH_MAX + 32], path[300], sanitizer[1024];
	const char *environment[4];
	char *config;
	struct peer *peer;
	struct server *server;
	char refresh_token[256];
	int64_t closed, refused, silent; /* answers of a sweep: none; 503; 200 although something had failed */
};

/* The library lies beside the folder of this program. */
static void find_preload(struct stage *stage)
{
	char path[PATH_MAX] = "";
	const char *options = getenv("ASAN_OPTIONS");

	cr_assert_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	(void)snprintf(stage->preload, sizeof(stage->preload), "LD_PRELOAD=%s/support/fail_alloc.so", path);
	cr_assert_eq(access(stage->preload + strlen("LD_PRELOAD="), R_OK), 0, "%s is not built", stage->preload);
	/* it need not be the first library that is loaded */
	(void)snprintf(stage->sanitizer, sizeof(stage->sanitizer), "ASAN_OPTIONS=%s%sverify_asan_link_order=0",
		options != NULL ? options : "", options != NULL ? ":" : "");
}

static void map_order(struct stage *stage)
{
	int fd;

	(void)snprintf(stage->path, sizeof(stage->path), "FAIL_ALLOC=%s/order", stage->scratch.folder);
	fd = open(strchr(stage->path, '=') + 1, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, sizeof(*stage->order)), 0);
	stage->order = mmap(NULL, sizeof(*stage->order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(stage->order, MAP_FAILED);
	close(fd);
}

static void stage_set(struct stage *stage)
{
	char url[PEER_TEXT];

	*stage = (struct stage){0};
	scratch_make(&stage->scratch);
	map_order(stage);
	find_preload(stage);
	stage->environment[0] = stage->preload;
	stage->environment[1] = stage->path;
	stage->environment[2] = stage->sanitizer;
	stage->peer = peer_start(NULL, 0);
	stage->config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'signup':{'mode':'open'},"
		" 'effects':{'bus':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable','url':'%s',"
		" 'timeout':'5s','retry':{'first':'1ms','cap':'5ms'},'breaker':{'failures':1000,'failure_share':0,'"
		"open_for':'10ms'}}}}",
		peer_url(stage->peer, "/", url));
	stage->server =
		scene_server_with(&(struct server_options){.config = stage->config, .environment = stage->environment});
}

static void stage_clear(struct stage *stage)
{
	cr_expect_eq(server_stop(stage->server), 0);
	server_free(stage->server);
	peer_stop(stage->peer);
	free(stage->config);
	munmap(stage->order, sizeof(*stage->order));
	scratch_remove(&stage->scratch);
}

static void arm(struct stage *stage, enum fail_alloc_side side, int64_t at)
{
	atomic_store(&stage->order->failed, false);
	atomic_store(&stage->order->count, 0);
	atomic_store(&stage->order->side, side);
	atomic_store(&stage->order->fail_at, at);
}

/* Whether one has failed. */
static bool disarm(struct stage *stage)
{
	atomic_store(&stage->order->fail_at, 0);
	return atomic_load(&stage->order->failed);
}

/* Where it was, for a message. */
static const char *culprit(const struct stage *stage)
{
	static char text[2 * FAIL_ALLOC_TEXT + 32];

	(void)snprintf(text, sizeof(text), "allocation %lld, thread %s, by %s", (long long)stage->order->count,
		stage->order->thread, stage->order->caller);
	return text;
}

struct request {
	const char *name, *path;
	int status;
	/* Of the round; NULL: the same each time. */
	const char *(*body)(struct stage *stage, int round);
	const char *rows; /* a query whose count says how often it has been done */
	bool atomic;	  /* what is refused is not done; else it may have been done when the answer is an error */
	/* What holds of a good answer. */
	void (*good)(struct stage *stage, const struct http_reply *reply);
};

static const char *login_body(struct stage *stage, int round)
{
	(void)stage;
	(void)round;
	return "{\"username\":\"alice\",\"password\":\"" SCENE_PASSWORD "\"}";
}

/* The session is there, and so is the event. */
static void login_good(struct stage *stage, const struct http_reply *reply)
{
	char header[API_TOKEN], path[API_ID + 16];
	struct http_reply me;

	(void)snprintf(header, sizeof(header), "Authorization: Bearer %s", http_reply_text(reply, "access_token"));
	api_get(stage->server, "/me", header, &me);
	cr_expect_eq(me.status, 200, "a token that is not good: %s", culprit(stage));
	http_reply_release(&me);
	(void)snprintf(path, sizeof(path), "/events/%s", http_reply_text(reply, "event_id"));
	api_get(stage->server, path, header, &me);
	cr_expect_eq(me.status, 200, "an event that is not there: %s", culprit(stage));
	http_reply_release(&me);
	(void)snprintf(
		stage->refresh_token, sizeof(stage->refresh_token), "%s", http_reply_text(reply, "refresh_token"));
}

static const char *refresh_body(struct stage *stage, int round)
{
	static char text[512];

	(void)round;
	(void)snprintf(text, sizeof(text), "{\"refresh_token\":\"%s\"}", stage->refresh_token);
	return text;
}

static void refresh_good(struct stage *stage, const struct http_reply *reply)
{
	(void)snprintf(
		stage->refresh_token, sizeof(stage->refresh_token), "%s", http_reply_text(reply, "refresh_token"));
}

static const char *signup_body(struct stage *stage, int round)
{
	static char text[256];

	(void)stage;
	(void)snprintf(text, sizeof(text),
		"{\"username\":\"bob%d\",\"email\":\"bob%d@example.com\",\"password\":\"a long enough phrase\"}", round,
		round);
	return text;
}

static const char *forgot_body(struct stage *stage, int round)
{
	(void)stage;
	(void)round;
	return "{\"email\":\"alice@example.com\"}";
}

#define COUNT(table) "SELECT COUNT(*) FROM " table
static const struct request requests[] = {
	{"login", "/login", 200, login_body, COUNT("sessions"), true, login_good},
	{"refresh", "/token/refresh", 200, refresh_body, NULL, false, refresh_good},
	{"signup", "/signup", 202, signup_body, COUNT("links"), false, NULL},
	{"forgot", "/password/forgot", 202, forgot_body, COUNT("links"), false, NULL},
};

static void send_request(
	struct stage *stage, const struct request *request, int round, struct http_reply *ret_reply, bool *ret_failed)
{
	char url[SERVER_URL];

	http_do(&(struct http_call){.url = server_url(stage->server, request->path, url),
			.body = request->body(stage, round),
			.timeout_ms = REPLY_MS},
		ret_reply);
	*ret_failed = disarm(stage);
	if (ret_reply->status == request->status && request->good != NULL)
		request->good(stage, ret_reply);
}

static int64_t done_so_far(struct stage *stage, const struct request *request)
{
	char *count = request->rows != NULL ? scene_query(stage->server, request->rows) : NULL;
	int64_t number = count != NULL ? strtoll(count, NULL, 10) : 0;

	free(count);
	return number;
}

/* What came of a request of which an allocation failed. */
static void judge(struct stage *stage, const struct request *request, const struct http_reply *reply, int64_t done)
{
	if (reply->status == request->status) {
		stage->silent++;
		cr_expect(request->rows == NULL || done == 1, "%s: answered, not done: %s", request->name,
			culprit(stage));
	} else if (reply->status == 503) {
		stage->refused++;
		cr_expect(!request->atomic || done == 0, "%s: refused, and done: %s", request->name, culprit(stage));
	} else {
		/* where libmicrohttpd has no memory for a connection, a request or an answer, it closes the connection */
		stage->closed++;
		cr_expect_eq(
			reply->status, 0, "%s: %d %s: %s", request->name, reply->status, reply->body, culprit(stage));
		cr_expect_null(strstr(reply->failure, "imeout"), "%s: no answer: %s", request->name, culprit(stage));
		cr_expect_leq(done, 1);
	}
}

static void sweep(struct stage *stage, const struct request *request)
{
	struct http_reply reply;
	bool failed = true, later;
	int at = 1;

	send_request(stage, request, 0, &reply, &failed);
	cr_assert_eq(reply.status, request->status, "%s: %d %s", request->name, reply.status, reply.body);
	http_reply_release(&reply);
	stage->closed = stage->refused = stage->silent = 0;
	for (failed = true; failed && at < ROUNDS; at++) {
		int64_t before = done_so_far(stage, request);

		arm(stage, FAIL_ALLOC_REQUESTS, at);
		send_request(stage, request, 2 * at, &reply, &failed);
		int64_t done = done_so_far(stage, request) - before;
		if (failed)
			judge(stage, request, &reply, done);
		else
			cr_assert_eq(reply.status, request->status);
		http_reply_release(&reply);
		send_request(stage, request, 2 * at + 1, &reply, &later);
		cr_assert_eq(reply.status, request->status, "%s: %d %s after %s", request->name, reply.status,
			reply.status != 0 ? reply.body : reply.failure, culprit(stage));
		http_reply_release(&reply);
	}
	cr_assert(at > LEAST && at < ROUNDS, "%s: %d rounds", request->name, at);
	printf("figure: %s: %d allocations failed, one each time: %lld times 503, %lld the connection closed, %lld "
	       "done all the same\n",
		request->name, at - 2, (long long)stage->refused, (long long)stage->closed, (long long)stage->silent);
}

Test(memory, every_allocation_of_a_request_fails_once)
{
	struct stage stage;

	stage_set(&stage);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		sweep(&stage, &requests[i]);
	stage_clear(&stage);
}

Test(memory, every_allocation_of_a_delivery_fails_once)
{
	/* a worker that lacks memory waits a second, so the short form looks at some of them */
	const int step = long_form() ? 1 : SHORT_STEP;
	struct stage stage;
	int at = 1, rounds = 0;

	stage_set(&stage);
	/* curl says of a lack of memory what it says of a header that is too long, for which the breaker opens */
	for (bool failed = true; failed && at < ROUNDS; at += step) {
		size_t before = peer_count(stage.peer);

		rounds++;
		arm(&stage, FAIL_ALLOC_BACKGROUND, at);
		struct api_login login = api_login(stage.server, "alice", SCENE_PASSWORD);
		cr_assert_eq(login.status, 200);
		cr_assert(peer_wait(stage.peer, before + 1, SCENE_WAIT_MS), "never sent: %s", culprit(&stage));
		cr_assert(api_effect_wait(stage.server, &login, "bus", "delivered", SCENE_WAIT_MS), "lost: %s",
			culprit(&stage));
		failed = disarm(&stage);
	}
	cr_assert(at > LEAST && at < ROUNDS, "%d rounds", at);
	printf("figure: delivery: %d allocations failed, one each time, and every effect arrived\n", rounds - 1);
	stage_clear(&stage);
}
