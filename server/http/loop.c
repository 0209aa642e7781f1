/*
 * One turn: sleep, note who left, take what others have left, cut what is overdue, let the engine run. Everything that
 * touches a connection happens here, on one thread; one is freed only after the events of the turn
 * have been looked at, so no event names a connection that is gone.
 *
 * Each socket is watched twice: by the engine for reading and writing, and here for EPOLLRDHUP, edge-triggered and for
 * its whole life, since a suspended exchange is not watched by the engine and registering anew for each exchange would
 * cost two system calls. A client that only half-closes counts as one that left, as it does for the engine.
 */
#include "server/http/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "server/http/engine.h"
#include "server/http/exchange_internal.h"

struct loop {
	struct edge *edge;
	struct engine *engine;
	pthread_t thread;
	int epoll_fd, wake_fd;
	atomic_int load;

	pthread_mutex_t lock; /* guards the next six */
	struct connection_queue offered;
	struct exchange_queue answered;
	bool woken; /* wake_fd has been written since the loop last looked */
	bool aborting, stopping;

	/* of the loop's thread */
	struct connection_list open;
	struct deadlines deadlines;
	int suspended;
};

/* Under the lock; true: the caller writes wake_fd after it. */
static bool must_wake(struct loop *loop)
{
	bool first = !loop->woken;

	loop->woken = true;
	return first;
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	/* can't fail: the counter is nowhere near its end and the descriptor is ours */
	ssize_t written = write(loop->wake_fd, &one, sizeof(one));
	assert(written == sizeof(one));
	(void)written;
}

int loop_load(const struct loop *loop)
{
	return atomic_load(&loop->load);
}

