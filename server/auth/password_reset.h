/*
 * A forgotten password. POST /password/forgot {"email"} or {"username"}: 202 with X-Event-Id, whatever there is. POST /password/reset
 * {"token","password"}: a new password by the mail's link; every session ends, the lock opens, and a mail tells the owner.
 */
#ifndef TOKENFIRST_SERVER_AUTH_PASSWORD_RESET_H
#define TOKENFIRST_SERVER_AUTH_PASSWORD_RESET_H

#include "server/http/route.h"

/* 202; 400, 429 */
void password_forgot(struct exchange *x, struct request_thread *thread);
/* 200 {"event_id"}; 400 link_invalid or a password that may not be chosen */
void password_reset(struct exchange *x, struct request_thread *thread);

#endif
