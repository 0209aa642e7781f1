/*
 * The members of an answer that hands tokens over (RFC 6749 5.1), as every flow has them. Written as text: tokens are
 * base64url and dots and the rest are numbers, in none of which JSON escapes anything, and rendering them by a tree of
 * values took as long as all else of a refresh but its signature.
 */
#ifndef TOKENFIRST_SERVER_AUTH_TOKEN_ANSWER_H
#define TOKENFIRST_SERVER_AUTH_TOKEN_ANSWER_H

#include <stdint.h>

#include "config/buf.h"

struct token_answer {
	const char *access_token;
	const char *refresh_token; /* NULL: a cookie has it */
	int64_t expires_in_s, refresh_expires_in_s;
};

/* Begins the object and leaves it open: the caller appends more members, or the brace. */
void token_answer_begin(struct buf *out, const struct token_answer *answer);

#endif
