/*
 * POST /login/totp: the second step of a login, for accounts with a second factor.
 *
 * The first step (login.c) answers {"mfa_required":true,"mfa_token","expires_in"}. The token is stateless: user id, time of
 * its end and the account's credentials number (users.h) under SECRET_LOGIN, so it ends with any change of the password. The code is an
 * authenticator's, or a recovery code; guesses are limited as passwords are.
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGIN_TOTP_H
#define TOKENFIRST_SERVER_AUTH_LOGIN_TOTP_H

#include "server/http/route.h"

#include "server/accounts/users.h"

/* Answers the first step, whose password was right. */
void login_totp_offer(struct exchange *x, struct app *app, const struct user *user);

void login_totp(struct exchange *x, struct request_thread *thread);

#endif
