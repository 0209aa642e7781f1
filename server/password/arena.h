/*
 * Memory for password hashes that is used again and again.
 *
 * libsodium maps and unmaps its memory for every Argon2 hash, and more than a quarter of a hash's time
 * is then the kernel zeroing pages, which also delays everybody else. An arena is one such
 * mapping, kept: while a thread has it active, libsodium's mmap of that thread is served from it.
 *
 * Two implementations, chosen by the Makefile: arena.c, which needs the static libsodium and
 * the linker's --wrap, and arena_plain.c, where every hash maps its own memory. Results are the same.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_ARENA_H
#define TOKENFIRST_SERVER_PASSWORD_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

struct arena;

/*
 * For hashes of up to `size` bytes; larger ones map their own memory. Kept out of core dumps, and in huge pages where
 * the kernel has them for who asks (transparent_hugepage/enabled: madvise or always).
 */
int arena_new(size_t size, struct arena **ret_arena) MUST_CHECK;
void arena_free(struct arena *arena); /* active nowhere; NULL is fine */

/* Keeps it out of swap. ERR_SYSTEM and errno: not permitted, or beyond RLIMIT_MEMLOCK (ENOMEM, EPERM). */
int arena_lock(struct arena *arena) MUST_CHECK;

/* The calling thread's hashes use `arena` from here on, NULL: none. One thread at a time. */
void arena_activate(struct arena *arena);

/*
 * Overwrites what the last hashes left. Their blocks let somebody who reads the process' memory test passwords at less
 * than the full price: after two passes at half of it, after one at hardly any, since the first block follows from the
 * password directly (RFC 9106 3.2).
 */
void arena_wipe(struct arena *arena);

/* How many hashes used the arena so far: 0 for ever where it is not supported. */
size_t arena_uses(const struct arena *arena);

#endif
