/*
 * Edge-triggered epoll. A connection remembers that it may have bytes to read (`readable`),
 * and moves on whenever nothing holds it: not a reply that is due later, not a reply that the
 * socket did not take yet. A short read means drained, unless the peer has closed its side: that comes without
 * another edge.
 */
#include "tests/support/sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { INPUT_FIRST = 4096, EVENTS = 256, ACCEPT_ROUND = 64 };

struct sink_connection {
	int fd;
	bool readable;
	bool hung_up; /* the peer sends no more: read until 0 */
	bool waiting; /* its reply is in the queue */
	char *input;
	size_t input_len;
	size_t input_size;
	struct sink_reply reply; /* len 0: none under way */
	size_t reply_sent;
	int64_t due_us;
	struct sink_connection *next_due;
	struct sink_connection *older; /* all open ones, for the end */
	struct sink_connection *newer;
	max_align_t state[];
};

struct sink {
	const struct sink_options *options;
	int epoll_fd;
	int listen_fd;
	int signal_fd;
	int open;
	struct sink_connection *newest;
	struct sink_connection *first_due;
	struct sink_connection *last_due;
};

static void connection_close(struct sink *sink, struct sink_connection *c)
{
	if (c->older != NULL)
		c->older->newer = c->newer;
	if (c->newer != NULL)
		c->newer->older = c->older;
	else
		sink->newest = c->older;
	sink->open--;
	close(c->fd);
	free(c->input);
	free(c);
}

