/*
 * Listening sockets that a service manager binds, keeps open over restarts and hands over: sd_listen_fds(3). They are
 * descriptors from 3 on; LISTEN_FDS says how many, LISTEN_PID which process is meant, LISTEN_FDNAMES, where it is set,
 * their names with colons between. While no server runs, the kernel queues what connects; nobody is refused.
 */
#ifndef TOKENFIRST_SERVER_HTTP_INHERITED_H
#define TOKENFIRST_SERVER_HTTP_INHERITED_H

#include "config/err.h"

struct inherited {
	int main_fd; /* -1: none */
	int ops_fd;  /* the one with the name "ops"; -1: none */
};

/*
 * ERR_INVALID: there are sockets for which there is no use, and who connects to those would wait for ever; or the
 * variables make no sense. Then `ret_why` says so. Without LISTEN_PID, or with that of another process, there are none.
 * `environment` as in environ(7); NULL: empty.
 */
int inherited_find(char *const *environment, struct inherited *ret, char ret_why[256]) MUST_CHECK;

#endif
