/*
 * Errors as application/problem+json (RFC 9457), with the members `code` and `request_id` added.
 * `type` is "about:blank", so `title` is the status phrase.
 */
#ifndef TOKENFIRST_SERVER_HTTP_PROBLEM_H
#define TOKENFIRST_SERVER_HTTP_PROBLEM_H

#include <stddef.h>

#define PROBLEM_CONTENT_TYPE "application/problem+json"

/* A heap text (free() it), NULL without memory. Texts that are not UTF-8 are left out. */
char *problem_render(int status, const char *code, const char *detail, const char *request_id);

/* "Unauthorized" for 401; "Error" for a status that is not in the table. */
const char *problem_title(int status);

#endif
