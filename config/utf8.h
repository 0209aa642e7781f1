/*
 * UTF-8 by RFC 3629 4: no surrogates, no overlong forms, nothing above U+10FFFF. Texts end in NUL.
 */
#ifndef TOKENFIRST_CONFIG_UTF8_H
#define TOKENFIRST_CONFIG_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that the text begins with, 1 to 4; 0: it begins with none, or is at its end. */
size_t utf8_character(const char *text);

bool utf8_valid(const char *text);

/* Characters of a valid text. */
size_t utf8_count(const char *text);

/*
 * Puts a '?' in the place of every byte that belongs to no character: for what a stranger said and people are to read.
 */
void utf8_mend(char *text);

#endif
