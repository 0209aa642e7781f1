/*
 * One thread, one epoll, one timer; a connection has at most one request under way. Which
 * request is next is a number, so nothing queues: what could not be sent yet is due in the past.
 */
#include "tests/support/load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/wire.h"

enum {
	REPLY_MAX = 64 << 10,
	EVENTS = 256,
	CONNECT_US = 2000000,  /* for all connections together, before the clock starts */
	RECONNECT_US = 100000, /* after a refused or broken connection */
	TICK_MS = 50,	       /* longest wait, for reconnects and the end */
};

enum state { DOWN, CONNECTING, IDLE, BUSY };

struct connection {
	int fd;
	enum state state;
	int64_t retry_us; /* DOWN: not before */
	double due_us;
	struct load_request request;
	size_t sent;
	size_t got;
	char reply[REPLY_MAX];
	struct connection *next_idle;
};

struct load {
	const struct load_options *options;
	struct load_result *result;
	int64_t start_us;
	int64_t end_us; /* when the last request is due, and one interval more */
	int64_t issued;
	struct connection *all;
	struct connection *idle;
	int64_t idle_since_us; /* since when a connection has been waiting for requests */
	int64_t busy;
	int epoll_fd;
	int timer_fd;
};

static void sample_add(struct load_samples *s, double us)
{
	s->ms[s->count++] = us / 1000;
}

static double due_at(const struct load *load, int64_t number)
{
	return (double)load->start_us + (double)number * 1e6 / load->options->rate;
}

static void connection_down(struct load *load, struct connection *c)
{
	close(c->fd);
	c->fd = -1;
	if (c->state == BUSY) {
		load->busy--;
		load->result->errors++;
	}
	c->state = DOWN;
	c->retry_us = harness_mono_us() + RECONNECT_US;
}

static void connection_idle(struct load *load, struct connection *c)
{
	if (load->idle == NULL)
		load->idle_since_us = harness_mono_us();
	c->state = IDLE;
	c->next_idle = load->idle;
	load->idle = c;
}

static void connection_begin(struct load *load, struct connection *c)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = c}};
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
		harness_fail("socket: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->state = CONNECTING;
	if (connect(c->fd, (struct sockaddr *)&load->options->address, sizeof(load->options->address)) < 0 &&
		errno != EINPROGRESS)
		connection_down(load, c);
}

static void request_write(struct load *load, struct connection *c)
{
	while (c->sent < c->request.len) {
		ssize_t n = send(c->fd, c->request.text + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN)
				connection_down(load, c);
			return;
		}
		c->sent += (size_t)n;
	}
}

static void reply_done(struct load *load, struct connection *c, const struct wire_frame *frame)
{
	load->busy--;
	load->result->by_status[frame->status < LOAD_STATUS_MAX ? frame->status : 0]++;
	if (frame->status >= 200 && frame->status < 300) {
		load->result->ok++;
		sample_add(&load->result->latency, (double)harness_mono_us() - c->due_us);
	}
	c->state = CONNECTING; /* neither busy nor idle */
	if (frame->close) {
		connection_down(load, c);
		c->retry_us = 0;
	} else {
		connection_idle(load, c);
	}
}

static void reply_read(struct load *load, struct connection *c)
{
	while (c->state == BUSY) {
		struct wire_frame frame;
		ssize_t n = recv(c->fd, c->reply + c->got, sizeof(c->reply) - c->got, 0);
		int whole;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			connection_down(load, c);
			return;
		}
		c->got += (size_t)n;
		whole = wire_frame(c->reply, c->got, WIRE_REPLY, &frame);
		if (whole > 0)
			reply_done(load, c, &frame);
		else if (whole < 0 || c->got == sizeof(c->reply))
			connection_down(load, c);
	}
}

/* Takes an idle connection that has ended out of the list, so that no request is lost on it. */
static void idle_ended(struct load *load, struct connection *c)
{
	for (struct connection **at = &load->idle; *at != NULL; at = &(*at)->next_idle) {
		if (*at == c) {
			*at = c->next_idle;
			connection_down(load, c);
			return;
		}
	}
}

