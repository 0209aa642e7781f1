/*
 * What libmicrohttpd lets through and must not reach a handler. It parses leniently, in strict mode too:
 * Content-Length beside Transfer-Encoding, two of either, a name with a space before the colon, any
 * transfer coding, NUL in a path. Two parties that read such a message differently see different requests on one
 * connection (request smuggling, RFC 9112 11.2), so all of it is refused and the connection closed.
 *
 * Pure: no I/O, no state. Any thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_GUARD_H
#define TOKENFIRST_SERVER_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A header line as it was parsed. Texts end with a NUL that is not counted. */
struct guard_header {
	const char *name;
	size_t name_len;
	const char *value;
	size_t value_len;
};

struct guard_verdict {
	int status;	  /* 0: go on; else the answer, and the connection is closed after it */
	const char *code; /* static texts for the problem */
	const char *detail;
};

/* What the guard learned of the body, valid when its verdict is to go on. */
struct guard_body {
	bool has_length;
	int64_t length; /* 0 without Content-Length */
	bool chunked;
};

/*
 * The request target as it was sent, before it is unescaped. 414: the path is longer than LIMIT_HTTP_PATH. 400: not
 * in origin form ("/path?query"), a byte that a URI can't have, a broken or control-byte escape in the
 * path, an escaped NUL in the query.
 */
struct guard_verdict guard_target(const char *target);

/* 501 for a method that this server does not know. */
struct guard_verdict guard_method(const char *method);

/*
 * 431: more than LIMIT_HTTP_HEADERS lines. 400: a name that is no token (RFC 9110 5.6.2), a control byte in
 * a value, other than one Host, more than one Content-Length or Transfer-Encoding, both together, any
 * Transfer-Encoding but "chunked", a Content-Length that is no plain number. `ret_body` is set when the verdict is to
 * go on.
 */
struct guard_verdict guard_headers(const struct guard_header *headers, size_t count, struct guard_body *ret_body);

/*
 * Whether the lines lie one after the other as they were received, with nothing but line ends between them, up to `end`
 * where the parser took the head to end. Finds a value that was cut at a NUL, a name that was glued together from a
 * folded line (RFC 9112 5.2), and a line with an empty name, which libmicrohttpd 0.9.75 takes for the end of
 * the head. What it can't tell is such a line with nothing in it but mixed line ends (CR LF, colon, LF), and a NUL right before
 * an LF: it looks like the CR that would stand there, in the empty line as well. The texts must be in the buffer that they were
 * received in.
 */
bool guard_lines_intact(const struct guard_header *headers, size_t count, const char *end);

/*
 * The same for the request line, whose parts lie in the same buffer: finds one that was cut at a NUL ("/me", NUL, "x").
 * `target` has the length that it was received with; `next` is where the first header line begins.
 */
bool guard_request_line_intact(
	const char *method, const char *target, size_t target_len, const char *version, const char *next);

/* The media type is application/json, with or without parameters. `value` NULL: it is not. */
bool guard_is_json(const char *value);
/* The same for application/x-www-form-urlencoded. */
bool guard_is_form(const char *value);

/* Whether a request id can be taken over: 1 to LIMIT_REQUEST_ID of [A-Za-z0-9._-]. NULL: no. */
bool guard_request_id(const char *value);

/* A token of RFC 9110 5.6.2; a field value without control bytes. */
bool guard_is_token(const char *text, size_t len);
bool guard_is_field_value(const char *text, size_t len);

#endif
