/*
 * One pass over the tokens: values off the path are skipped by counting brackets, an
 * object on the path is entered. Keys are decoded by jansson, as they may contain escapes.
 */
#include "config/locate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	const char *at;
	size_t line;
};

/* To the next token: over white space, and over the commas and colons between tokens. */
static void skip_gap(struct cursor *cursor)
{
	for (; *cursor->at && strchr(" \t\r\n,:", *cursor->at); cursor->at++)
		cursor->line += *cursor->at == '\n';
}

/* From one token's first byte past its last: a string, a bracket, or a number or word. */
static void skip_token(struct cursor *cursor)
{
	if (*cursor->at == '"') {
		cursor->at++;
		while (*cursor->at && *cursor->at != '"')
			cursor->at += *cursor->at == '\\' && cursor->at[1] ? 2 : 1;
		cursor->at += *cursor->at == '"';
	} else if (*cursor->at && strchr("{}[]", *cursor->at)) {
		cursor->at++;
	} else {
		cursor->at += strcspn(cursor->at, " \t\r\n,:{}[]\"");
	}
}

static void skip_value(struct cursor *cursor)
{
	size_t depth = 0;

	do {
		skip_gap(cursor);
		if (!*cursor->at)
			return;
		if (*cursor->at == '{' || *cursor->at == '[')
			depth++;
		else if (*cursor->at == '}' || *cursor->at == ']')
			depth--;
		skip_token(cursor);
	} while (depth > 0);
}

/* How many bytes of `path` the key token from `begin` to `end` stands for: 0 unless it is the first part. */
static size_t match(const char *begin, const char *end, const char *path)
{
	json_t *key = json_loadb(begin, (size_t)(end - begin), JSON_DECODE_ANY, NULL);
	size_t len = json_string_length(key);

	if (!len || strncmp(json_string_value(key), path, len) != 0 || (path[len] && !strchr(".[", path[len])))
		len = 0;
	json_decref(key);
	return len;
}

/*
 * From "[1]" of `path` to that item of the list which comes next, at its first byte. What follows the index in the
 * path; NULL: there is no such item.
 */
static const char *enter_list(struct cursor *cursor, const char *path)
{
	char *end = NULL;
	unsigned long index = strtoul(path + 1, &end, 10);

	skip_gap(cursor);
	if (*cursor->at != '[' || *end != ']')
		return NULL;
	skip_token(cursor);
	skip_gap(cursor);
	for (; index && *cursor->at && *cursor->at != ']'; index--) {
		skip_value(cursor);
		skip_gap(cursor);
	}
	return *cursor->at && *cursor->at != ']' ? end + 1 : NULL;
}

size_t locate_line(const char *text, const char *path)
{
	struct cursor cursor = {.at = text, .line = 1};

	skip_gap(&cursor);
	if (*cursor.at != '{')
		return 0;
	skip_token(&cursor);
	for (;;) {
		skip_gap(&cursor);
		const char *key = cursor.at;
		if (*key != '"')
			return 0; /* the end of the object that should hold it */
		skip_token(&cursor);
		size_t len = match(key, cursor.at, path);
		if (len && !path[len])
			return cursor.line;
		if (!len) {
			skip_value(&cursor);
			continue;
		}
		path += len;
		if (*path == '[') {
			path = enter_list(&cursor, path);
			if (!path || !*path)
				return path ? cursor.line : 0;
		}
		path++;
		skip_gap(&cursor);
		if (*cursor.at != '{')
			return 0;
		skip_token(&cursor);
	}
}
