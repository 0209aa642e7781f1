/*
 * Passwords that nobody may choose, from a file: UTF-8, one a line; empty lines and those that begin with # say
 * nothing. They are compared in NFKC and without regard to case. Lines that are longer than any password are passed
 * over.
 *
 * Kept as sorted 64-bit keyed hashes, 8 bytes a line: that another password has the hash of one of a million happens
 * once in 2^44. Constant once loaded: any thread.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_BLOCKLIST_H
#define TOKENFIRST_SERVER_PASSWORD_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

struct blocklist;

/*
 * ERR_SYSTEM: errno says why; ERR_LIMIT: more than LIMIT_BLOCKLIST bytes; ERR_INVALID: `ret_line` is no UTF-8;
 * ERR_MEMORY.
 */
int blocklist_load(const char *path, struct blocklist **ret_blocklist, size_t *ret_line) MUST_CHECK;
void blocklist_free(struct blocklist *blocklist); /* NULL is fine */

/* `folded`: normal, with its case folded (normal.h). */
bool blocklist_has(const struct blocklist *blocklist, const char *folded);

#endif
