/*
 * A library to be preloaded (LD_PRELOAD): one allocation of a running program fails when a test says so (fail_alloc.h).
 *
 * Counted are the allocator's functions, as the program and all its libraries call them, strdup and the like within the C library
 * too, and anonymous mmap. What the allocator and pthread_create map for themselves does not come by here.
 */
#include "tests/support/fail_alloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREAD_NAME = 16 };

static struct fail_alloc *order;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned_alloc)(size_t, size_t);
static int (*real_posix_memalign)(void **, size_t, size_t);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);

/* ISO C has no cast from a pointer to data to one to a function. The first call is made before there is a second thread. */
static bool find(void *ret_function, const char *name)
{
	static bool finding;
	void *found;

	if (finding)
		return false;
	finding = true;
	found = dlsym(RTLD_NEXT, name);
	finding = false;
	memcpy(ret_function, &found, sizeof(found));
	return found != NULL;
}

__attribute__((constructor)) static void map_order(void)
{
	const char *path = getenv("FAIL_ALLOC");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0 || (real_mmap == NULL && !find(&real_mmap, "mmap")))
		return;
	void *map = real_mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		order = map;
}

static bool on_side(int side, const char *name)
{
	bool background = strncmp(name, "worker", 6) == 0 || strncmp(name, "courier", 7) == 0;

	return background == (side == FAIL_ALLOC_BACKGROUND);
}

static void note(const char *name, const void *caller)
{
	Dl_info where = {0};
	const char *file = "?";

	if (dladdr(caller, &where) != 0 && where.dli_fname != NULL)
		file = strrchr(where.dli_fname, '/') != NULL ? strrchr(where.dli_fname, '/') + 1 : where.dli_fname;
	(void)snprintf(order->thread, sizeof(order->thread), "%s", name);
	(void)snprintf(order->caller, sizeof(order->caller), "%s %s+%#tx", file,
		where.dli_sname != NULL ? where.dli_sname : "", (const char *)caller - (const char *)where.dli_fbase);
}

/* Whether this allocation is the one. */
static bool fails(const void *caller)
{
	char name[THREAD_NAME] = "";
	int64_t at = order != NULL ? atomic_load(&order->fail_at) : 0;

	if (at == 0)
		return false;
	(void)prctl(PR_GET_NAME, name);
	if (!on_side(atomic_load(&order->side), name) || atomic_fetch_add(&order->count, 1) + 1 != at)
		return false;
	note(name, caller);
	atomic_store(&order->failed, true);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	if (fails(__builtin_return_address(0)) || (real_malloc == NULL && !find(&real_malloc, "malloc")))
		return NULL;
	return real_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	if (fails(__builtin_return_address(0)) || (real_calloc == NULL && !find(&real_calloc, "calloc")))
		return NULL;
	return real_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	if (fails(__builtin_return_address(0)) || (real_realloc == NULL && !find(&real_realloc, "realloc")))
		return NULL;
	return real_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	if (fails(__builtin_return_address(0)) ||
		(real_aligned_alloc == NULL && !find(&real_aligned_alloc, "aligned_alloc")))
		return NULL;
	return real_aligned_alloc(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
	if (fails(__builtin_return_address(0)) ||
		(real_posix_memalign == NULL && !find(&real_posix_memalign, "posix_memalign")))
		return ENOMEM;
	return real_posix_memalign(ret_memory, alignment, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (((flags & MAP_ANONYMOUS) != 0 && fails(__builtin_return_address(0))) ||
		(real_mmap == NULL && !find(&real_mmap, "mmap")))
		return MAP_FAILED;
	return real_mmap(address, size, protection, flags, fd, offset);
}
