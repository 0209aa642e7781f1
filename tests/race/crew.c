/*
 * Many clients, few crew threads and loops, full queues, clients that leave in the middle, and the end while all of
 * that goes on: for a thread sanitizer to watch. A plain program: exit 0, or a message.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/buf.h"
#include "config/log.h"
#include "tests/support/edge.h"
#include "tests/support/harness.h"

enum { CLIENTS = 12, ROUNDS = 3, CONNECTIONS = 60, REQUESTS = 10 };

struct clients {
	struct test_edge *edge;
	uint16_t port;
	atomic_int answered; /* replies read */
	atomic_int done;     /* clients that have ended */
};

#define HEAD " HTTP/1.1\r\nHost: a\r\n"

static const char *const requests[] = {
	"GET /loop" HEAD "\r\n",
	"GET /other" HEAD "\r\n",
	"GET /login" HEAD "X-Request-Id: abc\r\n\r\n",
	"GET /items/1?q=2" HEAD "\r\n",
	"POST /echo" HEAD "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
	"GET /nothing" HEAD "\r\n",
	"GET /after" HEAD "\r\n",
	"GET /park" HEAD "\r\n",
	"GET /other" HEAD "\r\nGET /loop" HEAD "\r\n",
};
enum { KINDS = sizeof(requests) / sizeof(requests[0]) };

static int try_connect(uint16_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* One read is enough: what is in it does not matter here, that it comes does. False: the server has closed. */
static bool read_some(int fd)
{
	char reply[4096];
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (poll(&wait, 1, 20000) <= 0)
		harness_fail("a request was not answered");
	return recv(fd, reply, sizeof(reply), 0) > 0;
}

static void *run_client(void *arg)
{
	struct clients *clients = arg;
	unsigned int seed = (unsigned int)(uintptr_t)&arg;

	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = try_connect(clients->port);
		if (fd < 0)
			break; /* the end has begun */
		for (int j = 0; j < REQUESTS; j++) {
			const char *request = requests[(unsigned int)rand_r(&seed) % KINDS];
			edge_send(fd, request, strlen(request));
			if (rand_r(&seed) % 8 == 0 || !read_some(fd))
				break; /* leaves without the answer */
			atomic_fetch_add(&clients->answered, 1);
		}
		close(fd);
	}
	atomic_fetch_add(&clients->done, 1);
	return NULL;
}

/* Scrapes meanwhile, as a monitoring system would. */
static void scrape_until(struct clients *clients, int answered)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	while (atomic_load(&clients->answered) < answered && atomic_load(&clients->done) < CLIENTS) {
		buf_reset(&out);
		metrics_render(clients->edge->metrics, &out);
		harness_sleep_ms(1);
	}
	buf_release(&out);
}

static void round_of(int64_t grace_ms, int answered)
{
	struct test_edge edge;
	struct clients clients = {.edge = &edge};
	pthread_t threads[CLIENTS];

	edge_prepare(&edge);
	edge.config.http.loops = 2;
	edge.config.requests.other.threads = 3;
	edge.config.requests.other.queue = 4;
	edge.config.http.connections = CLIENTS;
	edge_open_gate(&edge);
	edge_begin(&edge);
	clients.port = (uint16_t)strtol(strrchr(http_address(edge.http), ':') + 1, NULL, 10);
	for (int i = 0; i < CLIENTS; i++) {
		if (pthread_create(&threads[i], NULL, run_client, &clients) != 0)
			harness_fail("pthread_create");
	}
	scrape_until(&clients, answered);
	edge_end(&edge, grace_ms);
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	if (atomic_load(&clients.answered) == 0)
		harness_fail("nothing was answered");
	printf("%d answers, %llu refused at the queue, %llu clients gone\n", atomic_load(&clients.answered),
		(unsigned long long)edge_shed_count(&edge, "crew_queue"),
		(unsigned long long)edge_shed_count(&edge, "client_gone"));
	edge_release_all(&edge);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < ROUNDS; i++) {
		round_of(EDGE_PATIENCE_MS, CLIENTS * CONNECTIONS * REQUESTS); /* to its end */
		round_of(EDGE_PATIENCE_MS, 500);			      /* orderly, in the middle */
		round_of(0, 500);					      /* at once, in the middle */
	}
	return 0;
}
