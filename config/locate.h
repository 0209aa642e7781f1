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
 * The line, from 1, of the key that `path` leads to ("effects.crm.url": members of members of the outermost object;
 * "effects.hooks.urls[1].url": with the second object of a list on the way), or 0 if there is none. A path that ends in
 * such an index leads to where that object begins. `text` is NUL-terminated.
 */
size_t locate_line(const char *text, const char *path);

#endif
