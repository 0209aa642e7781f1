/*
 * What can be asked of a store from outside the server's HTTP: accounts, and what comes later.
 *
 * A command is a function of a transaction and its arguments. The running server runs it within a commit job
 * (control.h), or `tokenfirst user …` runs it itself when it owns the store: the same function either way, so it
 * may use nothing but the database.
 */
#ifndef TOKENFIRST_SERVER_OPS_COMMAND_H
#define TOKENFIRST_SERVER_OPS_COMMAND_H

#include <jansson.h>

#include "background/store/db.h"

struct command {
	const char *name;
	/* 0 and a new reference to an object for the reply, or an error, upon which the caller undoes all of it. */
	int (*run)(struct db *writer, const json_t *arguments, json_t **ret_reply);
};

/*
 *   user.add      {"username", "email" ("": none), "admin", "password"}   ERR_EXISTS: name or address is taken
 *   user.disable  {"username"}                                            ERR_NOT_FOUND
 *   user.passwd   {"username", "password"}                                ERR_NOT_FOUND
 *
 * Each replies {"id", "username"}. "password" is a hash. ERR_INVALID: an argument breaks its rule.
 */
const struct command *command_find(const char *name); /* NULL: no such command */

#endif
