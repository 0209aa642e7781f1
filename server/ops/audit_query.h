/* The audit trail in the words that `tokenfirst audit` and GET /admin/audit share. */
#ifndef TOKENFIRST_SERVER_OPS_AUDIT_QUERY_H
#define TOKENFIRST_SERVER_OPS_AUDIT_QUERY_H

#include <jansson.h>

#include "background/store/audit_read.h"

/* What somebody has said of the rows that are wanted; NULL: nothing. */
struct audit_words {
	const char *user;	   /* an id, also that of a deleted account, or a username */
	const char *type;	   /* "user.login", or "user.*" */
	const char *since, *until; /* selection_time */
	const char *client, *request_id;
	const char *before; /* "next" of another page */
};

enum { AUDIT_QUERY_WHY = 160 };

/*
 * ERR_INVALID with `ret_why`: a word has the wrong form; ERR_NOT_FOUND: there is no such user. The filter borrows the
 * words.
 */
int audit_query(struct db *db, const struct audit_words *words, int64_t now_ms, struct audit_filter *ret_filter,
	struct audit_place *ret_after, char ret_why[AUDIT_QUERY_WHY]) MUST_CHECK;

/*
 * {"id","time","type","user":{"id","username"},"session","client","request_id","actor","detail":{…}}: null for what
 * there is none of. NULL without memory.
 */
json_t *audit_json(const struct audit_row *row);

#endif
