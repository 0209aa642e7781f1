/*
 * What a link in a mail is about: a row of `links`, made before the mail is, used at most once (background/effects/link.h
 * makes and reads the tokens). Of a signup it holds the account to be, so that no account is there until its address is
 * confirmed and nobody can tell from outside whether one is.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_LINKS_H
#define TOKENFIRST_SERVER_ACCOUNTS_LINKS_H

#include <stdbool.h>

#include "background/effects/link.h"
#include "background/store/db.h"
#include "config/limits.h"
#include "server/password/password.h"

struct link {
	int64_t id;
	char purpose[16];		   /* LINK_… */
	int64_t user_id;		   /* 0: nobody's yet */
	char email[LIMIT_EMAIL + 1];	   /* of a signup or an invitation; else "" */
	char username[LIMIT_USERNAME + 1]; /* of a signup, "" if none was chosen */
	char password[PASSWORD_HASH_SIZE]; /* of a signup: stored form */
	int64_t created_ms, expires_ms, used_ms;
};

/* Writers. links_add sets link->id. */
int links_add(struct db *writer, struct link *link) MUST_CHECK;
/* Uses it up: ERR_STALE if it is used or expired already. */
int links_use(struct db *writer, int64_t id, int64_t now_ms) MUST_CHECK;
/* Uses up all that are open for a user and purpose: an older mail must not undo a newer password. */
int links_void(struct db *writer, int64_t user_id, const char *purpose, int64_t now_ms) MUST_CHECK;

/* ERR_NOT_FOUND; a used or expired one is found, and links_open says so. */
int links_find(struct db *db, int64_t id, struct link *ret_link) MUST_CHECK;
bool links_open(const struct link *link, const char *purpose, int64_t now_ms);

#endif
