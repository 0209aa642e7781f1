/*
 * A listening TCP socket by its text: "127.0.0.1:8080", "[::1]:0", ":8080" for every address.
 */
#ifndef TOKENFIRST_SERVER_HTTP_LISTENER_H
#define TOKENFIRST_SERVER_HTTP_LISTENER_H

#include "config/err.h"

enum { LISTENER_ADDRESS_SIZE = 72 }; /* "[", INET6_ADDRSTRLEN with a scope, "]:", a port */

/*
 * Non-blocking, close-on-exec; what it accepts has TCP_NODELAY. ERR_INVALID or ERR_SYSTEM, then `ret_why` says what is
 * wrong ("127.0.0.1:80: Permission denied"). `ret_bound`: the address with the port that was bound.
 */
int listener_open(
	const char *address, int *ret_fd, char ret_bound[LISTENER_ADDRESS_SIZE], char ret_why[256]) MUST_CHECK;

/*
 * A socket that another process has bound and listens on: made non-blocking and close-on-exec; what it accepts has
 * TCP_NODELAY. ERR_INVALID: it is no listening TCP socket; ERR_SYSTEM; then `ret_why` says so and `fd` stays as it was.
 */
int listener_adopt(int fd, char ret_bound[LISTENER_ADDRESS_SIZE], char ret_why[256]) MUST_CHECK;

#endif
