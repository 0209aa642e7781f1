/*
 * The audit trail: who did what, when, from where. Rows are only ever added, in the same
 * transaction as what they tell of; nothing in this program changes or removes one, and the engine would
 * not let it (db_protect).
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_AUDIT_H
#define TOKENFIRST_BACKGROUND_STORE_AUDIT_H

#include <jansson.h>

#include "background/store/db.h"
#include "config/limits.h"

struct audit_entry {
	const char *type;	/* "user.login", "user.disabled"; never a secret */
	int64_t user_id;	/* whom it is about; 0: nobody known */
	int64_t session_id;	/* 0: none */
	const char *client;	/* address; "" for a command */
	const char *request_id; /* "" for a command */
	int64_t at_ms;		/* wall */
	const char
		*actor; /* who did it: "user", "admin:NAME", "service:NAME", "command", "server"; NULL is "command" */
	const char *detail; /* a JSON object, compact, at most LIMIT_AUDIT_DETAIL bytes, no secret; NULL is "{}" */
};

enum { AUDIT_DETAIL_SIZE = LIMIT_AUDIT_DETAIL + 1, AUDIT_ACTOR_SIZE = 8 + LIMIT_USERNAME + 1 };

/*
 * A detail of an object (taken over; NULL: no memory, and no detail), in ASCII alone: whatever a stranger has put into
 * it, no line of a log or terminal can break on it. One that would be too long is replaced by its size:
 * {"omitted_bytes": 4711}.
 */
void audit_detail(char ret_detail[AUDIT_DETAIL_SIZE], json_t *object);

/* Inside a commit job. ERR_INVALID: a detail that is too long. */
int audit_add(struct db *writer, const struct audit_entry *entry) MUST_CHECK;

#endif
