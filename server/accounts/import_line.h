/*
 * One line of an import: a JSON object that says all of one account.
 *
 *   {"username":"alice","email":"alice@example.com","password_hash":"$2b$12$…","admin":false,"disabled":false}
 *
 * `username` and `password_hash` must be there, the others need not. Unknown members are errors. Pure; any thread.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_IMPORT_LINE_H
#define TOKENFIRST_SERVER_ACCOUNTS_IMPORT_LINE_H

#include <stddef.h>

#include "server/accounts/users.h"
#include "server/password/stored.h"

enum { IMPORT_WHY = 128 };

/*
 * `line` without its end. The hash is of a kind and a cost that can be checked (stored.h). ERR_INVALID: what is wrong,
 * in words that hold nothing of the line but the names of its members, so that no hash gets into a message. ERR_MEMORY.
 */
int import_line_read(const char *line, size_t len, const struct stored_rules *rules, struct user *ret_user,
	char ret_why[IMPORT_WHY]) MUST_CHECK;

#endif
