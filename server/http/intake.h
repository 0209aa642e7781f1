/*
 * From the request line to the handler: guard, route, content checks, body, crew. On the loop's thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_INTAKE_H
#define TOKENFIRST_SERVER_HTTP_INTAKE_H

#include "server/http/exchange_internal.h"

enum intake {
	INTAKE_READ,   /* go on reading; the exchange may have its answer already, to be sent after the body */
	INTAKE_ANSWER, /* send the answer that the exchange has */
	INTAKE_WAIT,   /* a crew has the exchange now: do not touch it, suspend the connection */
};

/* The request target as it was sent. */
void intake_target(struct exchange *x, const char *target);

/* A request's head as it was parsed, in the buffer that it was received in. */
struct intake_head {
	const struct guard_header *headers;
	size_t count;
	const char *version; /* of the request line */
	const char *end;
	size_t size; /* bytes */
};

/*
 * All headers are there; method and path are set. INTAKE_ANSWER: refused
 * before the body is read, which ends the connection, since the rest of the request can't be told from the next one.
 */
enum intake intake_headers(struct exchange *x, const struct intake_head *head);

void intake_body(struct exchange *x, const char *bytes, size_t len);

/* The request is complete: INTAKE_ANSWER or INTAKE_WAIT. */
enum intake intake_complete(struct exchange *x);

#endif
