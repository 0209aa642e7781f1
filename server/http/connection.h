/*
 * A client's connection: made by the acceptor, then owned by one loop until it is closed.
 *
 * A connection is under at most one deadline at a time: for the headers (on keep-alive from the end of the previous
 * exchange), for the body, for sending the answer. Each kind has the same length for every connection, so a list in
 * order of arming is in order of expiry: arming, disarming and asking for the nearest take constant time.
 * While an exchange waits for its crew there is none; the crew has a deadline of its own.
 */
#ifndef TOKENFIRST_SERVER_HTTP_CONNECTION_H
#define TOKENFIRST_SERVER_HTTP_CONNECTION_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/err.h"

struct exchange;

enum deadline { DEADLINE_HEADER, DEADLINE_BODY, DEADLINE_REPLY, DEADLINE_COUNT, DEADLINE_NONE = DEADLINE_COUNT };
const char *deadline_text(enum deadline deadline); /* "header_deadline": reason in tokenfirst_shed_total */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct connection {
	/* constant */
	int fd;			       /* closed by libmicrohttpd once it has been added there */
	bool ops;		       /* came by ops.listen */
	char client[INET6_ADDRSTRLEN]; /* numeric, without port; an IPv4 client of an IPv6 socket as IPv4 */
	union address address;
	socklen_t address_len;

	atomic_bool gone; /* the client has closed its side; set by the loop, read by any thread */

	/* of the loop's thread */
	struct exchange *exchange; /* under way; NULL between two */
	uint64_t requests;	   /* begun so far */
	enum deadline deadline;
	int64_t due_us;
	TAILQ_ENTRY(connection) due;  /* of the list of its deadline */
	TAILQ_ENTRY(connection) open; /* of all connections of its loop */

	STAILQ_ENTRY(connection) offered; /* on its way from the acceptor to a loop */
};

TAILQ_HEAD(connection_list, connection);
STAILQ_HEAD(connection_queue, connection);

/* Does not own `fd` before it has been handed to a loop. */
int connection_new(int fd, const union address *address, socklen_t len, bool ops, struct connection **ret) MUST_CHECK;
void connection_free(struct connection *c); /* leaves the socket alone; NULL is fine */

struct deadlines {
	int64_t length_us[DEADLINE_COUNT];
	struct connection_list armed[DEADLINE_COUNT]; /* nearest first */
};

void deadlines_init(struct deadlines *d, int64_t header_ms, int64_t body_ms, int64_t reply_ms);
/* Replaces the deadline that the connection is under; DEADLINE_NONE takes it away. */
void deadlines_arm(struct deadlines *d, struct connection *c, enum deadline deadline, int64_t now_us);
/* When the deadline that the connection is under was armed. */
int64_t deadlines_armed_us(const struct deadlines *d, const struct connection *c);
/* When the nearest one is, INT64_MAX: never. */
int64_t deadlines_nearest_us(const struct deadlines *d);
/* Takes one expired deadline away and says which it was; NULL: none has expired. */
struct connection *deadlines_expire(struct deadlines *d, int64_t now_us, enum deadline *ret_deadline);

#endif
