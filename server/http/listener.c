#include "server/http/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/limits.h"

struct parts {
	char host[256];
	char port[8];
};

/* "host:port" or "[host]:port". */
static int split(const char *address, struct parts *ret)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;

	if (!colon || colon[1] == '\0')
		return ERR_INVALID;
	size_t len = (size_t)(colon - address);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return ERR_INVALID;
	}
	if (len >= sizeof(ret->host) || strlen(colon + 1) >= sizeof(ret->port))
		return ERR_INVALID;
	memcpy(ret->host, host, len);
	ret->host[len] = '\0';
	snprintf(ret->port, sizeof(ret->port), "%s", colon + 1);
	return 0;
}

static int open_one(const struct addrinfo *info)
{
	int on = 1;
	int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info->ai_protocol);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
		bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, LIMIT_HTTP_BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int print_bound(int fd, char ret_bound[LISTENER_ADDRESS_SIZE])
{
	struct sockaddr_storage bound = {0};
	socklen_t len = sizeof(bound);
	char host[56], port[8];

	if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
		return ERR_SYSTEM;
	if (getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return ERR_SYSTEM;
	snprintf(ret_bound, LISTENER_ADDRESS_SIZE, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int listener_open(const char *address, int *ret_fd, char ret_bound[LISTENER_ADDRESS_SIZE], char ret_why[256])
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	struct parts parts;
	int fd = -1;

	if (split(address, &parts) != 0) {
		snprintf(ret_why, 256, "%s: not of the form host:port", address);
		return ERR_INVALID;
	}
	int failed = getaddrinfo(parts.host[0] ? parts.host : NULL, parts.port, &hints, &list);
	if (failed) {
		snprintf(ret_why, 256, "%s: %s", address, gai_strerror(failed));
		return ERR_INVALID;
	}
	for (const struct addrinfo *at = list; at && fd < 0; at = at->ai_next)
		fd = open_one(at);
	if (fd < 0 || print_bound(fd, ret_bound) != 0) {
		snprintf(ret_why, 256, "%s: %s", address, err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}));
		if (fd >= 0)
			close(fd);
		freeaddrinfo(list);
		return ERR_SYSTEM;
	}
	freeaddrinfo(list);
	*ret_fd = fd;
	return 0;
}

/* An integer option of a socket; -1: it has none, or it is no socket. */
static int number_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool is_listening_tcp(int fd)
{
	const int domain = number_of(fd, SO_DOMAIN);

	return (domain == AF_INET || domain == AF_INET6) && number_of(fd, SO_TYPE) == SOCK_STREAM &&
	       number_of(fd, SO_PROTOCOL) == IPPROTO_TCP && number_of(fd, SO_ACCEPTCONN) == 1;
}

int listener_adopt(int fd, char ret_bound[LISTENER_ADDRESS_SIZE], char ret_why[256])
{
	int on = 1;

	if (!is_listening_tcp(fd)) {
		snprintf(ret_why, 256, "descriptor %d was handed over, but is no listening TCP socket", fd);
		return ERR_INVALID;
	}
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 || print_bound(fd, ret_bound) != 0) {
		snprintf(
			ret_why, 256, "descriptor %d: %s", fd, err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0}));
		return ERR_SYSTEM;
	}
	return 0;
}
