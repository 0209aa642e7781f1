/*
 * `data` points to a shared empty string until the first append, so that a buffer
 * that is never used costs nothing and never needs a NULL check. Capacity doubles,
 * and one byte above `len` is always reserved for the NUL.
 */
#include "config/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

/* Only ever read: nothing is stored through `data` while the capacity is 0. */
static char empty[1];

/* To `capacity` bytes; NULL without memory. realloc would leave the old bytes where they were. */
static char *grow(struct buf *b, size_t capacity)
{
	char *old = b->capacity ? b->data : NULL;
	if (!b->secret)
		return realloc(old, capacity);
	char *data = malloc(capacity);
	if (data && old) {
		memcpy(data, old, b->len + 1);
		explicit_bzero(old, b->capacity);
		free(old);
	}
	return data;
}

/* Room for `extra` more bytes and the NUL; false and a sticky error otherwise. */
static bool reserve(struct buf *b, size_t extra)
{
	if (b->err)
		return false;
	if (extra > b->max - b->len) {
		b->err = ERR_LIMIT;
		return false;
	}
	size_t need = b->len + extra + 1;
	if (need <= b->capacity)
		return true;
	size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
	while (capacity < need)
		capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
	char *data = grow(b, capacity);
	if (!data) {
		b->err = ERR_MEMORY;
		return false;
	}
	b->data = data;
	b->capacity = capacity;
	return true;
}

void buf_init(struct buf *b, size_t max)
{
	/* one byte is kept back for the NUL */
	*b = (struct buf){.data = empty, .max = max < SIZE_MAX ? max : SIZE_MAX - 1};
}

void buf_init_secret(struct buf *b, size_t max)
{
	buf_init(b, max);
	b->secret = 1;
}

void buf_release(struct buf *b)
{
	int secret = b->secret;

	if (b->capacity && secret)
		explicit_bzero(b->data, b->capacity);
	if (b->capacity)
		free(b->data);
	buf_init(b, b->max);
	b->secret = secret;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->capacity)
		b->data[0] = '\0';
}

void buf_reserve(struct buf *b, size_t extra)
{
	if (reserve(b, extra))
		b->data[b->len] = '\0';
}

char *buf_extend(struct buf *b, size_t len)
{
	if (!reserve(b, len))
		return NULL;
	char *place = b->data + b->len;
	b->len += len;
	b->data[b->len] = '\0';
	return place;
}

void buf_append(struct buf *b, const void *bytes, size_t len)
{
	char *place = len ? buf_extend(b, len) : NULL;

	if (place)
		memcpy(place, bytes, len);
}

void buf_append_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_append_int(struct buf *b, int64_t number)
{
	char digits[20]; /* of the least one, with its sign */
	size_t at = sizeof(digits);
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (number < 0)
		digits[--at] = '-';
	buf_append(b, digits + at, sizeof(digits) - at);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	const size_t room = b->capacity ? b->capacity - b->len : 0;
	va_list again;

	if (b->err)
		return;
	va_copy(again, args);
	/* into the room that there is, where it mostly fits: formatting twice costs twice */
	int len = vsnprintf(room ? b->data + b->len : NULL, room, format, args);
	const bool fits = len >= 0 && (size_t)len < room;
	if (len < 0) {
		b->err = ERR_LIMIT; /* longer than an int can say */
	} else if (len > 0 && reserve(b, (size_t)len)) {
		if (!fits)
			(void)vsnprintf(b->data + b->len, (size_t)len + 1, format, again);
		b->len += (size_t)len;
	}
	if (room && b->err)
		b->data[b->len] = '\0'; /* what was left out has been written behind it */
	va_end(again);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

int buf_error(const struct buf *b)
{
	return b->err;
}

char *buf_steal(struct buf *b)
{
	/* an empty buffer hands out memory too: the caller frees what it gets, always */
	if (!reserve(b, 0))
		return NULL;
	char *data = b->data;
	data[b->len] = '\0';
	buf_init(b, b->max);
	return data;
}
