/*
 * A listening socket on 127.0.0.1 whose connections are each served by a function on a thread of
 * their own: straight-line code that may stall, drip or reset without holding up the others.
 *
 * links_stop ends every wait of these functions (link_read, link_write and link_sleep fail from then on), joins all
 * threads and closes all sockets: nothing remains.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_LINKS_H
#define TOKENFIRST_TESTS_SUPPORT_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LINKS_MAX = 512 }; /* connections served at once; more are reset */

struct links;
struct link; /* one connection, seen from the function that serves it */

/* Calls serve(arg, link) per connection; the socket is closed when it returns. Never NULL. */
struct links *links_start(void (*serve)(void *arg, struct link *link), void *arg);
int links_port(const struct links *links);
int64_t links_connections(struct links *links); /* accepted so far; any thread */
void links_stop(struct links *links);		/* NULL is fine; frees */

/* Bytes read, 0 at the peer's end, -1 when broken or stopping. */
ssize_t link_read(struct link *link, void *bytes, size_t size);
/* All of it, or false. */
bool link_write(struct link *link, const void *bytes, size_t len);
/* False: stopping. */
bool link_sleep(struct link *link, int64_t ms);
/* Until the peer closes or links_stop; what comes is thrown away. */
void link_linger(struct link *link);
/* The end of what we say, in good order; what comes after that is thrown away until the peer closes, or links_stop. */
void link_finish(struct link *link);
/* The connection will end with a reset and not in good order. */
void link_reset(struct link *link);

#endif
