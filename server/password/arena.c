/*
 * The linker is told --wrap=mmap and --wrap=munmap, so that every call of these two in the objects that
 * it links statically, libsodium's among them, comes here; shared libraries and glibc's own
 * malloc are not touched. A request is served from the arena only if the calling thread has one active that
 * is not in use, and if it is exactly what Argon2 asks for: private anonymous memory, readable
 * and writable, anywhere, and no larger than the arena. All others go on to the real mmap.
 *
 * What is handed out is not zeroed: Argon2's first pass writes each block before it reads it
 * (RFC 9106 3.1.1 step 4 and 5), and the tests compare hashes in a dirty arena with stock ones.
 */
#include "server/password/arena.h"

#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the processor's tables hold of a huge page: x86-64's and arm64's (with pages of 4 KiB). */
enum { HUGE_PAGE = 2 << 20 };

struct arena {
	void *base;
	size_t size;
	size_t uses;
	bool in_use;
	bool dirty;
};

static _Thread_local struct arena *active;

void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t length);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t length);

static bool serves(const struct arena *arena, const void *address, size_t length, int protection, int flags, int fd)
{
	return arena && !arena->in_use && !address && length > 0 && length <= arena->size && fd == -1 &&
	       protection == (PROT_READ | PROT_WRITE) &&
	       (flags & (MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED)) == (MAP_ANONYMOUS | MAP_PRIVATE);
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	struct arena *arena = active;

	if (!serves(arena, address, length, protection, flags, fd))
		return __real_mmap(address, length, protection, flags, fd, offset);
	arena->in_use = true;
	arena->dirty = true;
	arena->uses++;
	return arena->base;
}

int __wrap_munmap(void *address, size_t length)
{
	struct arena *arena = active;

	if (!arena || !arena->in_use || address != arena->base)
		return __real_munmap(address, length);
	arena->in_use = false;
	return 0;
}

/*
 * Aligned, since only a whole huge page can be one: the kernel itself aligns no mapping whose length is not a multiple
 * of it. NULL: no memory.
 */
static void *map_aligned(size_t size)
{
	const size_t align = size < HUGE_PAGE ? 1 : HUGE_PAGE;
	size_t length = size + align - 1, before, behind;
	unsigned char *base = __real_mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	before = (align - (uintptr_t)base % align) % align;
	behind = length - before - size;
	if (before > 0)
		__real_munmap(base, before);
	if (behind > 0)
		__real_munmap(base + before + size, behind);
	return base + before;
}

int arena_new(size_t size, struct arena **ret_arena)
{
	struct arena *arena = calloc(1, sizeof(*arena));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert(size > 0);
	if (!arena)
		return ERR_MEMORY;
	arena->size = (size + page - 1) / page * page;
	arena->base = map_aligned(arena->size);
	if (!arena->base) {
		free(arena);
		return ERR_MEMORY;
	}
	/* Wishes: where the kernel refuses, a core dump is larger, and a hash takes a few per cent longer. */
	(void)madvise(arena->base, arena->size, MADV_DONTDUMP);
	(void)madvise(arena->base, arena->size, MADV_HUGEPAGE);
	*ret_arena = arena;
	return 0;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	assert(!arena->in_use);
	arena_wipe(arena);
	__real_munmap(arena->base, arena->size);
	free(arena);
}

int arena_lock(struct arena *arena)
{
	/* as its pages are used, so that memory of threads that never hash is not taken */
	return mlock2(arena->base, arena->size, MLOCK_ONFAULT) ? ERR_SYSTEM : 0;
}

void arena_activate(struct arena *arena)
{
	assert(!active || !active->in_use);
	active = arena;
}

void arena_wipe(struct arena *arena)
{
	assert(!arena->in_use);
	if (!arena->dirty)
		return;
	sodium_memzero(arena->base, arena->size);
	arena->dirty = false;
}

size_t arena_uses(const struct arena *arena)
{
	return arena->uses;
}
