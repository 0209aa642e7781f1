/*
 * HTTP/1.1 framing for test peers: where a message ends, what a header says.
 *
 * Only for peers of ours that must misbehave on demand, or be so cheap that they don't disturb
 * a measurement. Lenient on purpose: what the program under test sends is judged by tests that look at it, and by
 * real servers. "Expect: 100-continue" is not answered; libcurl goes on by itself after a second.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_WIRE_H
#define TOKENFIRST_TESTS_SUPPORT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	WIRE_HEAD_MAX = 64 << 10, /* bytes of start line and headers; longer is not HTTP to us */
	WIRE_BODY_MAX = 16 << 20, /* bytes of a framed body; the same */
};

enum wire_kind { WIRE_REQUEST, WIRE_REPLY };

struct wire_frame {
	size_t head_len;  /* start line, headers and the empty line */
	size_t total_len; /* the whole message as framed */
	int status;	  /* of a reply */
	bool chunked;
	bool close; /* "Connection: close" */
};

/* 1: a whole message stands at the start of `bytes`; 0: more bytes are needed; -1: this is no HTTP. */
int wire_frame(const char *bytes, size_t len, enum wire_kind kind, struct wire_frame *ret_frame);

/* The value of the first header of that name (any case), without surrounding blanks; NULL: none. */
const char *wire_header(const char *head, size_t head_len, const char *name, size_t *ret_len);

/* Takes the framing off a whole chunked body, in place; returns its length. */
size_t wire_unchunk(char *body, size_t len);

#endif
