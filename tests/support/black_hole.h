/*
 * A DNS server that never answers, for one child process only: in a mount namespace of its own, the child sees an
 * /etc/resolv.conf that names a loopback address where our socket swallows every query, and an
 * /etc/nsswitch.conf that asks the hosts file and then DNS. Names in /etc/hosts still resolve.
 *
 * Needs the right to unshare a mount namespace and to bind UDP port 53: root, in most places.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_BLACK_HOLE_H
#define TOKENFIRST_TESTS_SUPPORT_BLACK_HOLE_H

#include <stdbool.h>
#include <stddef.h>

struct black_hole;

/* Whether it works here, by doing it; tests that need it skip otherwise, with a message. */
bool black_hole_possible(void);

/* Writes its files into `folder`. NULL: the port can't be bound, or the files can't be written. */
struct black_hole *black_hole_open(const char *folder);
/* In a forked child, before exec (async-signal-safe). 0 or -1 and errno. */
int black_hole_enter(const struct black_hole *hole);
/* From now on every query is answered, by a thread: there is no such name (RFC 1035 4.1.1, RCODE 3). Once. */
void black_hole_refuse(struct black_hole *hole);
/* Queries swallowed, or refused, since the last call: shows that the child really asked. */
size_t black_hole_queries(struct black_hole *hole);
void black_hole_close(struct black_hole *hole); /* NULL is fine */

#endif
