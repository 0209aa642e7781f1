/*
 * POST /signup {"email","password","username"?}, or with {"invite_token","password","username"?}; POST /email/verify
 * {"token","password"?,"username"?}.
 *
 * /signup with an address always answers 202 with X-Event-Id, in the same time whether there is an account or not: what came of it is
 * told by mail to the address alone. The account is made when the link of that mail is used (links.h). Invited addresses are
 * proven, so an invitation makes the account at once: 201, as /email/verify.
 *
 * signup.mode holds when the account is made, whatever it was when the mail was sent: `invite` and `closed` also refuse the links of
 * earlier signups, and `closed` invitations. They stay good, should the mode change back.
 *
 * Anybody can sign up with anybody's address, and a password of his own; were the owner to follow that mail's link, he would share the
 * account with a stranger (https://www.microsoft.com/en-us/research/publication/pre-hijacked-accounts/). So a password that
 * comes with the link takes the place of the one that was signed up with, and the page that links lead to asks for one. Other clients
 * should; without one, the first holds.
 *
 * Whoever chooses no username is given one. Several signups for an address are possible side by side; the first link that is used
 * makes the account, and voids the others.
 */
#ifndef TOKENFIRST_SERVER_AUTH_SIGNUP_H
#define TOKENFIRST_SERVER_AUTH_SIGNUP_H

#include "server/http/route.h"

/*
 * 202 {"event_id"}, or 201 {"user":{…},"event_id"} for an invitation; 400 malformed, password_refused, link_invalid; 403 signup_closed,
 * signup_invited_only; 409 username_taken (invitations: the link stays good for another name); 429.
 */
void signup(struct exchange *x, struct request_thread *thread);
/* 201 {"user":{…},"event_id"}; 400 malformed, password_refused (the link stays good), link_invalid; 403 as above; 409 username_taken: the link stays good; 429 */
void email_verify(struct exchange *x, struct request_thread *thread);

#endif
