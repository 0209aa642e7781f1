/*
 * What the JSON that effects send has in common: the event's data read once, times, and the
 * plain envelope that every kind speaks in format `json`.
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

/* RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z". */
enum { PAYLOAD_TIME_SIZE = 32 };
void payload_time(char ret_time[PAYLOAD_TIME_SIZE], int64_t ms);

/*
 * How this is written as JSON: compact, and numbers with as few digits as give the same number again, of 15 to 17 for
 * all of them. 17 always do so, but make 19.989999999999998 of 19.99.
 */
size_t payload_flags(const json_t *json);

/*
 * {"id":effect id,"event_id":…,"type":…,"time":…,"subject":… or null,"data":{…}}; NULL without memory. `data` stays
 * the caller's.
 */
json_t *payload_envelope(const struct event *event, const char *id, json_t *data);

/* Makes it a POST of this JSON. Takes over the reference, in any case; NULL is ERR_MEMORY. */
int payload_post(struct request *request, json_t *body) MUST_CHECK;
/* The same for JSON that is text already. */
int payload_post_text(struct request *request, const char *body) MUST_CHECK;

/* Format `json` as a whole. */
int payload_post_envelope(struct request *request, const struct event *event, const char *id, json_t *data) MUST_CHECK;

#endif
