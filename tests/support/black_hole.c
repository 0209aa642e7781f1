#include "tests/support/black_hole.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { DNS_PORT = 53, DNS_HEADER = 12, ADDRESSES = 200, POLL_MS = 50 };

struct black_hole {
	int fd;
	bool root;
	bool refuses;
	pthread_t thread; /* where it refuses */
	atomic_bool stopping;
	atomic_size_t refused;
	char address[INET_ADDRSTRLEN];
	char resolv_conf[PATH_MAX];
	char nsswitch_conf[PATH_MAX];
	char uid_map[64]; /* made beforehand: the child may not call printf */
	char gid_map[64];
};

/* Tests run beside each other: each takes the first loopback address whose port 53 is free. */
static int address_bind(struct black_hole *hole)
{
	int err = -1;

	for (uint32_t i = 0; i < ADDRESSES && err < 0; i++) {
		uint32_t host = INADDR_LOOPBACK + (53U << 16) + (((uint32_t)getpid() + i) % 65000U);
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};

		address.sin_addr.s_addr = htonl(host);
		err = bind(hole->fd, (struct sockaddr *)&address, sizeof(address));
		if (err < 0 && errno != EADDRINUSE)
			return -1;
		inet_ntop(AF_INET, &address.sin_addr, hole->address, sizeof(hole->address));
	}
	return err;
}

static int file_write(char path[PATH_MAX], const char *folder, const char *name, const char *before, const char *text)
{
	FILE *out;
	int len = snprintf(path, PATH_MAX, "%s/%s", folder, name);

	out = len < PATH_MAX ? fopen(path, "we") : NULL;
	if (out == NULL)
		return -1;
	fprintf(out, "%s%s\n", before, text);
	return fclose(out);
}

struct black_hole *black_hole_open(const char *folder)
{
	struct black_hole *hole = calloc(1, sizeof(*hole));

	if (hole == NULL)
		return NULL;
	hole->root = geteuid() == 0;
	snprintf(hole->uid_map, sizeof(hole->uid_map), "%d %d 1", (int)geteuid(), (int)geteuid());
	snprintf(hole->gid_map, sizeof(hole->gid_map), "%d %d 1", (int)getegid(), (int)getegid());
	hole->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (hole->fd < 0 || address_bind(hole) < 0 ||
		file_write(hole->resolv_conf, folder, "resolv.conf", "nameserver ", hole->address) < 0 ||
		file_write(hole->nsswitch_conf, folder, "nsswitch.conf", "passwd: files\ngroup: files\n",
			"hosts: files dns") < 0) {
		black_hole_close(hole);
		return NULL;
	}
	return hole;
}

static int text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

int black_hole_enter(const struct black_hole *hole)
{
	if (unshare(hole->root ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -1;
	if (!hole->root && (text_write("/proc/self/setgroups", "deny") < 0 ||
				   text_write("/proc/self/uid_map", hole->uid_map) < 0 ||
				   text_write("/proc/self/gid_map", hole->gid_map) < 0))
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(hole->resolv_conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0 ||
		mount(hole->nsswitch_conf, "/etc/nsswitch.conf", NULL, MS_BIND, NULL) < 0)
		return -1;
	return 0;
}

/* The query itself, made into an answer: the question stays, and there is nothing more. */
static void *refuse(void *arg)
{
	struct black_hole *hole = arg;
	struct pollfd wait = {.fd = hole->fd, .events = POLLIN};
	unsigned char query[512];

	while (!atomic_load(&hole->stopping)) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);

		if (poll(&wait, 1, POLL_MS) <= 0)
			continue;
		ssize_t n = recvfrom(hole->fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);
		if (n < DNS_HEADER)
			continue;
		query[2] |= 0x80; /* a response */
		query[3] = 0x83;  /* recursion available, no such name */
		query[11] = 0;	  /* no additional records */
		if (sendto(hole->fd, query, (size_t)n, 0, (struct sockaddr *)&from, from_len) == n)
			atomic_fetch_add(&hole->refused, 1);
	}
	return NULL;
}

void black_hole_refuse(struct black_hole *hole)
{
	if (pthread_create(&hole->thread, NULL, refuse, hole) != 0)
		harness_fail("no thread for a name server");
	hole->refuses = true;
}

size_t black_hole_queries(struct black_hole *hole)
{
	char query[512];
	size_t count = atomic_exchange(&hole->refused, 0);

	if (hole->refuses)
		return count;

	while (recv(hole->fd, query, sizeof(query), 0) >= 0)
		count++;
	return count;
}

void black_hole_close(struct black_hole *hole)
{
	if (hole == NULL)
		return;
	atomic_store(&hole->stopping, true);
	if (hole->refuses)
		pthread_join(hole->thread, NULL);
	if (hole->fd >= 0)
		close(hole->fd);
	unlink(hole->resolv_conf);
	unlink(hole->nsswitch_conf);
	free(hole);
}

bool black_hole_possible(void)
{
	char folder[] = "/tmp/tokenfirst-dns-XXXXXX";
	struct black_hole *hole = NULL;
	int status = -1;
	pid_t child;

	if (mkdtemp(folder) == NULL)
		return false;
	hole = black_hole_open(folder);
	if (hole != NULL) {
		child = fork();
		if (child == 0)
			_exit(black_hole_enter(hole) < 0);
		if (child < 0 || waitpid(child, &status, 0) < 0)
			status = -1;
	}
	black_hole_close(hole);
	rmdir(folder);
	return status == 0;
}
