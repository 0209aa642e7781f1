/*
 * What can be asked of a store from outside the server's HTTP: accounts and effects.
 *
 * A command is a function of a transaction and its arguments. The running server runs it within a commit job
 * (control.h), or `tokenfirst user …` runs it itself when it owns the store: the same function either way, so it
 * may use nothing but the database. Where a running server has more to do than to change rows, the command has a second
 * function for that, of its services.
 */
#ifndef TOKENFIRST_SERVER_OPS_COMMAND_H
#define TOKENFIRST_SERVER_OPS_COMMAND_H

#include <jansson.h>

#include "background/store/db.h"

struct app;

struct command {
	const char *name;
	/*
	 * 0 and a new reference to an object for the reply, or an error, upon which the caller undoes all of it. NULL: only a
	 * running server can tell.
	 */
	int (*run)(struct db *writer, const json_t *arguments, json_t **ret_reply);
	/* In a running server, in place of `run`; returns when it is durable. NULL: `run` is all. */
	int (*live)(struct app *app, const json_t *arguments, json_t **ret_reply);
};

/* For user.* see user_command.h and import_command.h, for keys.* keys_command.h, for user.revoke_all revoke_all.h, for effects.* effects_command.h. */
const struct command *command_find(const char *name); /* NULL: no such command */

#endif
