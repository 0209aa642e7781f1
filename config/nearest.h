/*
 * "Did you mean …?": of the names offered, the one that needs the fewest edits
 * (Levenshtein: insert, delete, replace) to become the one that was written.
 */
#ifndef TOKENFIRST_CONFIG_NEAREST_H
#define TOKENFIRST_CONFIG_NEAREST_H

#include <stddef.h>

#include "config/limits.h"

struct nearest {
	const char *written; /* the caller's */
	char best[LIMIT_NEAREST_NAME + 1];
	size_t distance; /* of `best`; an offer must be below it */
};

void nearest_init(struct nearest *nearest, const char *written);
void nearest_offer(struct nearest *nearest, const char *name);

/* NULL: nothing offered is near enough to be what was meant. */
const char *nearest_best(const struct nearest *nearest);

#endif
