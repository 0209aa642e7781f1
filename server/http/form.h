/*
 * Form fields as browsers and OAuth clients send them: name=value&name=value
 * (https://url.spec.whatwg.org/#urlencoded-parsing). Pure; any thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_FORM_H
#define TOKENFIRST_SERVER_HTTP_FORM_H

#include <jansson.h>
#include <stddef.h>

#include "config/err.h"

/*
 * An object of texts; json_decref it. ERR_INVALID: a name that is there twice (RFC 6749 3.2), or bytes that are, once
 * unescaped, no UTF-8, or a NUL. A field without "=" has an empty value; an escape that is none stands for itself.
 * ERR_MEMORY.
 */
int form_parse(const char *bytes, size_t len, json_t **ret_fields) MUST_CHECK;

#endif
