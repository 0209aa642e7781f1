/*
 * The audit trail as it is read: the newest first, in the order of time, a page at a time.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_AUDIT_READ_H
#define TOKENFIRST_BACKGROUND_STORE_AUDIT_READ_H

#include <stdbool.h>

#include "background/store/db.h"

/* Which rows. All that is said has to hold; what is 0, false or NULL says nothing. */
struct audit_filter {
	bool of_user;
	int64_t user_id;    /* if of_user; 0: those about nobody known */
	const char *type;   /* "user.login"; "user.*" is all that begins with "user." */
	int64_t since_ms;   /* at this time or later */
	int64_t until_ms;   /* before this one; 0: no end */
	const char *client; /* address */
	const char *request_id;
};

/* Between two rows. All 0: before the newest. */
struct audit_place {
	int64_t at_ms, id;
};
enum { AUDIT_PLACE_SIZE = 42 };
/* As it is handed to a client, and back: "1767323045000-4711". ERR_INVALID: none of those. */
void audit_place_text(const struct audit_place *place, char ret_text[AUDIT_PLACE_SIZE]);
int audit_place_parse(const char *text, struct audit_place *ret_place) MUST_CHECK;

/* A row; texts are valid during the callback only. */
struct audit_row {
	int64_t id, at_ms;
	const char *type;
	int64_t user_id; /* 0: about nobody known */
	const char *user,
		*username; /* its public id and its name now; NULL: nobody known; of a deleted account the name is NULL */
	int64_t session_id;
	const char *client, *request_id, *actor, *detail;
};

/*
 * At most `limit` rows that fit, behind `after`. Looks at LIMIT_AUDIT_LOOK rows at most, by the index of the user, of
 * the type or of time: `ret_next` is where to go on, also after a call that has found few; its id is 0 when that was
 * all. Returns how many it gave; what the callback returns other than 0 ends the walk and, if it is negative, is
 * returned.
 */
int audit_list(struct db *db, const struct audit_filter *filter, const struct audit_place *after, int limit,
	int (*row)(void *arg, const struct audit_row *row), void *arg, struct audit_place *ret_next) MUST_CHECK;

/* How many rows of exactly this type there are since then, counted up to `most`: by index. */
int audit_count(struct db *db, const char *type, int64_t since_ms, int64_t most, int64_t *ret_count) MUST_CHECK;

#endif
