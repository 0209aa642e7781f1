/*
 * JSON as it comes in: jansson's reader, made safe for want of memory. And a text on its way out.
 *
 * jansson's lexer (2.14, lex_save in load.c) does not look at whether the buffer of a long string could grow: without memory a character
 * is left out, and what comes back is another text than was sent. So its allocations are watched, and what was read while
 * one of them failed is thrown away.
 *
 * Any thread, after json_text_setup.
 */
#ifndef TOKENFIRST_CONFIG_JSON_TEXT_H
#define TOKENFIRST_CONFIG_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

#include "config/buf.h"
#include "config/err.h"

/* Once, before the first thread and before the first value. What jansson frees is overwritten from then on. */
void json_text_setup(void);

/*
 * One value without duplicate members, and nothing behind it; json_decref it. ERR_INVALID: it is none, and `ret_error` says why
 * (NULL: nobody asks); ERR_MEMORY.
 */
int json_text_read(const char *bytes, size_t len, json_t **ret_json, json_error_t *ret_error) MUST_CHECK;

/*
 * Appends a text as a JSON string, for small objects of known shape that are written too often to be made a tree of
 * first. 0; ERR_INVALID: it is no UTF-8; ERR_MEMORY; ERR_LIMIT. On failure nothing is appended.
 */
int json_text_append(struct buf *out, const char *text) MUST_CHECK;

#endif
