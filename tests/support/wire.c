#include "tests/support/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *wire_header(const char *head, size_t head_len, const char *name, size_t *ret_len)
{
	const char *end = head + head_len;
	const char *line = memchr(head, '\n', head_len);
	size_t name_len = strlen(name);

	while (line != NULL && ++line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		if (stop == NULL)
			return NULL;
		if ((size_t)(stop - line) > name_len && line[name_len] == ':' &&
			strncasecmp(line, name, name_len) == 0) {
			const char *value = line + name_len + 1;

			while (value < stop && (*value == ' ' || *value == '\t'))
				value++;
			*ret_len = (size_t)(stop - value);
			while (*ret_len > 0 && strchr(" \t\r", value[*ret_len - 1]) != NULL)
				(*ret_len)--;
			return value;
		}
		line = stop;
	}
	return NULL;
}

static bool header_is(const char *head, size_t head_len, const char *name, const char *value)
{
	size_t len;
	const char *found = wire_header(head, head_len, name, &len);

	return found != NULL && len == strlen(value) && strncasecmp(found, value, len) == 0;
}

/* Reads digits only, so that it can stop at the end of `text`, which is no C string. */
static int parse_size(const char *text, size_t len, unsigned base, size_t *ret_size)
{
	size_t size = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		static const char digits[] = "0123456789abcdef";
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
		const char *at = c == '\0' ? NULL : strchr(digits, c);

		if (at == NULL || (unsigned)(at - digits) >= base)
			break;
		size = size * base + (size_t)(at - digits);
		if (size > WIRE_BODY_MAX)
			return -1;
	}
	if (i == 0)
		return -1;
	*ret_size = size;
	return 0;
}

/* One chunk at `bytes`: 1 and its parts, 0 more bytes needed, -1 no chunk. */
static int parse_chunk(const char *bytes, size_t len, size_t *ret_line, size_t *ret_size)
{
	const char *eol = memchr(bytes, '\n', len);

	if (eol == NULL)
		return 0;
	if (parse_size(bytes, (size_t)(eol - bytes), 16, ret_size) < 0)
		return -1;
	*ret_line = (size_t)(eol - bytes) + 1;
	return 1;
}

/* 1 and the length of the chunked body with its trailers, 0 more bytes needed, -1 no chunks. */
static int chunked_len(const char *body, size_t len, size_t *ret_len)
{
	size_t at = 0;

	while (at < len) {
		size_t line = 0;
		size_t size = 0;
		int whole = parse_chunk(body + at, len - at, &line, &size);

		if (whole <= 0)
			return whole;
		at += line;
		if (size == 0) {
			/* trailers: lines up to an empty one */
			for (;;) {
				const char *eol = at < len ? memchr(body + at, '\n', len - at) : NULL;
				size_t trailer = eol == NULL ? 0 : (size_t)(eol - (body + at)) + 1;

				if (eol == NULL)
					return 0;
				at += trailer;
				if (trailer <= 2) {
					*ret_len = at;
					return 1;
				}
			}
		}
		at += size + 2;
		if (at > WIRE_BODY_MAX)
			return -1;
	}
	return 0;
}

static int frame_body(const char *bytes, size_t len, enum wire_kind kind, struct wire_frame *frame)
{
	const char *body = bytes + frame->head_len;
	size_t have = len - frame->head_len;
	size_t body_len = 0;
	size_t value_len;
	const char *value;
	int whole = 1;

	if (frame->chunked) {
		whole = chunked_len(body, have, &body_len);
	} else if ((value = wire_header(bytes, frame->head_len, "Content-Length", &value_len)) != NULL) {
		if (parse_size(value, value_len, 10, &body_len) < 0)
			return -1;
		whole = have >= body_len;
	} else if (kind == WIRE_REPLY && frame->status != 204 && frame->status != 304) {
		return -1; /* ends with the connection: of no use to a client that keeps it */
	}
	frame->total_len = frame->head_len + body_len;
	return whole;
}

int wire_frame(const char *bytes, size_t len, enum wire_kind kind, struct wire_frame *ret_frame)
{
	struct wire_frame frame = {0};
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	size_t status = 0;
	int whole;

	if (end == NULL)
		return len > WIRE_HEAD_MAX ? -1 : 0;
	frame.head_len = (size_t)(end - bytes) + 4;
	frame.chunked = header_is(bytes, frame.head_len, "Transfer-Encoding", "chunked");
	frame.close = header_is(bytes, frame.head_len, "Connection", "close");
	if (kind == WIRE_REPLY) {
		if (frame.head_len < 14 || memcmp(bytes, "HTTP/1.", 7) != 0 ||
			parse_size(bytes + 9, 3, 10, &status) < 0)
			return -1;
		frame.status = (int)status;
	}
	whole = frame_body(bytes, len, kind, &frame);
	if (whole > 0)
		*ret_frame = frame;
	return whole;
}

size_t wire_unchunk(char *body, size_t len)
{
	size_t at = 0;
	size_t out = 0;
	size_t line = 0;
	size_t size = 0;

	while (at < len && parse_chunk(body + at, len - at, &line, &size) == 1 && size > 0 && at + line + size <= len) {
		memmove(body + out, body + at + line, size);
		out += size;
		at += line + size + 2;
	}
	return out;
}
