/*
 * Signing keys, as commands (command.h).
 *
 *   keys.rotate  {"at_once", "leaked", "alg", "lead_ms", "ttl_ms"}    {"kid", "alg", "signs", "retires"}     times of RFC 3339
 *
 * ERR_EXISTS: one waits for its lead already (rotation.h). A running server goes by its own configuration in place of
 * the last three, and takes the new key up before it replies.
 */
#ifndef TOKENFIRST_SERVER_OPS_KEYS_COMMAND_H
#define TOKENFIRST_SERVER_OPS_KEYS_COMMAND_H

#include <jansson.h>

#include "background/store/db.h"

struct app;

int keys_rotate_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int keys_rotate_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;

#endif
