#include "background/effects/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/json_text.h"

static const char no_object[] = "the event's data is no JSON object";

int payload_data(const struct event *event, json_t **ret_data, const char **ret_why)
{
	json_t *data = NULL;

	if (json_text_read(event->data, strlen(event->data), &data, NULL) == ERR_MEMORY)
		return ERR_MEMORY;
	if (!json_is_object(data)) {
		json_decref(data);
		*ret_why = no_object;
		return ERR_INVALID;
	}
	*ret_data = data;
	return 0;
}

const json_t *payload_find(const json_t *data, const char *path, size_t len)
{
	const char *end = path + len;

	while (data && path <= end) {
		const char *dot = memchr(path, '.', (size_t)(end - path));
		const char *stop = dot ? dot : end;

		data = json_object_getn(data, path, (size_t)(stop - path));
		path = stop + 1;
	}
	return data;
}

const char *payload_text(const json_t *data, const char *path)
{
	const char *text = json_string_value(payload_find(data, path, strlen(path)));

	return text && *text ? text : NULL;
}

enum { DIGITS_LEAST = 15, DIGITS_MOST = 17 }; /* DBL_DIG, DBL_DECIMAL_DIG */

static int digits_of(double number)
{
	char text[40];
	int digits = DIGITS_LEAST;

	for (; digits < DIGITS_MOST; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number); /* the program keeps the C locale */
		if (strtod(text, NULL) == number)
			break;
	}
	return digits;
}

/* As deep as jansson reads. */
static int digits_within(const json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;
	int digits = json_is_real(json) ? digits_of(json_real_value(json)) : DIGITS_LEAST, inner;

	json_array_foreach((json_t *)json, i, value)
	{
		inner = digits_within(value);
		digits = inner > digits ? inner : digits;
	}
	json_object_foreach((json_t *)json, key, value)
	{
		inner = digits_within(value);
		digits = inner > digits ? inner : digits;
	}
	return digits;
}

size_t payload_flags(const json_t *json)
{
	return JSON_COMPACT | JSON_REAL_PRECISION((size_t)digits_within(json));
}

int payload_add_text(struct buf *out, const char *lead, const char *text, const char **ret_why)
{
	int err;

	buf_append_text(out, lead);
	err = json_text_append(out, text);
	if (err == ERR_INVALID)
		*ret_why = "the event holds text that is no UTF-8";
	return err;
}

int payload_add_text_or_null(struct buf *out, const char *lead, const char *text, const char **ret_why)
{
	if (*text)
		return payload_add_text(out, lead, text, ret_why);
	buf_append_text(out, lead);
	buf_append_text(out, "null");
	return buf_error(out);
}

/*
 * It was written as an object (event.h), so a look at its ends has to do: most of what never was one, or has been cut,
 * is turned away by them.
 */
static bool is_object(const char *data, size_t len)
{
	return len >= 2 && data[0] == '{' && data[len - 1] == '}';
}

int payload_add_data(struct buf *out, const char *lead, const struct event *event, const char **ret_why)
{
	const size_t len = strlen(event->data);

	if (!is_object(event->data, len)) {
		*ret_why = no_object;
		return ERR_INVALID;
	}
	buf_append_text(out, lead);
	buf_append(out, event->data, len);
	return buf_error(out);
}

int payload_envelope(struct buf *out, const struct event *event, const char *id, const char **ret_why)
{
	char time[RFC3339_SIZE];
	int err = payload_add_text(out, "{\"id\":", id, ret_why);

	clock_rfc3339(time, event->created_ms);
	if (!err)
		err = payload_add_text(out, ",\"event_id\":", event->id, ret_why);
	if (!err)
		err = payload_add_text(out, ",\"type\":", event->type, ret_why);
	if (!err)
		err = payload_add_text(out, ",\"time\":", time, ret_why);
	if (!err)
		err = payload_add_text_or_null(out, ",\"subject\":", event->subject, ret_why);
	if (!err)
		err = payload_add_data(out, ",\"data\":", event, ret_why);
	buf_append(out, "}", 1);
	return err ? err : buf_error(out);
}

static int append(const char *bytes, size_t len, void *body)
{
	buf_append(body, bytes, len);
	return buf_error(body) ? -1 : 0;
}

static int post(struct request *request)
{
	request->method = "POST";
	return request_add_header(request, "Content-Type", "application/json");
}

int payload_post(struct request *request, json_t *body)
{
	int err = 0;

	if (!body)
		return ERR_MEMORY;
	if (json_dump_callback(body, append, &request->body, payload_flags(body)) != 0)
		err = buf_error(&request->body) ? buf_error(&request->body) : ERR_MEMORY;
	json_decref(body);
	return err ? err : post(request);
}

int payload_post_body(struct request *request)
{
	const int err = buf_error(&request->body);

	return err ? err : post(request);
}

int payload_post_envelope(struct request *request, const struct event *event, const char *id, const char **ret_why)
{
	const int err = payload_envelope(&request->body, event, id, ret_why);

	return err ? err : payload_post_body(request);
}
