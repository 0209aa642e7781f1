/*
 * What the JSON that effects send has in common: the event's data read once, and the
 * plain envelope that every kind speaks in format `json`.
 *
 * What looks into the data makes a tree of it. What passes it on as it is takes its text, which is written as it is to
 * be sent when the event is made: reading it only to write it again was half of what an effect cost.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_PAYLOAD_H
#define TOKENFIRST_BACKGROUND_EFFECTS_PAYLOAD_H

#include <jansson.h>

#include "background/effects/effect.h"

/* event->data as an object, to be json_decref'd. ERR_INVALID with `ret_why`, or ERR_MEMORY. */
int payload_data(const struct event *event, json_t **ret_data, const char **ret_why) MUST_CHECK;

/* A member by dotted path ("user.email", `len` bytes of it); NULL: absent. Borrowed. */
const json_t *payload_find(const json_t *data, const char *path, size_t len);
/* A text member by dotted path; NULL: absent, empty or no text. Borrowed. */
const char *payload_text(const json_t *data, const char *path);

/*
 * How this is written as JSON: compact, and numbers with as few digits as give the same number again, of 15 to 17 for
 * all of them. 17 always do so, but make 19.989999999999998 of 19.99.
 */
size_t payload_flags(const json_t *json);

/*
 * JSON as text, piece by piece: `lead`, as it is, and then a text as a JSON string (null for "", by the second). Errors
 * as payload_envelope.
 */
int payload_add_text(struct buf *out, const char *lead, const char *text, const char **ret_why) MUST_CHECK;
int payload_add_text_or_null(struct buf *out, const char *lead, const char *text, const char **ret_why) MUST_CHECK;
/* `lead` and the event's data, as it is. */
int payload_add_data(struct buf *out, const char *lead, const struct event *event, const char **ret_why) MUST_CHECK;

/*
 * Appends {"id":effect id,"event_id":…,"type":…,"time":…,"subject":… or null,"data":{…}}. ERR_INVALID with `ret_why`
 * (the data is no object, a text no UTF-8), ERR_LIMIT or ERR_MEMORY.
 */
int payload_envelope(struct buf *out, const struct event *event, const char *id, const char **ret_why) MUST_CHECK;

/* Makes it a POST of this JSON. Takes over the reference, in any case; NULL is ERR_MEMORY. */
int payload_post(struct request *request, json_t *body) MUST_CHECK;
/* The same for JSON that stands in the request's body already. */
int payload_post_body(struct request *request) MUST_CHECK;

/* Format `json` as a whole. */
int payload_post_envelope(
	struct request *request, const struct event *event, const char *id, const char **ret_why) MUST_CHECK;

#endif
