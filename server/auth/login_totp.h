/*
 * POST /login/totp: the second step of a login, for accounts with a second factor.
 *
 * The first step (login.c) answers {"mfa_required":true,"mfa_token","expires_in"}. The token (mfa_token.h) is stateless
 * and ends with totp.login_ttl or any change of the account's credentials. It says that the password was right, and no
 * more: it is not used up, but each login by it takes a code of its own, since a code counts once (totp.h). The code is
 * an authenticator's, or a recovery code, whose use is an event of its own beside the login's; guesses are limited as
 * those at passwords are.
 *
 * 200 as /login; 400; 401 invalid_mfa_token: the token is none of ours, or over, or the account is not any more what it
 * was, whatever the code; 401 invalid_code; 403 password_reset_required; 429; 502; 503
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGIN_TOTP_H
#define TOKENFIRST_SERVER_AUTH_LOGIN_TOTP_H

#include "server/http/route.h"

#include "server/accounts/users.h"

/* Answers the first step, whose password was right. */
void login_totp_offer(struct exchange *x, struct app *app, const struct user *user);

void login_totp(struct exchange *x, struct request_thread *thread);

#endif
