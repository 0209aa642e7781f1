/*
 * One epoll set with all sockets that libcurl has named, and an eventfd for other threads.
 *
 * A socket that a transfer is done with stays in the set, as one that is not wanted: kept for the next transfer, its
 * connection is wanted again soon, and then one system call does instead of two. If it gets ready meanwhile (its peer
 * has closed it, say) it is taken out. When libcurl closes a socket the kernel takes it out without a word, so what is
 * noted here of a descriptor is never more than a guess of which of two calls will do.
 *
 * Events are for a registration, not for a number: within one turn a socket may be closed and its number used again, so
 * each carries the serial of the registration that it was asked for with.
 */
#include "background/delivery/reactor.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/limits.h"

enum {
	SOCKETS_FIRST = 256, /* descriptors below which all are noted without more memory */
	BLIND_MS = 20,	     /* between two looks at all transfers, while a socket could not be watched */
};

/* What the set has of a descriptor, as far as is known. */
struct watched {
	uint32_t serial; /* of its registration */
	uint32_t wanted; /* EPOLLIN, EPOLLOUT; 0: by nobody now */
	bool in_set;
};

enum sleep_state { AWAKE, ASLEEP, WOKEN };

struct reactor {
	CURLM *multi;
	int epoll_fd, wake_fd;
	struct watched *sockets; /* by descriptor */
	size_t socket_count;
	uint32_t last_serial;
	int64_t timer_us; /* when libcurl wants to be called; INT64_MAX: not for the time */
	bool blind;	  /* a socket could not be watched: all transfers are looked at now and then */

	atomic_int state; /* enum sleep_state; all else is the owner's */
};

/* The eventfd's name among the events: no socket has this serial. */
static const uint64_t WAKE = 0;

static uint64_t name_of(uint32_t serial, int fd)
{
	return (uint64_t)serial << 32 | (uint32_t)fd;
}

/* NULL without memory. */
static struct watched *note_of(struct reactor *reactor, int fd)
{
	size_t at = (size_t)fd, count = reactor->socket_count;
	if (at < count)
		return &reactor->sockets[at];
	while (count <= at)
		count *= 2;
	struct watched *more = realloc(reactor->sockets, count * sizeof(*more));
	if (more == NULL)
		return NULL;
	memset(more + reactor->socket_count, 0, (count - reactor->socket_count) * sizeof(*more));
	reactor->sockets = more;
	reactor->socket_count = count;
	return &more[at];
}

static int set_interest(struct reactor *reactor, int fd, const struct watched *note)
{
	struct epoll_event event = {.events = note->wanted, .data.u64 = name_of(note->serial, fd)};
	int first = note->in_set ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int other = note->in_set ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(reactor->epoll_fd, first, fd, &event) == 0)
		return 0;
	if (errno != ENOENT && errno != EEXIST)
		return ERR_SYSTEM;
	return epoll_ctl(reactor->epoll_fd, other, fd, &event) == 0 ? 0 : ERR_SYSTEM;
}

static void want(struct reactor *reactor, int fd, uint32_t wanted)
{
	struct watched *note = note_of(reactor, fd);
	if (note == NULL) {
		reactor->blind = true;
		return;
	}
	if (++reactor->last_serial == 0)
		reactor->last_serial = 1;
	note->serial = reactor->last_serial;
	note->wanted = wanted;
	note->in_set = set_interest(reactor, fd, note) == 0;
	if (!note->in_set)
		reactor->blind = true;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct reactor *reactor = arg;
	(void)easy, (void)of_socket;
	if (what != CURL_POLL_REMOVE)
		want(reactor, fd, (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0));
	else if ((size_t)fd < reactor->socket_count)
		reactor->sockets[fd].wanted = 0;
	return 0;
}

/* A millisecond more: libcurl cuts off what is beyond a whole one, and before its time it would only say when again. */
static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct reactor *reactor = arg;
	(void)multi;
	if (timeout_ms < 0)
		reactor->timer_us = INT64_MAX;
	else if (timeout_ms == 0)
		reactor->timer_us = 0;
	else
		reactor->timer_us = clock_mono_us() + ((int64_t)timeout_ms + 1) * 1000;
	return 0;
}

