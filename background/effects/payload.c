#include "background/effects/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/json_text.h"

int payload_data(const struct event *event, json_t **ret_data, const char **ret_why)
{
	json_t *data = NULL;

	if (json_text_read(event->data, strlen(event->data), &data, NULL) == ERR_MEMORY)
		return ERR_MEMORY;
	if (!json_is_object(data)) {
		json_decref(data);
		*ret_why = "the event's data is no JSON object";
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

void payload_time(char ret_time[PAYLOAD_TIME_SIZE], int64_t ms)
{
	const time_t seconds = (time_t)(ms / 1000);
	struct tm utc;
	char text[24];

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(ret_time, PAYLOAD_TIME_SIZE, "%s.%03dZ", text, (int)(ms % 1000));
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

json_t *payload_envelope(const struct event *event, const char *id, json_t *data)
{
	char time[PAYLOAD_TIME_SIZE];

	payload_time(time, event->created_ms);
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:O}", "id", id, "event_id", event->id, "type", event->type,
		"time", time, "subject", *event->subject ? event->subject : NULL, "data", data);
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

int payload_post_text(struct request *request, const char *body)
{
	int err;

	buf_append_text(&request->body, body);
	err = buf_error(&request->body);
	return err ? err : post(request);
}

int payload_post_envelope(struct request *request, const struct event *event, const char *id, json_t *data)
{
	return payload_post(request, payload_envelope(event, id, data));
}
