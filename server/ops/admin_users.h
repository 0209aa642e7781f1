/*
 * Accounts, for administrators: search by the beginning of name or address, page by "before"/"next", create, disable, enable, delete,
 * revoke sessions, require a reset, invite.
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_USERS_H
#define TOKENFIRST_SERVER_OPS_ADMIN_USERS_H

#include "server/http/route.h"

/* GET /admin/users?search=&limit=&after= */
void admin_users_list(struct exchange *x, struct request_thread *thread);
/* POST /admin/users {"username","email","password"?,"admin"?}: without a password a reset link is mailed */
void admin_users_create(struct exchange *x, struct request_thread *thread);
/* GET /admin/users/{id} */
void admin_users_show(struct exchange *x, struct request_thread *thread);
/* DELETE /admin/users/{id} */
void admin_users_delete(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/disable */
void admin_users_disable(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/enable */
void admin_users_enable(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/revoke: its sessions */
void admin_users_revoke(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/require-reset */
void admin_users_require_reset(struct exchange *x, struct request_thread *thread);
/* POST /admin/invitations {"email"} */
void admin_invitations_create(struct exchange *x, struct request_thread *thread);

#endif