static void on_event(struct load *load, struct connection *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (c->state == CONNECTING) {
		if ((events & (EPOLLERR | EPOLLHUP)) != 0)
			connection_down(load, c);
		else if ((events & EPOLLOUT) != 0)
			connection_idle(load, c);
		return;
	}
	if (c->state == BUSY && (events & EPOLLOUT) != 0)
		request_write(load, c);
	if (c->state == BUSY)
		reply_read(load, c);
	if (c->state == IDLE && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		idle_ended(load, c);
}

static struct load_request request_at(const struct load_options *options, int64_t number)
{
	return options->each != NULL ? options->each[number]
				     : (struct load_request){options->request, options->request_len};
}

static void issue_due(struct load *load)
{
	double now_us = (double)harness_mono_us();

	while (load->idle != NULL && load->issued < load->options->total && due_at(load, load->issued) <= now_us) {
		struct connection *c = load->idle;

		load->idle = c->next_idle;
		c->request = request_at(load->options, load->issued);
		c->due_us = due_at(load, load->issued++);
		c->sent = 0;
		c->got = 0;
		c->state = BUSY;
		load->busy++;
		load->result->sent++;
		load->result->sent_in_time += now_us < (double)load->end_us;
		request_write(load, c);
		now_us = (double)harness_mono_us();
		if (c->due_us >= (double)load->idle_since_us)
			sample_add(&load->result->lag, now_us - c->due_us);
	}
}

/* The timer rings when the next request is due; while none could be sent anyway, events of connections suffice. */
static void timer_arm(struct load *load)
{
	struct itimerspec at = {0};
	double due_us;

	if (load->idle == NULL || load->issued >= load->options->total)
		return;
	due_us = due_at(load, load->issued);
	at.it_value.tv_sec = (time_t)(due_us / 1e6);
	at.it_value.tv_nsec = (long)((due_us - (double)at.it_value.tv_sec * 1e6) * 1e3);
	timerfd_settime(load->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void reconnect(struct load *load)
{
	int64_t now_us = harness_mono_us();

	for (int64_t i = 0; i < load->options->connections; i++) {
		if (load->all[i].state == DOWN && load->all[i].retry_us <= now_us)
			connection_begin(load, &load->all[i]);
	}
}

static void load_loop(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (load->busy > 0 || load->issued < load->options->total) {
		uint64_t rings;
		int count;

		if (harness_mono_us() >= load->end_us + load->options->grace_us)
			return;
		reconnect(load);
		issue_due(load);
		timer_arm(load);
		count = epoll_wait(load->epoll_fd, events, EVENTS, TICK_MS);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr != NULL)
				on_event(load, events[i].data.ptr, events[i].events);
			else if (read(load->timer_fd, &rings, sizeof(rings)) < 0 && errno != EAGAIN)
				harness_fail("timer: %s", strerror(errno));
		}
	}
}

static int64_t idle_count(const struct load *load)
{
	int64_t idle = 0;

	for (int64_t i = 0; i < load->options->connections; i++)
		idle += load->all[i].state == IDLE;
	return idle;
}

/* Opens the connections before the clock starts, so that connecting is not measured. */
static int load_begin(struct load *load)
{
	const struct load_options *o = load->options;
	struct epoll_event timer = {.events = EPOLLIN};
	struct epoll_event events[EVENTS];
	int64_t until_us = harness_mono_us() + CONNECT_US;

	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	load->all = calloc((size_t)o->connections, sizeof(*load->all));
	load->result->latency.ms = calloc((size_t)o->total, sizeof(double));
	load->result->lag.ms = calloc((size_t)o->total, sizeof(double));
	if (load->all == NULL || load->result->latency.ms == NULL || load->result->lag.ms == NULL ||
		load->epoll_fd < 0 || load->timer_fd < 0 ||
		epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->timer_fd, &timer) < 0)
		harness_fail("load: %s", strerror(errno));
	for (int64_t i = 0; i < o->connections; i++)
		connection_begin(load, &load->all[i]);
	while (idle_count(load) < o->connections && harness_mono_us() < until_us) {
		int count = epoll_wait(load->epoll_fd, events, EVENTS, TICK_MS);

		for (int i = 0; i < count; i++)
			on_event(load, events[i].data.ptr, events[i].events);
	}
	load->start_us = harness_mono_us();
	load->end_us = load->start_us + (int64_t)((double)o->total * 1e6 / o->rate);
	load->idle_since_us = load->start_us;
	return load->idle == NULL ? -1 : 0;
}

static void load_end(struct load *load)
{
	double now_us = (double)harness_mono_us();

	for (int64_t i = 0; i < load->options->connections; i++) {
		struct connection *c = &load->all[i];

		if (c->state == BUSY) {
			load->result->unfinished++;
			sample_add(&load->result->latency, now_us - c->due_us);
		}
		if (c->fd >= 0)
			close(c->fd);
	}
	for (; load->issued < load->options->total; load->issued++) {
		load->result->unfinished++;
		sample_add(&load->result->latency, now_us - due_at(load, load->issued));
	}
	close(load->epoll_fd);
	close(load->timer_fd);
	free(load->all);
}

int load_run(const struct load_options *options, struct load_result *ret_result)
{
	struct load load = {.options = options, .result = ret_result};
	int err;

	memset(ret_result, 0, sizeof(*ret_result));
	err = load_begin(&load);
	if (err == 0)
		load_loop(&load);
	load_end(&load);
	return err;
}

void load_result_release(struct load_result *result)
{
	free(result->latency.ms);
	free(result->lag.ms);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

double load_percentile(struct load_samples *s, double percent)
{
	size_t rank = (size_t)((double)s->count * percent / 100 + 0.9999999);

	if (s->count == 0)
		return 0;
	if (!s->sorted) {
		qsort(s->ms, s->count, sizeof(double), compare);
		s->sorted = true;
	}
	return s->ms[rank == 0 ? 0 : rank > s->count ? s->count - 1 : rank - 1];
}
