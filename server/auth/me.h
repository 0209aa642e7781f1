/* GET /me: the account behind an access token, and whether a second factor guards it ("totp"). */
#ifndef TOKENFIRST_SERVER_AUTH_ME_H
#define TOKENFIRST_SERVER_AUTH_ME_H

#include "server/http/route.h"

void me(struct exchange *x, struct request_thread *thread);
/* The same answer, where it has been given to this token before and is still true; else nothing (route.h). */
void me_at_once(struct exchange *x, struct request_thread *thread);

#endif