void loop_offer(struct loop *loop, struct connection *c)
{
	atomic_fetch_add(&loop->load, 1);
	pthread_mutex_lock(&loop->lock);
	STAILQ_INSERT_TAIL(&loop->offered, c, offered);
	bool first = must_wake(loop);
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

void loop_answered(struct loop *loop, struct exchange *x)
{
	pthread_mutex_lock(&loop->lock);
	STAILQ_INSERT_TAIL(&loop->answered, x, link);
	bool first = must_wake(loop);
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

static void order(struct loop *loop, bool abort, bool stop)
{
	pthread_mutex_lock(&loop->lock);
	loop->aborting |= abort;
	loop->stopping |= stop;
	bool first = must_wake(loop);
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

void loop_drain(struct loop *loop)
{
	order(loop, false, false);
}

void loop_abort(struct loop *loop)
{
	order(loop, true, false);
}

void loop_connection_opened(struct loop *loop, struct connection *c)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};

	TAILQ_INSERT_TAIL(&loop->open, c, open);
	loop_arm(loop, c, DEADLINE_HEADER);
	/* unwatched, without memory, its leaving is seen only when the answer is sent */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

void loop_connection_closed(struct loop *loop, struct connection *c)
{
	assert(!c->exchange);
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	loop_arm(loop, c, DEADLINE_NONE);
	TAILQ_REMOVE(&loop->open, c, open);
	atomic_fetch_sub(&loop->load, 1);
	edge_connection_closed(loop->edge);
	connection_free(c);
}

void loop_arm(struct loop *loop, struct connection *c, enum deadline deadline)
{
	deadlines_arm(&loop->deadlines, c, deadline, deadline == DEADLINE_NONE ? 0 : clock_mono_us());
}

void loop_suspended(struct loop *loop, int delta)
{
	loop->suspended += delta;
}

/* The engine then reads an end of file and closes; closing here would pull the descriptor from under it. */
static void cut(struct loop *loop, struct connection *c)
{
	loop_arm(loop, c, DEADLINE_NONE);
	shutdown(c->fd, SHUT_RDWR);
}

static void cut_overdue(struct loop *loop)
{
	int64_t now_us = clock_mono_us();
	enum deadline deadline;
	struct connection *c;

	while ((c = deadlines_expire(&loop->deadlines, now_us, &deadline))) {
		/* a client that was only keeping its connection for later has lost nothing */
		if (c->exchange || c->requests == 0)
			edge_shed(loop->edge, SHED_HEADER_DEADLINE + deadline);
		cut(loop, c);
	}
}

/*
 * Before the first request or between two, with nothing of the next one here, for so long that none is likely to be on
 * its way: a request that crosses our closing is answered by a reset.
 */
static bool idle(const struct loop *loop, const struct connection *c, int64_t now_us)
{
	char byte;

	return !c->exchange &&
	       now_us - deadlines_armed_us(&loop->deadlines, c) >= LIMIT_HTTP_FAREWELL_MS * INT64_C(1000) &&
	       recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static void cut_idle(struct loop *loop)
{
	const int64_t now_us = clock_mono_us();
	struct connection *c, *next;

	for (c = TAILQ_FIRST(&loop->deadlines.armed[DEADLINE_HEADER]); c; c = next) {
		next = TAILQ_NEXT(c, due);
		if (idle(loop, c, now_us))
			cut(loop, c);
	}
}

static void cut_all(struct loop *loop)
{
	struct connection *c;

	TAILQ_FOREACH(c, &loop->open, open)
	{
		atomic_store(&c->gone, true);
		cut(loop, c);
	}
}

/* What other threads have left. Returns whether the loop shall end. */
static bool take_orders(struct loop *loop)
{
	struct connection_queue offered = STAILQ_HEAD_INITIALIZER(offered);
	struct exchange_queue answered = STAILQ_HEAD_INITIALIZER(answered);
	struct connection *c;
	struct exchange *x;

	pthread_mutex_lock(&loop->lock);
	STAILQ_CONCAT(&offered, &loop->offered);
	STAILQ_CONCAT(&answered, &loop->answered);
	loop->woken = false;
	bool aborting = loop->aborting, stopping = loop->stopping;
	pthread_mutex_unlock(&loop->lock);

	while ((c = STAILQ_FIRST(&offered))) {
		STAILQ_REMOVE_HEAD(&offered, offered);
		engine_add(loop->engine, c);
	}
	while ((x = STAILQ_FIRST(&answered))) {
		STAILQ_REMOVE_HEAD(&answered, link);
		engine_resume(x);
	}
	if (aborting)
		cut_all(loop);
	return stopping;
}

static int sleep_ms(const struct loop *loop)
{
	int64_t ms = engine_timeout_ms(loop->engine);
	int64_t nearest_us = deadlines_nearest_us(&loop->deadlines);

	if (nearest_us != INT64_MAX) {
		int64_t left_us = nearest_us - clock_mono_us();
		int64_t left_ms = left_us > 0 ? (left_us + 999) / 1000 : 0;
		if (ms < 0 || left_ms < ms)
			ms = left_ms;
	}
	if (atomic_load(&loop->edge->draining) && (ms < 0 || ms > LIMIT_HTTP_FAREWELL_TURN_MS))
		ms = LIMIT_HTTP_FAREWELL_TURN_MS;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static void sleep_and_note(struct loop *loop)
{
	struct epoll_event events[LIMIT_HTTP_EVENTS];
	int count = epoll_wait(loop->epoll_fd, events, LIMIT_HTTP_EVENTS, sleep_ms(loop));

	assert(count >= 0 || errno == EINTR);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr == loop->engine)
			continue;
		if (events[i].data.ptr == loop) {
			uint64_t ignored;
			ssize_t got = read(loop->wake_fd, &ignored, sizeof(ignored));
			(void)got;
			continue;
		}
		struct connection *c = events[i].data.ptr;
		atomic_store(&c->gone, true);
	}
}

static void *run(void *arg)
{
	struct loop *loop = arg;
	bool stopping = false;

	(void)pthread_setname_np(pthread_self(), "loop");
	while (!stopping) {
		sleep_and_note(loop);
		stopping = take_orders(loop);
		cut_overdue(loop);
		engine_run(loop->engine);
		if (atomic_load(&loop->edge->draining))
			cut_idle(loop);
	}
	/* the crews have ended, so every exchange has been answered and resumed; the engine would abort otherwise */
	assert(loop->suspended == 0);
	engine_stop(loop->engine);
	return NULL;
}

static int watch(struct loop *loop, int fd, void *mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : ERR_SYSTEM;
}

static void release(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

int loop_start(struct edge *edge, struct loop **ret_loop)
{
	const struct config *config = edge->config;
	struct loop *loop = calloc(1, sizeof(*loop));
	int err = 0;

	if (!loop)
		return ERR_MEMORY;
	loop->edge = edge;
	STAILQ_INIT(&loop->offered);
	STAILQ_INIT(&loop->answered);
	TAILQ_INIT(&loop->open);
	deadlines_init(
		&loop->deadlines, config->http.header_timeout_ms, config->http.body_timeout_ms, LIMIT_HTTP_REPLY_MS);
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0)
		err = ERR_SYSTEM;
	if (!err)
		err = engine_start(edge, loop, &loop->engine);
	if (!err)
		err = watch(loop, loop->wake_fd, loop);
	if (!err)
		err = watch(loop, engine_fd(loop->engine), loop->engine);
	if (!err && pthread_create(&loop->thread, NULL, run, loop) != 0)
		err = ERR_SYSTEM;
	if (err) {
		engine_stop(loop->engine);
		release(loop);
		return err;
	}
	*ret_loop = loop;
	return 0;
}

void loop_stop(struct loop *loop)
{
	if (!loop)
		return;
	order(loop, false, true);
	pthread_join(loop->thread, NULL);
	release(loop);
}
