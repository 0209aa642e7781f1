/*
 * What stands between the two steps of a login: base64url(user id ‖ time of its end ‖ credentials number ‖
 * HMAC-SHA-512-256 of these), numbers big-endian, under SECRET_LOGIN. It says that the password was right, and opens
 * nothing by itself. No row is kept of it.
 */
#ifndef TOKENFIRST_SERVER_TOKEN_MFA_TOKEN_H
#define TOKENFIRST_SERVER_TOKEN_MFA_TOKEN_H

#include <stdint.h>

#include "config/err.h"

enum { MFA_TOKEN_SIZE = 76 }; /* base64url of 8 + 8 + 8 + 32 bytes, and the NUL */

struct mfa_claims {
	int64_t user_id;
	int64_t expires_ms;  /* wall, as clock_now_ms */
	int64_t credentials; /* of the account (users.h): any change of them ends the token */
};

void mfa_token_make(const unsigned char secret[32], const struct mfa_claims *claims, char ret_token[MFA_TOKEN_SIZE]);
/* 0 and what it says, or ERR_DENIED: not one of ours, or over. Compares in constant time. */
int mfa_token_read(
	const unsigned char secret[32], const char *token, int64_t now_ms, struct mfa_claims *ret_claims) MUST_CHECK;

#endif
