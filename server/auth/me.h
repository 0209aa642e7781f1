/* GET /me: the account behind an access token, and whether a second factor guards it ("totp"). */
#ifndef TOKENFIRST_SERVER_AUTH_ME_H
#define TOKENFIRST_SERVER_AUTH_ME_H

#include "server/http/route.h"

void me(struct exchange *x, struct request_thread *thread);

#endif
