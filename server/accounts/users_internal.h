/* How a row of `users` is read. Private to users.c and users_search.c. */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_USERS_INTERNAL_H
#define TOKENFIRST_SERVER_ACCOUNTS_USERS_INTERNAL_H

#include "server/accounts/users.h"

/* What users_read expects, from column 0 on. */
#define USERS_COLUMNS                                                                                                  \
	"id, public_id, username, email, password, admin, disabled, created_ms, must_reset, locked_ms, failures, "     \
	"credentials"

int users_read(struct db_statement *s, struct user *ret_user) MUST_CHECK;

#endif
