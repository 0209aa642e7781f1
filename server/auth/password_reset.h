/*
 * A forgotten password. POST /password/forgot {"email"} or {"username"}: 202 with X-Event-Id, whatever there is. POST
 * /password/reset {"token","password"}: a new password by the mail's link; every session ends, the lock opens, and a
 * mail tells the owner.
 *
 * A mail is sent for an account that has an address and is not disabled; a locked one is, for this is its way back. Of
 * anything else nothing is to be seen, neither in the answer nor in its time. Links asked for earlier stay good until
 * one of them is used or they are too old: if a new one voided them, any stranger could spoil the link that somebody is
 * about to open. throttle.mail.per_hour bounds their number.
 *
 * A reset logs nobody in and takes away no second factor: whoever reads the mail has shown one factor, not two. The
 * password of before may be chosen again.
 */
#ifndef TOKENFIRST_SERVER_AUTH_PASSWORD_RESET_H
#define TOKENFIRST_SERVER_AUTH_PASSWORD_RESET_H

#include "server/http/route.h"

/* 202 {"event_id"}; 400 malformed, 429 */
void password_forgot(struct exchange *x, struct request_thread *thread);
/* 200 {"event_id"}; 400 malformed, link_invalid or password_refused (the link stays good), 429 */
void password_reset(struct exchange *x, struct request_thread *thread);

#endif
