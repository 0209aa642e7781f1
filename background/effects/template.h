/*
 * Mail templates: text with {{name}} in it, replaced by what the event says.
 *
 * A name is a dotted path into the event's data ({{user.username}}, {{request.ip}}), or one of
 * {{event.id}}, {{event.type}}, {{event.subject}}, {{event.time}}. There are no conditions and no loops.
 *
 * In the body of a mail to the user's own address, of an event with a link (link.h), there are {{link.url}},
 * {{link.token}} and {{link.expires}}: nowhere else, for whoever reads them may act for the user.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_TEMPLATE_H
#define TOKENFIRST_BACKGROUND_EFFECTS_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>

#include "background/effects/event.h"
#include "config/buf.h"

enum template_form {
	TEMPLATE_LINE, /* a header: as it is */
	TEMPLATE_TEXT, /* lines end in CR LF */
	TEMPLATE_HTML, /* the same, and values are escaped for use as text and in quoted attributes */
	TEMPLATE_CHAT, /* &, < and > of values are escaped, and their control bytes become spaces */
	TEMPLATE_URL,  /* values are percent-encoded (RFC 3986 2.1), all but the unreserved characters */
};

/* The path <folder>/<event type><suffix>. ERR_NOT_FOUND for a type that would lead elsewhere, ERR_LIMIT. */
enum { TEMPLATE_PATH_SIZE = 4096 };
int template_path(
	const char *folder, const char *event_type, const char *suffix, char ret_path[TEMPLATE_PATH_SIZE]) MUST_CHECK;

/*
 * Reads that file, at most LIMIT_TEMPLATE bytes of UTF-8; free() it. ERR_NOT_FOUND, ERR_LIMIT,
 * ERR_INVALID, ERR_SYSTEM, ERR_MEMORY.
 */
int template_read(const char *folder, const char *event_type, const char *suffix, char **ret_text) MUST_CHECK;

/* Whether the text is one {{name}} and nothing else; the name then, borrowed from it. */
bool template_name(const char *text, const char **ret_name, size_t *ret_len);

/*
 * 0, or ERR_INVALID with "line 3: …" appended to `why`: a {{ without its }}, a name that is none. In a
 * template for an event type of ours ("user.…") the name must also be one that such events have; the
 * data of other types is their sender's. `links`: whether this is a place where a link may be.
 */
int template_check(const char *text, const char *event_type, bool links, struct buf *why) MUST_CHECK;

/*
 * Appends the text with its values; the result is out's error, too. A name of ours that the event lacks, and null, give
 * nothing; another name that it lacks, an array or an object are ERR_INVALID with `ret_why` (static text).
 */
int template_expand(const char *text, const struct event *event, const json_t *data, enum template_form form,
	struct buf *out, const char **ret_why) MUST_CHECK;

#endif
