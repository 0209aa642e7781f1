/*
 * Who is asking: the access token of `Authorization: Bearer` (RFC 6750), checked, and the session
 * behind it, which must be live: not revoked, not expired, its user not disabled. Known ones are
 * checked from memory (access.h).
 */
#ifndef TOKENFIRST_SERVER_AUTH_BEARER_H
#define TOKENFIRST_SERVER_AUTH_BEARER_H

#include "server/accounts/sessions.h"
#include "server/accounts/users.h"
#include "server/auth/access.h"
#include "server/http/route.h"

/* The token of `Authorization: Bearer`; NULL: there is none. */
const char *bearer_token(struct exchange *x);
/*
 * 401 with WWW-Authenticate (RFC 6750 3): without a token only the scheme is named, with a bad one also why. `bad` and
 * `missing` are the sentences for people. ERR_DENIED.
 */
int bearer_refuse(struct exchange *x, bool had_token, const char *bad, const char *missing);

/*
 * 0; or ERR_DENIED and the like, and the request has been answered (401 with WWW-Authenticate, 503). ret_owner->admin: an administrator
 * with a token that says so, by whom more may be seen; others are served as the owners that they are.
 */
int bearer_authenticate(struct exchange *x, struct request_thread *thread, struct session_owner *ret_owner) MUST_CHECK;
/* The same with the account, read in the same look-up, and all that the token says: for what is kept (access_keep). */
int bearer_authenticate_account(struct exchange *x, struct request_thread *thread, struct access *ret_access,
	struct session_account *ret_account) MUST_CHECK;
/*
 * The same for administrators: the account must be one's (403 "forbidden" to others), and the token one that a login
 * gave for token.admin_ttl: scope "admin" (403 "insufficient_scope", RFC 6750 3.1, to one from a refresh). `ret_user`
 * is whoever asks, as stored.
 */
int bearer_authenticate_admin(struct exchange *x, struct request_thread *thread, struct user *ret_user) MUST_CHECK;

#endif
