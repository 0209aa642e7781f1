/*
 * What a link in a mail is about: a row of `links`, made before the mail is, used at most once
 * (background/effects/link.h makes and reads the tokens). Of a signup it holds the account to be, so that no account is
 * there until its address is confirmed and nobody can tell from outside whether one is.
 *
 * An id is drawn at random, 53 bits of it (RFC 7493 2.2: a number that every reader of JSON keeps), so that an event
 * can name a link before it is written, and none is given again: a token of long ago fits no later row, though rows are
 * cleaned away.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_LINKS_H
#define TOKENFIRST_SERVER_ACCOUNTS_LINKS_H

#include <jansson.h>
#include <stdbool.h>

#include "background/effects/link.h"
#include "background/store/db.h"
#include "config/limits.h"
#include "server/password/password.h"

/*
 * Whom a link is for that stands for none: it is used up before it is written, and as long in the writing as one that
 * is not.
 */
enum { LINK_NOBODY = -1 };

struct link {
	int64_t id;
	char purpose[16];		   /* LINK_… */
	int64_t user_id;		   /* 0: nobody's yet */
	char email[LIMIT_EMAIL + 1];	   /* of a signup or an invitation; else "" */
	char username[LIMIT_USERNAME + 1]; /* of a signup, "" if none was chosen */
	char password[PASSWORD_HASH_SIZE]; /* of a signup: stored form */
	int64_t created_ms, expires_ms, used_ms;
};

/* A new one with an id and its times, about nobody yet; nothing is written. */
void links_init(struct link *link, const char *purpose, int64_t ttl_ms, int64_t now_ms);
/* What an event says of it, for work_plan's `more`: {"link": {"id", "purpose", "expires"}}. NULL without memory. */
json_t *links_event(const struct link *link);

/* Writers. */
int links_add(struct db *writer, const struct link *link) MUST_CHECK;
/* Uses it up, and forgets the password that it holds: ERR_STALE if it is used or expired already. */
int links_use(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
/* Uses up all that are open for a user and purpose: an older mail must not undo a newer password. */
int links_void(struct db *writer, int64_t user_id, const char *purpose, int64_t now_ms) MUST_CHECK;
/* The same for those by which an account could be made for an address, compared as accounts are. */
int links_void_address(struct db *writer, const char *email, int64_t now_ms) MUST_CHECK;

/* ERR_NOT_FOUND; a used or expired one is found, and links_open says so. */
int links_find(struct db *db, int64_t id, struct link *ret_link) MUST_CHECK;
bool links_open(const struct link *link, const char *purpose, int64_t now_ms);

#endif
