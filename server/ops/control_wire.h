/*
 * A line of JSON through a non-blocking AF_UNIX socket, with a deadline. Private to control.c and control_client.c.
 */
#ifndef TOKENFIRST_SERVER_OPS_CONTROL_WIRE_H
#define TOKENFIRST_SERVER_OPS_CONTROL_WIRE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/un.h>

#include "config/err.h"

/* ERR_LIMIT: the path does not fit. */
int control_address(const char *path, struct sockaddr_un *ret_address) MUST_CHECK;

/*
 * An object from one line. `stop` is a descriptor that ends the wait once it is readable, -1: none. ERR_TIMEOUT,
 * ERR_CLOSED (the peer has left in mid-line, or `stop`), ERR_LIMIT, ERR_INVALID, ERR_SYSTEM, ERR_MEMORY.
 */
int control_read(int fd, int stop, int64_t deadline_us, json_t **ret_object) MUST_CHECK;
int control_write(int fd, int stop, int64_t deadline_us, const json_t *object) MUST_CHECK;

#endif