/* 1: all of the reply is written; 0: the socket is full; -1: broken. */
static int reply_write(struct sink_connection *c)
{
	while (c->reply_sent < c->reply.len) {
		ssize_t n = send(c->fd, c->reply.text + c->reply_sent, c->reply.len - c->reply_sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->reply_sent += (size_t)n;
	}
	c->reply.len = 0;
	return c->reply.close ? -1 : 1;
}

static int reply_begin(struct sink *sink, struct sink_connection *c)
{
	c->reply_sent = 0;
	if (!c->reply.delayed || sink->options->delay_ms == 0)
		return reply_write(c);
	c->waiting = true;
	c->due_us = harness_mono_us() + sink->options->delay_ms * 1000;
	c->next_due = NULL;
	if (sink->last_due != NULL)
		sink->last_due->next_due = c;
	else
		sink->first_due = c;
	sink->last_due = c;
	return 0;
}

/* 1: something was read; 0: nothing to read now; -1: end or broken. */
static int input_read(struct sink_connection *c)
{
	ssize_t n;

	if (!c->readable)
		return 0;
	if (c->input_len == c->input_size) {
		size_t size = c->input_size == 0 ? INPUT_FIRST : c->input_size * 2;
		char *grown = size > SINK_MESSAGE_MAX ? NULL : realloc(c->input, size);

		if (grown == NULL)
			return -1;
		c->input = grown;
		c->input_size = size;
	}
	n = recv(c->fd, c->input + c->input_len, c->input_size - c->input_len, 0);
	if (n == 0)
		return -1;
	if (n < 0) {
		c->readable = false;
		return errno == EAGAIN ? 0 : -1;
	}
	if ((size_t)n < c->input_size - c->input_len && !c->hung_up)
		c->readable = false;
	c->input_len += (size_t)n;
	return 1;
}

/* 1: a message was taken; 0: more bytes are needed, or a reply must go first; -1: close. */
static int input_take(struct sink *sink, struct sink_connection *c)
{
	const struct sink_options *o = sink->options;
	ssize_t used;

	if (c->input_len == 0)
		return 0;
	c->reply.delayed = false;
	c->reply.close = false;
	used = o->protocol->take(o->arg, c->state, c->input, c->input_len, &c->reply);
	if (used <= 0)
		return (int)used;
	c->input_len -= (size_t)used;
	memmove(c->input, c->input + used, c->input_len);
	if (c->reply.len == 0)
		return 1;
	return reply_begin(sink, c);
}

static void connection_move(struct sink *sink, struct sink_connection *c)
{
	int state = 1;

	while (state > 0 && !c->waiting) {
		if (c->reply.len > 0) {
			state = reply_write(c);
			continue;
		}
		state = input_take(sink, c);
		if (state == 0 && !c->waiting && c->reply.len == 0)
			state = input_read(c);
	}
	if (state < 0)
		connection_close(sink, c);
}

static void connection_open(struct sink *sink, int fd)
{
	const struct sink_options *o = sink->options;
	struct sink_connection *c = calloc(1, sizeof(*c) + o->protocol->state_size);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = c}};

	if (c == NULL || sink->open >= SINK_CONNECTIONS || epoll_ctl(sink->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		free(c);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* small replies in a row */
	c->fd = fd;
	c->older = sink->newest;
	if (c->older != NULL)
		c->older->newer = c;
	sink->newest = c;
	sink->open++;
	if (o->connections != NULL)
		(*o->connections)++;
	if (o->protocol->open != NULL) {
		o->protocol->open(o->arg, c->state, &c->reply);
		if (c->reply.len > 0 && reply_begin(sink, c) < 0)
			connection_close(sink, c);
	}
}

static void accept_some(struct sink *sink)
{
	for (int i = 0; i < ACCEPT_ROUND; i++) {
		int fd = accept4(sink->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		connection_open(sink, fd);
	}
}

static void due_send(struct sink *sink)
{
	int64_t now = harness_mono_us();

	while (sink->first_due != NULL && sink->first_due->due_us <= now) {
		struct sink_connection *c = sink->first_due;

		sink->first_due = c->next_due;
		if (sink->first_due == NULL)
			sink->last_due = NULL;
		c->waiting = false;
		connection_move(sink, c);
	}
}

static int wait_ms(const struct sink *sink)
{
	int64_t rest_us;

	if (sink->first_due == NULL)
		return -1;
	rest_us = sink->first_due->due_us - harness_mono_us();
	return rest_us <= 0 ? 0 : (int)((rest_us + 999) / 1000);
}

static void sink_loop(struct sink *sink)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(sink->epoll_fd, events, EVENTS, wait_ms(sink));

		for (int i = 0; i < count; i++) {
			struct sink_connection *c = events[i].data.ptr;

			if (events[i].data.ptr == &sink->signal_fd)
				return;
			if (events[i].data.ptr == &sink->listen_fd) {
				accept_some(sink);
				continue;
			}
			if ((events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
				c->readable = true;
			if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
				c->hung_up = true;
			connection_move(sink, c);
		}
		due_send(sink);
	}
}

void sink_run(const struct sink_options *options)
{
	struct sink sink = {.options = options};
	struct epoll_event listening = {.events = EPOLLIN, .data = {.ptr = &sink.listen_fd}};
	struct epoll_event ending = {.events = EPOLLIN, .data = {.ptr = &sink.signal_fd}};
	sigset_t signals;
	int port;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sink.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	sink.listen_fd = harness_listen(options->port, &port);
	if (sink.listen_fd < 0)
		harness_quit("127.0.0.1:%d: %s", options->port, strerror(errno));
	sink.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sink.signal_fd < 0 || sink.epoll_fd < 0 ||
		epoll_ctl(sink.epoll_fd, EPOLL_CTL_ADD, sink.listen_fd, &listening) < 0 ||
		epoll_ctl(sink.epoll_fd, EPOLL_CTL_ADD, sink.signal_fd, &ending) < 0)
		harness_quit("epoll: %s", strerror(errno));
	printf("listening 127.0.0.1:%d\n", port);
	fflush(stdout);
	sink_loop(&sink);
	while (sink.newest != NULL)
		connection_close(&sink, sink.newest);
	close(sink.listen_fd);
	close(sink.epoll_fd);
	close(sink.signal_fd);
}
