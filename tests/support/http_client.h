/*
 * One HTTP exchange at a time, by libcurl, for tests. Every call is a connection of its own. Any thread.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_HTTP_CLIENT_H
#define TOKENFIRST_TESTS_SUPPORT_HTTP_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_REPLY_MAX = 16 << 20, /* bytes of a body */
	HTTP_HEADER_MAX = 512,	   /* bytes of a header's value */
	HTTP_TIMEOUT_MS = 30000,   /* where a call names none */
};

struct http_call {
	const char *method; /* NULL: GET, or POST with a body */
	const char *url;
	const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
	const char *body;	    /* sent as application/json unless a header says otherwise; NULL: none */
	int64_t timeout_ms;	    /* 0: HTTP_TIMEOUT_MS */
};

struct http_reply {
	int status; /* 0: there was no reply, `failure` says why */
	char *head; /* of the final reply: status line and headers; never NULL */
	char *body; /* NUL-terminated, never NULL */
	size_t body_len;
	json_t *json; /* the body if it is JSON, else NULL; belongs to the reply */
	double ms;    /* of the whole call, connecting included */
	char failure[256];
};

/* http_reply_release is due in any case. */
void http_do(const struct http_call *call, struct http_reply *ret_reply);
void http_reply_release(struct http_reply *reply);
/* The value of a header, copied; "" if there is none. */
const char *http_reply_header(const struct http_reply *reply, const char *name, char value[HTTP_HEADER_MAX]);

/* The JSON member that a path names ("user.id"), NULL: there is none such. */
json_t *http_reply_member(const struct http_reply *reply, const char *path);
/* Its text; "" if it is no string. */
const char *http_reply_text(const struct http_reply *reply, const char *path);

#endif
