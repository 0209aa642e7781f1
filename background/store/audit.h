/*
 * The audit trail: who did what, when, from where. Rows are only ever added, in the same
 * transaction as what they tell of; nothing in this program changes or removes one.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_AUDIT_H
#define TOKENFIRST_BACKGROUND_STORE_AUDIT_H

#include "background/store/db.h"

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

/* Inside a commit job. */
int audit_add(struct db *writer, const struct audit_entry *entry) MUST_CHECK;

#endif
