/*
 * Every wait polls the socket and one eventfd that becomes readable, for good, at the stop. Threads are
 * joined when their slot is needed again, or at the stop.
 */
#include "tests/support/links.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/harness.h"

struct link {
	struct links *links;
	int fd;
	bool used; /* by the accepting thread only: `thread` is to be joined */
	pthread_t thread;
	atomic_bool done;
};

struct links {
	void (*serve)(void *arg, struct link *link);
	void *arg;
	int listen_fd;
	int stop_fd;
	int port;
	pthread_t thread;
	atomic_int_fast64_t connections;
	struct link links[LINKS_MAX];
};

/* True: `fd` has one of the events; false: stopping, or `timeout_ms` (-1: none) is over. */
static bool wait_for(const struct links *a, int fd, short events, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = a->stop_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	int count;

	do {
		count = poll(fds, 2, timeout_ms);
	} while (count < 0 && errno == EINTR);
	return count > 0 && fds[0].revents == 0;
}

ssize_t link_read(struct link *link, void *bytes, size_t size)
{
	if (!wait_for(link->links, link->fd, POLLIN, -1))
		return -1;
	return recv(link->fd, bytes, size, 0);
}

bool link_write(struct link *link, const void *bytes, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n;

		if (!wait_for(link->links, link->fd, POLLOUT, -1))
			return false;
		n = send(link->fd, (const char *)bytes + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0)
			sent += (size_t)n;
	}
	return true;
}

bool link_sleep(struct link *link, int64_t ms)
{
	struct pollfd stop = {.fd = link->links->stop_fd, .events = POLLIN};
	int64_t until_us = harness_mono_us() + ms * 1000;
	int64_t rest_us;

	while ((rest_us = until_us - harness_mono_us()) > 0) {
		if (poll(&stop, 1, (int)((rest_us + 999) / 1000)) > 0)
			return false;
	}
	return true;
}

void link_linger(struct link *link)
{
	char bytes[4096];

	while (link_read(link, bytes, sizeof(bytes)) > 0)
		;
}

void link_finish(struct link *link)
{
	shutdown(link->fd, SHUT_WR);
	link_linger(link);
}

void link_reset(struct link *link)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void *link_thread(void *arg)
{
	struct link *link = arg;

	link->links->serve(link->links->arg, link);
	close(link->fd);
	atomic_store(&link->done, true);
	return NULL;
}

static struct link *link_free_one(struct links *a)
{
	for (size_t i = 0; i < LINKS_MAX; i++) {
		struct link *link = &a->links[i];

		if (link->used && !atomic_load(&link->done))
			continue;
		if (link->used)
			pthread_join(link->thread, NULL);
		link->used = false;
		return link;
	}
	return NULL;
}

static void link_start(struct links *a, int fd)
{
	struct link *link = link_free_one(a);
	int on = 1;

	if (link == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	link->links = a;
	link->fd = fd;
	atomic_store(&link->done, false);
	if (pthread_create(&link->thread, NULL, link_thread, link) != 0)
		harness_fail("no thread for a connection");
	link->used = true;
}

static void *accept_thread(void *arg)
{
	struct links *a = arg;

	while (wait_for(a, a->listen_fd, POLLIN, -1)) {
		int fd = accept4(a->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		atomic_fetch_add(&a->connections, 1);
		link_start(a, fd);
	}
	return NULL;
}

struct links *links_start(void (*serve)(void *arg, struct link *link), void *arg)
{
	struct links *a = calloc(1, sizeof(*a));

	if (a == NULL)
		harness_fail("out of memory");
	a->serve = serve;
	a->arg = arg;
	a->stop_fd = eventfd(0, EFD_CLOEXEC);
	a->listen_fd = harness_listen(0, &a->port);
	if (a->stop_fd < 0 || a->listen_fd < 0 || pthread_create(&a->thread, NULL, accept_thread, a) != 0)
		harness_fail("no listening socket or no thread: %s", strerror(errno));
	return a;
}

int links_port(const struct links *a)
{
	return a->port;
}

int64_t links_connections(struct links *a)
{
	return atomic_load(&a->connections);
}

void links_stop(struct links *a)
{
	uint64_t one = 1;

	if (a == NULL)
		return;
	if (write(a->stop_fd, &one, sizeof(one)) != sizeof(one))
		harness_fail("eventfd: %s", strerror(errno));
	pthread_join(a->thread, NULL);
	for (size_t i = 0; i < LINKS_MAX; i++) {
		if (a->links[i].used)
			pthread_join(a->links[i].thread, NULL);
	}
	close(a->listen_fd);
	close(a->stop_fd);
	free(a);
}
