/*
 * Which effects an operator means, in the words that commands and /admin/effects share:
 *
 *   {"ids":["01J…-crm"], "effect":"crm", "state":"dead", "cause":"age", "since":"2h", "until":"2026-01-02T03:00:00Z"}
 *
 * All that is said has to hold. An id is that of an effect, or of an event for all of its effects. Times are RFC 3339,
 * a date, or a duration before now, and are about when the event happened.
 */
#ifndef TOKENFIRST_SERVER_OPS_SELECTION_H
#define TOKENFIRST_SERVER_OPS_SELECTION_H

#include <jansson.h>

#include "background/store/outbox_admin.h"

enum {
	SELECTION_IDS = 100, /* in one selection; more is refused */
	SELECTION_WHY = 160
};

struct selection {
	struct outbox_filter filter; /* its texts are the JSON's, but for what selection_next sets */
	const json_t *ids;	     /* NULL: none are named */
	size_t next;
	char event_id[ID_SIZE];
	char effect[LIMIT_TARGET_KEY + 1];
};

/*
 * `fallback`: the state where nothing is said of it, "dead" or "all". The JSON must outlive the selection. ERR_INVALID
 * with `ret_why`: a member that is unknown, or has the wrong form.
 */
int selection_read(const json_t *json, const char *fallback, int64_t now_ms, struct selection *ret_selection,
	char ret_why[SELECTION_WHY]) MUST_CHECK;
/* Whether anything narrows it down: without that it means everything in that state. */
bool selection_narrow(const struct selection *selection);

/* One filter after another, which live in the selection: one for each id, or the one for all. NULL: that was all. */
const struct outbox_filter *selection_next(struct selection *selection);

/* RFC 3339, or a duration before now ("2h"). ERR_INVALID. */
int selection_time(const char *text, int64_t now_ms, int64_t *ret_ms) MUST_CHECK;

#endif
