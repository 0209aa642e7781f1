/*
 * What an import reads: lines of a file, twice over. Standard input and pipes are copied into a file without a name
 * first, in $TMPDIR or /tmp: it is gone with the process.
 */
#ifndef TOKENFIRST_SERVER_CLI_IMPORT_SOURCE_H
#define TOKENFIRST_SERVER_CLI_IMPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/err.h"
#include "config/limits.h"

struct import_source {
	FILE *file;
	int64_t number; /* of the line that was read last */
	size_t len;	/* of it, without its end; LIMIT_IMPORT_LINE + 1: it is longer, and the rest is passed over */
	char line[LIMIT_IMPORT_LINE + 2]; /* followed by a NUL; may have NULs in it */
};

/* `path` "-": standard input. 0, or ERR_SYSTEM: errno says why. */
int import_source_open(const char *path, struct import_source *ret_source) MUST_CHECK;
void import_source_close(struct import_source *source);

/* 1: a line that is not blank; 0: the end; ERR_SYSTEM. */
int import_source_next(struct import_source *source) MUST_CHECK;
/* To the first line again. */
void import_source_rewind(struct import_source *source);

#endif
