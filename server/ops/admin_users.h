/*
 * Accounts, for administrators. Whatever changes one is a unit of work (user_change.h): audited as "admin:NAME", answered with
 * X-Event-Id, told to the owner by the effects of its event.
 *
 * 404 user_not_found: of the id, which is the public one; 409 own_account: nobody disables or deletes the account that is used
 * to ask for it.
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_USERS_H
#define TOKENFIRST_SERVER_OPS_ADMIN_USERS_H

#include "server/http/route.h"

/*
 * GET /admin/users?search=&limit=&after=: {"users":[…],"next":CURSOR or null} (users_search.h: a page may have few and not be the
 * last). "search" is the beginning of names and addresses.
 */
void admin_users_list(struct exchange *x, struct request_thread *thread);
/*
 * POST /admin/users {"username","email"?,"password"?,"admin"?}: 201 {"user","event_id","reset_event_id"}. Without a password it
 * needs an address, to which a link to set one is mailed (event user.reset_required, whose id "reset_event_id" is, else
 * null). 409 user_exists, 400 password_refused.
 */
void admin_users_create(struct exchange *x, struct request_thread *thread);
/* GET /admin/users/{id}: {"user":{…}}, with what users_json_whole adds */
void admin_users_show(struct exchange *x, struct request_thread *thread);
/* The rest answer 200 {"id","event_id","sessions": how many they have ended}. DELETE /admin/users/{id} */
void admin_users_delete(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/disable */
void admin_users_disable(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/enable */
void admin_users_enable(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/revoke: its sessions */
void admin_users_revoke(struct exchange *x, struct request_thread *thread);
/*
 * POST /admin/sessions/revoke {"all":true}: 200 {"sessions": how many}. Everybody's, that of whoever asks as well, without an event
 * (revoke_all.h). 400 malformed unless "all" is true.
 */
void admin_sessions_revoke(struct exchange *x, struct request_thread *thread);
/* POST /admin/users/{id}/require-reset: 409 no_address where there is none to send a link to */
void admin_users_require_reset(struct exchange *x, struct request_thread *thread);
/*
 * POST /admin/invitations {"email"}: 201 {"email","expires","event_id"}. 409 user_exists, signup_closed (signup.mode)
 */
void admin_invitations_create(struct exchange *x, struct request_thread *thread);

#endif
