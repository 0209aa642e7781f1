#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/harness.h"

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

void scratch_make(struct scratch *scratch)
{
	const char *base = getenv("TMPDIR");

	int len = snprintf(
		scratch->folder, sizeof(scratch->folder), "%s/tokenfirst-XXXXXX", base != NULL ? base : "/tmp");
	if (len < 0 || (size_t)len >= sizeof(scratch->folder))
		harness_fail("TMPDIR is too long");
	if (mkdtemp(scratch->folder) == NULL)
		harness_fail("mkdtemp %s: %m", scratch->folder);
	snprintf(scratch->path, sizeof(scratch->path), "%s/store.db", scratch->folder);
	snprintf(scratch->url, sizeof(scratch->url), "sqlite:%s", scratch->path);
}

void scratch_remove(const struct scratch *scratch)
{
	if (nftw(scratch->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		harness_fail("remove %s: %m", scratch->folder);
}
