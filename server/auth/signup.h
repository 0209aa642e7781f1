/*
 * POST /signup {"email","password","username"?}, or with {"invite_token","password","username"?}; POST /email/verify
 * {"token","username"?}.
 *
 * /signup always answers 202 with X-Event-Id, in the same time whether there is an account or not: what came of it is told
 * by mail to the address alone. The account is made when the link of that mail is used (links.h). Invited addresses are
 * proven, so an invitation makes the account at once.
 */
#ifndef TOKENFIRST_SERVER_AUTH_SIGNUP_H
#define TOKENFIRST_SERVER_AUTH_SIGNUP_H

#include "server/http/route.h"

/* 202; 400 malformed or a password that may not be chosen, 403 signup_closed, 429 */
void signup(struct exchange *x, struct request_thread *thread);
/* 201 {"user":{…}}; 400 link_invalid, 409 username_taken: the link stays good for another name */
void email_verify(struct exchange *x, struct request_thread *thread);

#endif
