/*
 * raw_handoff: how many requests a second bare libmicrohttpd reaches here when each is suspended, handed to another
 * thread, answered there and resumed, as the yardstick for every route that may block.
 *
 *   raw_handoff [--loops N] [--threads N]
 *
 * Prints "listening 127.0.0.1:PORT" and runs until SIGTERM. No routing, no checks, no metrics; a few bytes of JSON.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { LOOPS_MAX = 16, THREADS_MAX = 64, EVENTS = 64 };

struct request {
	struct MHD_Connection *connection;
	struct loop *loop;
	bool answered;
	STAILQ_ENTRY(request) link;
};

STAILQ_HEAD(requests, request);

struct newcomer {
	int fd;
	struct sockaddr_in address;
	STAILQ_ENTRY(newcomer) link;
};

struct loop {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	int epoll_fd, wake_fd;
	pthread_mutex_t lock; /* guards the three below */
	STAILQ_HEAD(, newcomer) newcomers;
	struct requests answered;
	bool woken;
};

static struct loop loops[LOOPS_MAX];

static pthread_mutex_t crew_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static struct requests waiting = STAILQ_HEAD_INITIALIZER(waiting);
static int idle;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

/* Under the lock; true: wake() is due after it. */
static bool must_wake(struct loop *loop)
{
	bool first = !loop->woken;

	loop->woken = true;
	return first;
}

static void wake(const struct loop *loop)
{
	uint64_t one = 1;

	if (write(loop->wake_fd, &one, sizeof(one)) != sizeof(one))
		harness_quit("eventfd");
}

static void *crew_main(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_mutex_lock(&crew_lock);
		idle++;
		while (STAILQ_EMPTY(&waiting))
			pthread_cond_wait(&work, &crew_lock);
		idle--;
		struct request *request = STAILQ_FIRST(&waiting);
		STAILQ_REMOVE_HEAD(&waiting, link);
		pthread_mutex_unlock(&crew_lock);

		struct loop *loop = request->loop;
		pthread_mutex_lock(&loop->lock);
		STAILQ_INSERT_TAIL(&loop->answered, request, link);
		bool first = must_wake(loop);
		pthread_mutex_unlock(&loop->lock);
		if (first)
			wake(loop);
	}
	return NULL;
}

static enum MHD_Result answer(struct MHD_Connection *connection)
{
	static char body[] = "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}";
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof(body) - 1, body, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result = MHD_NO;

	if (response == NULL)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", "application/json") == MHD_YES)
		result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *bytes, size_t *len, void **context)
{
	struct request *request = *context;

	(void)path, (void)method, (void)version, (void)bytes;
	if (request == NULL) {
		request = calloc(1, sizeof(*request));
		if (request == NULL)
			return MHD_NO;
		request->connection = connection;
		request->loop = arg;
		*context = request;
		return MHD_YES;
	}
	if (*len > 0) {
		*len = 0;
		return MHD_YES;
	}
	if (request->answered)
		return answer(connection);
	MHD_suspend_connection(connection);
	pthread_mutex_lock(&crew_lock);
	STAILQ_INSERT_TAIL(&waiting, request, link);
	bool signal = idle > 0;
	pthread_mutex_unlock(&crew_lock);
	if (signal)
		pthread_cond_signal(&work);
	return MHD_YES;
}

static void on_completed(
	void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	free(*context);
	*context = NULL;
}

static void take(struct loop *loop)
{
	struct newcomer *newcomer;
	struct request *request;

	pthread_mutex_lock(&loop->lock);
	loop->woken = false;
	while ((newcomer = STAILQ_FIRST(&loop->newcomers)) != NULL) {
		STAILQ_REMOVE_HEAD(&loop->newcomers, link);
		(void)MHD_add_connection(loop->daemon, newcomer->fd, (const struct sockaddr *)&newcomer->address,
			sizeof(newcomer->address));
		free(newcomer);
	}
	while ((request = STAILQ_FIRST(&loop->answered)) != NULL) {
		STAILQ_REMOVE_HEAD(&loop->answered, link);
		request->answered = true;
		MHD_resume_connection(request->connection);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	struct epoll_event events[EVENTS];

	for (;;) {
		MHD_UNSIGNED_LONG_LONG left_ms = 0;
		uint64_t ignored;
		int timeout_ms = MHD_get_timeout(loop->daemon, &left_ms) == MHD_YES ? (int)left_ms : -1;
		int count = epoll_wait(loop->epoll_fd, events, EVENTS, timeout_ms);

		for (int i = 0; i < count; i++)
			if (events[i].data.ptr == loop && read(loop->wake_fd, &ignored, sizeof(ignored)) < 0)
				harness_quit("eventfd");
		take(loop);
		(void)MHD_run(loop->daemon);
	}
	return NULL;
}

static void watch(const struct loop *loop, int fd, void *mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		harness_quit("epoll_ctl");
}

static void loop_begin(struct loop *loop)
{
	STAILQ_INIT(&loop->newcomers);
	STAILQ_INIT(&loop->answered);
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC);
	loop->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
		NULL, on_request, loop, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 || loop->daemon == NULL)
		harness_quit("a loop did not start");
	watch(loop, loop->wake_fd, loop);
	watch(loop, MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, NULL);
	if (pthread_create(&loop->thread, NULL, loop_main, loop) != 0)
		harness_quit("pthread_create");
}

static void accept_all(int listener, int64_t loop_count)
{
	for (int64_t i = 0;; i++) {
		struct newcomer *newcomer = calloc(1, sizeof(*newcomer));
		socklen_t len = sizeof(newcomer->address);
		struct loop *loop = &loops[i % loop_count];

		if (newcomer == NULL)
			harness_quit("out of memory");
		newcomer->fd =
			accept4(listener, (struct sockaddr *)&newcomer->address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (newcomer->fd < 0)
			harness_quit("accept");
		pthread_mutex_lock(&loop->lock);
		STAILQ_INSERT_TAIL(&loop->newcomers, newcomer, link);
		bool first = must_wake(loop);
		pthread_mutex_unlock(&loop->lock);
		if (first)
			wake(loop);
	}
}

static int listener_open(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		harness_quit("no socket to listen on");
	printf("listening 127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"loops", required_argument, NULL, 'l'}, {"threads", required_argument, NULL, 't'}, {0}};
	int64_t loop_count = 2, threads = 2;
	pthread_t crew;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			loop_count = harness_number("loops", optarg, 1, LOOPS_MAX);
		else if (c == 't')
			threads = harness_number("threads", optarg, 1, THREADS_MAX);
		else
			return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	for (int64_t i = 0; i < loop_count; i++)
		loop_begin(&loops[i]);
	for (int64_t i = 0; i < threads; i++)
		if (pthread_create(&crew, NULL, crew_main, NULL) != 0)
			harness_quit("pthread_create");
	accept_all(listener_open(), loop_count);
	return 0;
}
