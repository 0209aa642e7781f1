/*
 * Without descriptors (EMFILE, ENFILE) a listening socket stays readable and accept fails, which would spin. So one
 * descriptor is kept in reserve: it is given up, the connection is accepted with it and closed, and the reserve taken
 * again. Where that does not help (no memory), accepting pauses.
 */
#include "server/http/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/limits.h"
#include "config/log.h"

struct acceptor {
	struct acceptor_options options;
	pthread_t thread;
	int stop_fd;
	int reserve_fd;
};

static struct loop *least_loaded(const struct acceptor *a)
{
	struct loop *best = a->options.loops[0];

	for (size_t i = 1; i < a->options.loop_count; i++) {
		if (loop_load(a->options.loops[i]) < loop_load(best))
			best = a->options.loops[i];
	}
	return best;
}

static void refuse(struct acceptor *a, int fd, enum shed reason)
{
	edge_shed(a->options.edge, reason);
	close(fd);
}

static void welcome(struct acceptor *a, int fd, const union address *address, socklen_t len, bool ops)
{
	struct edge *edge = a->options.edge;
	struct connection *c = NULL;

	/* only this thread adds, so the check can't be overtaken */
	if (atomic_load(&edge->connections) >= edge->config->http.connections) {
		refuse(a, fd, SHED_CONNECTIONS);
		return;
	}
	if (connection_new(fd, address, len, ops, &c) != 0) {
		refuse(a, fd, SHED_DESCRIPTORS);
		return;
	}
	edge_connection_opened(edge);
	loop_offer(least_loaded(a), c);
}

/* Whether a connection could be got rid of. */
static bool use_reserve(struct acceptor *a, int listening)
{
	if (a->reserve_fd < 0)
		a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (a->reserve_fd < 0)
		return false;
	close(a->reserve_fd);
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		refuse(a, fd, SHED_DESCRIPTORS);
	a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

/* Takes what waits, but not for ever. False: there is no means to accept, so wait a little. */
static bool accept_some(struct acceptor *a, int listening, bool ops)
{
	for (int i = 0; i < LIMIT_HTTP_BACKLOG; i++) {
		union address address;
		socklen_t len = sizeof(address);
		int fd = accept4(listening, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			welcome(a, fd, &address, len, ops);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			return true;
		case EMFILE:
		case ENFILE:
			if (!use_reserve(a, listening))
				return false;
			break;
		case ECONNABORTED:
		case EINTR:
		case EPERM:
		case EPROTO:
			break;
		default:
			return false;
		}
	}
	return true;
}

static void *run(void *arg)
{
	struct acceptor *a = arg;
	struct pollfd fds[] = {
		{.fd = a->stop_fd, .events = POLLIN}, {.fd = a->options.main_fd, .events = POLLIN},
		{.fd = a->options.ops_fd, .events = POLLIN}, /* poll ignores -1 */
	};

	(void)pthread_setname_np(pthread_self(), "acceptor");
	for (;;) {
		bool able = true;
		(void)poll(fds, 3, -1);
		if (fds[1].revents)
			able = accept_some(a, a->options.main_fd, false);
		if (fds[2].revents)
			able = accept_some(a, a->options.ops_fd, true) && able;
		if (fds[0].revents)
			break;
		if (!able)
			(void)poll(fds, 1, LIMIT_HTTP_ACCEPT_PAUSE_MS);
	}
	return NULL;
}

static void release(struct acceptor *a)
{
	if (a->stop_fd >= 0)
		close(a->stop_fd);
	if (a->reserve_fd >= 0)
		close(a->reserve_fd);
	free(a);
}

int acceptor_start(const struct acceptor_options *options, struct acceptor **ret_acceptor)
{
	struct acceptor *a = calloc(1, sizeof(*a));

	if (!a)
		return ERR_MEMORY;
	a->options = *options;
	a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (a->stop_fd < 0 || pthread_create(&a->thread, NULL, run, a) != 0) {
		release(a);
		return ERR_SYSTEM;
	}
	*ret_acceptor = a;
	return 0;
}

void acceptor_stop(struct acceptor *a)
{
	uint64_t one = 1;

	if (!a)
		return;
	if (write(a->stop_fd, &one, sizeof(one)) != sizeof(one))
		log_write(LOG_ERROR, "acceptor could not be told to stop");
	pthread_join(a->thread, NULL);
	release(a);
}
