/*
 * An import of accounts (server/accounts/import.h) as commands (command.h): any number of additions, then one that
 * makes accounts of them.
 *
 *   user.import_add     {"import", "users":[{"line", "username", "email" ("": none), "password", "admin", "disabled"} …]}   {"rows"}
 *   user.import_finish  {"import", "count"}     {"rows"}   ERR_EXISTS: a name or an address is taken; ERR_STALE: not all rows are there
 *   user.import_forget  {"import" ("": any)}    {"rows"}   as many as one command removes; 0: none are left
 *
 * Each reply has "part" as well: true for all but the finish. "password" is a stored form. Finishing writes one audit
 * row, user.imported, with the number of accounts in its detail.
 */
#ifndef TOKENFIRST_SERVER_OPS_IMPORT_COMMAND_H
#define TOKENFIRST_SERVER_OPS_IMPORT_COMMAND_H

#include <jansson.h>

#include "background/store/db.h"

int import_command_add(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int import_command_finish(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int import_command_forget(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;

#endif
