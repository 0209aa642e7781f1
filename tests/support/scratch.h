/*
 * A folder of its own for a test's files, and the url of a store in it.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_SCRATCH_H
#define TOKENFIRST_TESTS_SUPPORT_SCRATCH_H

struct scratch {
	char folder[128];
	char path[160]; /* of the store's file: not there yet */
	char url[176];	/* "sqlite:" and the path */
};

/* Makes the folder under $TMPDIR or /tmp. */
void scratch_make(struct scratch *scratch);
/* Removes it with all that is in it. */
void scratch_remove(const struct scratch *scratch);

#endif
