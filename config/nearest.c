#include "config/nearest.h"

#include <stdio.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Two-row Wagner-Fischer, kept in one row and one number. */
static size_t edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[LIMIT_NEAREST_NAME + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_len];
}

void nearest_init(struct nearest *nearest, const char *written)
{
	/* up to a third of the name may be wrong, and in a short one two letters (they may be swapped) */
	size_t allowed = strlen(written) / 3 > 2 ? strlen(written) / 3 : 2;

	*nearest = (struct nearest){.written = written, .distance = allowed + 1};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t written_len = strlen(nearest->written), len = strlen(name);

	if (written_len > LIMIT_NEAREST_NAME || len > LIMIT_NEAREST_NAME)
		return;
	size_t distance = edits(nearest->written, written_len, name, len);
	/* a name that shares no letter with the written one is no help, however short both are */
	if (distance >= nearest->distance || distance >= len)
		return;
	(void)snprintf(nearest->best, sizeof nearest->best, "%s", name);
	nearest->distance = distance;
}

const char *nearest_best(const struct nearest *nearest)
{
	return nearest->best[0] ? nearest->best : NULL;
}
