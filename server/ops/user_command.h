/*
 * What is done to accounts, as commands (command.h).
 *
 *   user.add            {"username", "email" ("": none), "admin", "password"}   ERR_EXISTS: name or address is taken
 *   user.passwd         {"username", "password"}
 *   user.disable        {"username"}; likewise user.enable, user.delete, user.revoke (its sessions), user.require_reset,
 *                       user.unlock (after too many failures; a running server forgets their delays, too), user.totp_remove (there need not be a second factor)
 *   user.invite         {"email"}       of a running server only: ERR_EXISTS: the address has an account, ERR_DENIED: signup.mode
 *
 * Each replies {"id", "username"}, and by a running server that made an event of it (user_change.h), "event_id"; user.invite
 * {"email", "expires", "event_id"}. "password" is a hash. ERR_INVALID: an argument breaks its rule. ERR_NOT_FOUND: there is no such account. The
 * audit rows' actor is "command".
 *
 * Without a server nobody is mailed: not the owner that a password was changed, nor the link that user.require_reset is for.
 * user.add makes no event in either case: whoever fills a store by commands tells others of it as suits them.
 */
#ifndef TOKENFIRST_SERVER_OPS_USER_COMMAND_H
#define TOKENFIRST_SERVER_OPS_USER_COMMAND_H

#include <jansson.h>

#include "background/store/db.h"

struct app;

/* For the table of command.c. */
int user_add_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_passwd_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_disable_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_enable_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_delete_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_revoke_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_require_reset_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_totp_remove_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_unlock_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_unlock_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_passwd_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_disable_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_enable_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_delete_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_revoke_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_require_reset_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_totp_remove_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_invite_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;

#endif
