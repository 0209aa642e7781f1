/*
 * On which line a key stands in a JSON text.
 *
 * jansson reads the text but keeps no positions. This finds them afterwards and is no
 * parser: it relies on jansson having accepted the whole text, duplicate keys refused.
 */
#ifndef TOKENFIRST_CONFIG_LOCATE_H
#define TOKENFIRST_CONFIG_LOCATE_H

#include <stddef.h>

/*
 * The line, from 1, of the key that `path` leads to ("effects.crm.url": members of members of the
 * outermost object), or 0 if there is none. `text` is NUL-terminated.
 */
size_t locate_line(const char *text, const char *path);

#endif