static int set_up(struct reactor *reactor)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE};
	reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	reactor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reactor->epoll_fd < 0 || reactor->wake_fd < 0 ||
		epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->wake_fd, &event) != 0)
		return ERR_SYSTEM;
	reactor->sockets = calloc(SOCKETS_FIRST, sizeof(*reactor->sockets));
	reactor->multi = curl_multi_init();
	if (reactor->sockets == NULL || reactor->multi == NULL)
		return ERR_MEMORY;
	reactor->socket_count = SOCKETS_FIRST;
	int failed = 0;
	failed += curl_multi_setopt(reactor->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK;
	failed += curl_multi_setopt(reactor->multi, CURLMOPT_SOCKETDATA, reactor) != CURLM_OK;
	failed += curl_multi_setopt(reactor->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK;
	failed += curl_multi_setopt(reactor->multi, CURLMOPT_TIMERDATA, reactor) != CURLM_OK;
	return failed > 0 ? ERR_MEMORY : 0;
}

int reactor_new(struct reactor **ret_reactor)
{
	struct reactor *reactor = calloc(1, sizeof(*reactor));
	if (reactor == NULL)
		return ERR_MEMORY;
	reactor->epoll_fd = reactor->wake_fd = -1;
	reactor->timer_us = INT64_MAX;
	atomic_init(&reactor->state, AWAKE);
	int err = set_up(reactor);
	if (err != 0) {
		reactor_free(reactor);
		return err;
	}
	*ret_reactor = reactor;
	return 0;
}

void reactor_free(struct reactor *reactor)
{
	if (reactor == NULL)
		return;
	if (reactor->multi != NULL)
		(void)curl_multi_cleanup(reactor->multi);
	if (reactor->wake_fd >= 0)
		close(reactor->wake_fd);
	if (reactor->epoll_fd >= 0)
		close(reactor->epoll_fd);
	free(reactor->sockets);
	free(reactor);
}

CURLM *reactor_multi(struct reactor *reactor)
{
	return reactor->multi;
}

void reactor_wake(struct reactor *reactor)
{
	const uint64_t one = 1;
	if (atomic_exchange(&reactor->state, WOKEN) != ASLEEP)
		return;
	/* can't fail: the counter is nowhere near its end and the descriptor is ours. Nobody reads it: watched by its
	   edges, each write is an event of its own */
	ssize_t written = write(reactor->wake_fd, &one, sizeof(one));
	assert(written == sizeof(one));
	(void)written;
}

static void act(struct reactor *reactor, curl_socket_t fd, int ready)
{
	int running = 0;
	(void)curl_multi_socket_action(reactor->multi, fd, ready, &running);
}

/* Forgotten first: libcurl says when it wants to be called next, but not that it does not want to be. */
static void act_on_time(struct reactor *reactor)
{
	reactor->timer_us = INT64_MAX;
	act(reactor, CURL_SOCKET_TIMEOUT, 0);
}

static void look_at_all(struct reactor *reactor)
{
	int running = 0;
	(void)curl_multi_perform(reactor->multi, &running);
	reactor->blind = running > 0;
}

/* What is ready, where that is plain; else 0: libcurl asks the socket itself. */
static int ready_of(uint32_t events)
{
	if ((events & ~(uint32_t)(EPOLLIN | EPOLLOUT)) != 0)
		return 0;
	return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
}

static void take_event(struct reactor *reactor, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	uint32_t serial = (uint32_t)(event->data.u64 >> 32);
	if (event->data.u64 == WAKE)
		return;
	struct watched *note = &reactor->sockets[fd];
	if (note->serial != serial)
		return;
	if (note->wanted != 0) {
		act(reactor, fd, ready_of(event->events));
		return;
	}
	(void)epoll_ctl(reactor->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* unless it has been closed */
	note->in_set = false;
}

void reactor_begin_added(struct reactor *reactor)
{
	if (reactor->timer_us <= 0)
		act_on_time(reactor);
}

/* Rounded up: what is woken early finds nothing to do. */
static int timeout_ms(const struct reactor *reactor, int64_t most_ms)
{
	if (reactor->timer_us != INT64_MAX) {
		int64_t left_us = reactor->timer_us - clock_mono_us();
		int64_t left_ms = left_us > 0 ? (left_us + 999) / 1000 : 0;
		most_ms = left_ms < most_ms ? left_ms : most_ms;
	}
	if (reactor->blind && most_ms > BLIND_MS)
		most_ms = BLIND_MS;
	if (most_ms == INT64_MAX)
		return -1;
	return most_ms < INT_MAX ? (int)most_ms : INT_MAX;
}

void reactor_sleep(struct reactor *reactor, int64_t most_ms)
{
	struct epoll_event events[LIMIT_REACTOR_EVENTS];
	int awake = AWAKE;

	int timeout = timeout_ms(reactor, most_ms);
	if (timeout != 0 && !atomic_compare_exchange_strong(&reactor->state, &awake, ASLEEP))
		timeout = 0;
	int count = epoll_wait(reactor->epoll_fd, events, LIMIT_REACTOR_EVENTS, timeout);
	atomic_store(&reactor->state, AWAKE);
	for (int i = 0; i < count; i++)
		take_event(reactor, &events[i]);
	if (reactor->timer_us <= clock_mono_us())
		act_on_time(reactor);
	if (reactor->blind)
		look_at_all(reactor);
}

CURL *reactor_ended(struct reactor *reactor, CURLcode *ret_result)
{
	int left = 0;
	for (CURLMsg *message = curl_multi_info_read(reactor->multi, &left); message != NULL;
		message = curl_multi_info_read(reactor->multi, &left)) {
		if (message->msg != CURLMSG_DONE)
			continue;
		*ret_result = message->data.result;
		return message->easy_handle;
	}
	return NULL;
}
