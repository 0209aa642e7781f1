/*
 * The arena where libsodium can't be given memory (no static library to wrap): it holds none, every
 * hash maps and unmaps its own, and the kernel does the wiping.
 */
#include <errno.h>
#include <stdlib.h>

#include "server/password/arena.h"

struct arena {
	size_t size;
};

int arena_new(size_t size, struct arena **ret_arena)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return ERR_MEMORY;
	arena->size = size;
	*ret_arena = arena;
	return 0;
}

void arena_free(struct arena *arena)
{
	free(arena);
}

/* What is mapped for one hash can't be locked before it is there. */
int arena_lock(struct arena *arena)
{
	(void)arena;
	errno = ENOTSUP;
	return ERR_SYSTEM;
}

void arena_activate(struct arena *arena)
{
	(void)arena;
}

void arena_wipe(struct arena *arena)
{
	(void)arena;
}

size_t arena_uses(const struct arena *arena)
{
	(void)arena;
	return 0;
}
