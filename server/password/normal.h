/*
 * The one form of a password's text: NFKC (UAX #15), which NIST SP 800-63B-4 3.1.1.2 asks for, since one and the same
 * password is other bytes from another keyboard. For comparisons with lists, without regard to case as well.
 *
 * Any thread. Every copy is overwritten before its memory is given back.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_NORMAL_H
#define TOKENFIRST_SERVER_PASSWORD_NORMAL_H

#include <stddef.h>

#include "config/err.h"

enum normal_case { NORMAL_CASE_KEPT, NORMAL_CASE_FOLDED };

struct normal {
	char *text;
	size_t len, room;
};

/*
 * `text` may have up to LIMIT_PASSWORD bytes; NFKC makes at most 24 times as many of them. ERR_INVALID: longer, or no
 * UTF-8; ERR_MEMORY. Compatibility and composition as the Unicode version of libutf8proc has them; characters that it
 * does not know stay.
 */
int normal_make(const char *text, enum normal_case fold, struct normal *ret_normal) MUST_CHECK;
void normal_release(struct normal *normal); /* of zeroes: fine */

#endif
