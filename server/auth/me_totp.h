/*
 * A user's own second factor: begun with the password, in force once a code has shown that the authenticator has the secret, and taken away
 * with both the password and a code: who has a session and has seen a password must not get rid of what stands in his way.
 *
 * A wrong password or code is 403 wrong_password or wrong_code, limited and counted as at a login. 401: the session, or
 * the account's credentials, ended meanwhile.
 */
#ifndef TOKENFIRST_SERVER_AUTH_ME_TOTP_H
#define TOKENFIRST_SERVER_AUTH_ME_TOTP_H

#include "server/http/route.h"

/*
 * POST /me/totp {"password"}: 200 {"secret","uri"}: not in force until it is confirmed, and so neither an event nor a
 * row of the audit trail. It replaces one that was not confirmed. 409 totp_active: one is in force. The URI is for a QR
 * code: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
 */
void me_totp_begin(struct exchange *x, struct request_thread *thread);
/*
 * POST /me/totp/confirm {"code"}: 200 {"recovery_codes":[…],"revoked":N,"event_id"}: in force. The codes are shown this
 * once. All other sessions of the user have ended, N of them (ASVS 7.4.3), and so have logins under way that knew the
 * password alone. 409 totp_not_pending, totp_active
 */
void me_totp_confirm(struct exchange *x, struct request_thread *thread);
/*
 * DELETE /me/totp {"password","code"} (ASVS 5.0 7.5.1): 200 {"event_id"}; a recovery code is a code. Who has lost those too is the operator's to help
 * (`user totp-remove`; 6.4.4). 409 totp_not_active
 */
void me_totp_remove(struct exchange *x, struct request_thread *thread);

#endif
