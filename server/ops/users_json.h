/* Accounts as administrators see them, in JSON: the same members by command line and by /admin/users. Never a hash. */
#ifndef TOKENFIRST_SERVER_OPS_USERS_JSON_H
#define TOKENFIRST_SERVER_OPS_USERS_JSON_H

#include <jansson.h>

#include "server/accounts/users.h"

/* {"id","username","email","admin","disabled","locked","must_reset","failures","created"}. NULL without memory. */
json_t *users_json(const struct user *user);
/*
 * The same with "password" (its scheme), "second_factor" ("none", "pending", "active") and "sessions" (live ones, of
 * the latest LIMIT_SHOWN_SESSIONS).
 */
int users_json_whole(struct db *db, const struct user *user, int64_t now_ms, json_t **ret_json) MUST_CHECK;

#endif
