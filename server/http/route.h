/*
 * The routes: method and path → handler, and where it runs.
 *
 * The table itself is server/routes.c; this is the matching. A path may have one "{name}"
 * segment. A path that is known with another method gives 405 with Allow; HEAD is answered where GET is.
 */
#ifndef TOKENFIRST_SERVER_HTTP_ROUTE_H
#define TOKENFIRST_SERVER_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "background/store/db.h"
#include "server/http/exchange.h"

struct app; /* server/app.h: what handlers may use; opaque to http/ */

/* What a handler is given besides the exchange: the services, and this thread's read connection (NULL on a loop). */
struct request_thread {
	struct app *app;
	struct db *db;
};

enum crew_kind {
	CREW_LOOP,  /* answered on the loop thread: must never block */
	CREW_LOGIN, /* exchanges that hash a password */
	CREW_OTHER, /* the rest that may block on the store */
	CREW_COUNT
};
const char *crew_text(enum crew_kind crew); /* "loop", "login", "other": metric label */

/* What a route takes: 415 for another type, 411 without Content-Length where a body must be. */
enum body_kind {
	BODY_NONE,	    /* what comes is read and not looked at */
	BODY_JSON,	    /* application/json */
	BODY_JSON_OPTIONAL, /* the same, or nothing at all */
	BODY_FORM,	    /* application/x-www-form-urlencoded (exchange_form), or application/json */
};

struct route {
	const char *method;
	const char *path; /* "/events/{event_id}"; also the metric label */
	enum crew_kind crew;
	enum body_kind body;
	bool ops; /* belongs to ops.listen where that is set */
	void (*handle)(struct exchange *x, struct request_thread *thread);
	/*
	 * For a route with a crew, NULL for most: called on the loop's thread (so without a read connection) once the request is
	 * complete. It answers from memory, or leaves the exchange as it is and returns, and the crew runs `handle`; so an
	 * answer that is known costs no hand-over to another thread and back. It does what a few microseconds suffice for: no
	 * disk, no network, no wait but for locks that are held as shortly. What it answers, `handle` would have answered.
	 */
	void (*at_once)(struct exchange *x, struct request_thread *thread);
};

struct route_match {
	const struct route *route; /* NULL: none; then `allow` says which methods the path has ("" : 404) */
	char allow[64];
	bool ops;	       /* the path, whatever the method, belongs to ops.listen */
	const char *parameter; /* into the path, up to the next '/' or the end; NULL */
	size_t parameter_len;
};

void route_find(
	const struct route *routes, size_t count, const char *method, const char *path, struct route_match *ret_match);

#endif
