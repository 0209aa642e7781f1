#include "server/http/form.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config/utf8.h"

/* A part of the body as a text of its own, to be given back by curl_free. */
static int decode(const char *bytes, size_t len, char **ret_text)
{
	char *copy = strndup(bytes, len), *text = NULL;
	int text_len = 0, err = ERR_MEMORY;

	if (!copy)
		goto done;
	for (char *c = copy; (c = strchr(c, '+')); c++)
		*c = ' ';
	/* a length of 0 stands for all of it, which is right for an empty one too */
	text = curl_easy_unescape(NULL, copy, 0, &text_len);
	if (!text)
		goto done;
	err = strlen(text) == (size_t)text_len && utf8_valid(text) ? 0 : ERR_INVALID;
done:
	free(copy);
	if (err)
		curl_free(text);
	else
		*ret_text = text;
	return err;
}

static int add_field(json_t *fields, const char *bytes, size_t len)
{
	const char *equals = memchr(bytes, '=', len);
	size_t name_len = equals ? (size_t)(equals - bytes) : len;
	char *name = NULL, *value = NULL;
	int err = decode(bytes, name_len, &name);

	if (!err)
		err = equals ? decode(equals + 1, len - name_len - 1, &value) : decode("", 0, &value);
	if (!err && json_object_get(fields, name))
		err = ERR_INVALID;
	if (!err && json_object_set_new(fields, name, json_string(value)) != 0)
		err = ERR_MEMORY;
	curl_free(name);
	curl_free(value);
	return err;
}

int form_parse(const char *bytes, size_t len, json_t **ret_fields)
{
	json_t *fields = json_object();
	int err = fields ? 0 : ERR_MEMORY;

	/* strndup would cut there */
	if (!err && memchr(bytes, '\0', len))
		err = ERR_INVALID;
	for (size_t at = 0; at < len && !err;) {
		const char *end = memchr(bytes + at, '&', len - at);
		size_t part = end ? (size_t)(end - bytes) - at : len - at;
		if (part > INT_MAX)
			err = ERR_INVALID;
		else if (part > 0)
			err = add_field(fields, bytes + at, part);
		at += part + 1;
	}
	if (err)
		json_decref(fields);
	else
		*ret_fields = fields;
	return err;
}
