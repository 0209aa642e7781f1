/*
 * One unit of work: what a request changes, the audit row that tells of it, its event and the effects that this causes,
 * in one transaction. All of it is durable when work_commit returns 0, and none of it is there when it does not.
 *
 *   struct work work;
 *   work_init(&work, app, &origin);
 *   err = work_plan(&work, "user.password_changed", &user, NULL);
 *   if (!err)
 *           err = work_commit(&work, write_change, &change);
 *   … answer with work_event_id(&work) …
 *   work_release(&work);
 */
#ifndef TOKENFIRST_SERVER_AUTH_WORK_H
#define TOKENFIRST_SERVER_AUTH_WORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "background/delivery/dispatch.h"
#include "background/effects/event.h"
#include "background/store/audit.h"
#include "config/limits.h"
#include "server/accounts/users.h"
#include "server/http/exchange.h"

struct app;

/* Where a request came from, kept beyond its answer. */
enum { USER_AGENT_KEPT = 256 };
struct origin {
	char request_id[LIMIT_REQUEST_ID + 1];
	char client[64];
	char user_agent[USER_AGENT_KEPT + 1]; /* UTF-8, whatever the client sent; "" if none */
	char traceparent[TRACEPARENT_SIZE];
};
void origin_of(struct exchange *x, struct origin *ret_origin);

struct work {
	struct app *app;
	const struct origin *origin; /* borrowed */
	struct event *event;	     /* NULL before work_plan */
	bool planned, committed;     /* its effects have places, and are owed */
	struct dispatch dispatch;
	struct audit_entry audit;	/* the caller may set more of it between plan and commit */
	char detail[AUDIT_DETAIL_SIZE]; /* audit.detail, unless the caller has set another: the client's user agent */
	int (*write)(struct db *writer, void *arg);
	void *arg;
	struct work *joined; /* NULL: none */
};

void work_init(struct work *work, struct app *app, const struct origin *origin);
/*
 * Decides on the effects and makes room for them. `about` is the user, borrowed for this call; of one that is made by
 * this very work, id is 0, and `write` sets event->user_id and audit.user_id. `more` (taken over, NULL: nothing) is an
 * object whose members join "user" and "request" in the event's data: never a secret. ERR_MEMORY.
 */
int work_plan(struct work *work, const char *type, const struct user *about, json_t *more) MUST_CHECK;
/*
 * The same for what happened to nobody (a reset asked for an address that has no account): an event with an id, an
 * audit row, and effects that take the time of real ones until they are skipped (event_about_nobody).
 */
int work_plan_silent(struct work *work, const char *type) MUST_CHECK;
/*
 * `write` runs on the committer's thread within the transaction, before audit row and event; what it returns other than
 * 0 undoes all of it and is returned. NULL: there is nothing to write but those.
 */
int work_commit(struct work *work, int (*write)(struct db *writer, void *arg), void *arg) MUST_CHECK;
/*
 * One request, two events: `other`, planned and with nothing to write but its audit row and event, is committed with
 * `work`, in the same transaction or not at all. Inline effects and release of each are the caller's, as ever. Before
 * work_commit(work).
 */
void work_join(struct work *work, struct work *other);
/* Inline effects, one after another. 0, or ERR_DENIED: one with on_failure reject failed. */
int work_inline(struct work *work) MUST_CHECK;
/* The same after the answer, which nothing can refuse any more: a failure is logged. */
void work_inline_late(struct work *work);
/* Of a planned event. */
const char *work_event_id(const struct work *work);
void work_release(struct work *work); /* at any time after work_init */

#endif
