/*
 * Whole files into memory, with a limit.
 */
#ifndef TOKENFIRST_CONFIG_FILE_H
#define TOKENFIRST_CONFIG_FILE_H

#include "config/buf.h"

/*
 * Appends the content of `path` to `out`. ERR_SYSTEM: not readable, errno says why; ERR_LIMIT: more than
 * `out` may hold; ERR_MEMORY. After an error the content of `out` is a part of the file or nothing.
 */
int file_read(const char *path, struct buf *out) MUST_CHECK;

/* 0, or ERR_SYSTEM: `path` is no file that can be read, errno says why. */
int file_check(const char *path) MUST_CHECK;

/* 0, or ERR_SYSTEM: `path` is no folder that can be searched, errno says why. */
int file_check_folder(const char *path) MUST_CHECK;

#endif
