/*
 * A user's own second factor.
 */
#ifndef TOKENFIRST_SERVER_AUTH_ME_TOTP_H
#define TOKENFIRST_SERVER_AUTH_ME_TOTP_H

#include "server/http/route.h"

/* POST /me/totp {"password"}: 200 {"secret","uri"}: not in force until it is confirmed; 409 if one is */
void me_totp_begin(struct exchange *x, struct request_thread *thread);
/* POST /me/totp/confirm {"code"}: 200 {"recovery_codes":[…],"event_id"} */
void me_totp_confirm(struct exchange *x, struct request_thread *thread);
/* DELETE /me/totp {"code"} or {"password"}: 200 {"event_id"} */
void me_totp_remove(struct exchange *x, struct request_thread *thread);

#endif
