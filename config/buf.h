/*
 * A growable byte buffer with an upper bound and a sticky error.
 *
 * Appending after a failure does nothing, so a builder appends freely and asks
 * buf_error() once at its end. The content is always NUL-terminated (the NUL is
 * not counted), so `data` can be read as a C string when no NUL was appended.
 * Not thread-safe; owned by whoever initialised it.
 */
#ifndef TOKENFIRST_CONFIG_BUF_H
#define TOKENFIRST_CONFIG_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

struct buf {
	char *data;	 /* never NULL: points to a static "" while empty */
	size_t len;	 /* bytes in use */
	size_t capacity; /* bytes allocated, 0 while `data` is the static "" */
	size_t max;	 /* `len` never exceeds this */
	int err;	 /* 0, ERR_LIMIT or ERR_MEMORY; sticky until buf_reset */
	int secret;	 /* what it held is overwritten before its memory is given back */
};

/* `max`: the most bytes it may ever hold. */
void buf_init(struct buf *b, size_t max);
/* The same for passwords and the like: growing and releasing leave no copy behind. */
void buf_init_secret(struct buf *b, size_t max);
void buf_release(struct buf *b);

/* Forgets content and error, keeps the memory. */
void buf_reset(struct buf *b);

/* Room for so many more bytes at once, where a builder knows what is to come. */
void buf_reserve(struct buf *b, size_t extra);
void buf_append(struct buf *b, const void *bytes, size_t len);
/*
 * Appends `len` bytes for the caller to write where it returns, before anything else is done with `b`: what an encoder
 * writes needs no copy. NULL after an error.
 */
char *buf_extend(struct buf *b, size_t len);
void buf_append_text(struct buf *b, const char *text);
void buf_append_int(struct buf *b, int64_t number); /* as "%" PRId64 would, at a tenth of its cost */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* 0, or the first error since init or reset. */
int buf_error(const struct buf *b) MUST_CHECK;

/* Hands the memory to the caller (free() it) and leaves `b` empty; NULL after an error. */
char *buf_steal(struct buf *b) MUST_CHECK;

#endif
