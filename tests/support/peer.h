/*
 * A scripted HTTP receiver for tests, which does well or badly exactly as told, and remembers what it got.
 *
 *   struct peer *peer = peer_start((struct peer_step[]){{.status = 500}, {.status = 200}}, 2);
 *   … peer_url(peer, "/hook", url) …
 *   cr_assert(peer_wait(peer, 2, 5000));
 *   const struct peer_request *first = peer_request(peer, 0);
 *
 * Step i is for the i-th request, whatever connection it comes on; the last step repeats for ever.
 * A step with `before_request` acts on a connection as soon as it is accepted and stands for one connection.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_PEER_H
#define TOKENFIRST_TESTS_SUPPORT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PEER_STEPS = 64,       /* of one script */
	PEER_REQUESTS = 20000, /* remembered; later ones are counted only */
	PEER_TEXT = 512,       /* bytes of a step's headers; of a URL */
};

enum peer_action {
	PEER_REPLY,	   /* a well-formed reply */
	PEER_RESET,	   /* the connection is reset (SO_LINGER 0) */
	PEER_SILENT,	   /* never an answer, until the client leaves */
	PEER_CLOSE,	   /* closes in good order, without a byte */
	PEER_DRIP_HEADERS, /* one byte of the head per `interval_ms`, without end */
	PEER_DRIP_BODY,	   /* a head at once, then one byte of the body per `interval_ms`, without end */
	PEER_ENDLESS_BODY, /* a head at once, then body as fast as it is read, without end */
	PEER_CUT_BODY,	   /* promises 1,000 bytes more than it sends, then closes */
	PEER_EXCESS_BODY,  /* sends more than its Content-Length says, and keeps the connection */
	PEER_GARBAGE,	   /* bytes that are no HTTP, then closes */
};

/* Texts must outlive the peer; string literals do. */
struct peer_step {
	enum peer_action action;
	int status;	     /* 0: 200 */
	const char *headers; /* more header lines, each with CR LF: "Retry-After: 2\r\n"; NULL: none */
	const char *body;    /* NULL: "{}" */
	int64_t delay_ms;    /* before the action */
	int64_t interval_ms; /* of a drip; 0: 100 */
	bool close;	     /* a reply with "Connection: close" */
	bool before_request; /* at accept: for PEER_RESET, PEER_SILENT, PEER_CLOSE */
};

struct peer_request {
	char *method;
	char *path;
	char *head; /* start line and headers as they came */
	char *body; /* chunks undone, NUL-terminated */
	size_t body_len;
	int64_t arrived_us;  /* CLOCK_MONOTONIC, when its last byte was read */
	int64_t connection;  /* number of the connection it came on, from 1 */
	int64_t answered_us; /* when the step was done with it; 0: not yet */
};

struct peer;

/* On 127.0.0.1, any port. `count` 0: always 200. Never NULL. */
struct peer *peer_start(const struct peer_step *steps, size_t count);
void peer_stop(struct peer *peer); /* NULL is fine; frees, with all requests */

/* A new script from the next request on; counting starts again at its first step. */
void peer_script(struct peer *peer, const struct peer_step *steps, size_t count);

int peer_port(const struct peer *peer);
/* "http://127.0.0.1:PORT/path"; gives `url` back. */
const char *peer_url(const struct peer *peer, const char *path, char url[PEER_TEXT]);

/* Any thread. */
size_t peer_count(struct peer *peer);
int64_t peer_connections(struct peer *peer);
/* Whether `count` requests came before the deadline. */
bool peer_wait(struct peer *peer, size_t count, int64_t deadline_ms);
/* A copy of the request's record; its texts live until peer_stop. Fails when there is none such. */
struct peer_request peer_request(struct peer *peer, size_t index);
/* The value of a header, copied; "" if there is none. */
const char *peer_header(const struct peer_request *request, const char *name, char value[PEER_TEXT]);

#endif
