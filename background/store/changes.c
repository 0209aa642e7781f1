#include "background/store/changes.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "config/limits.h"

struct changes {
	struct db_watch watch;
	/* the writer's thread's: what it has changed and not published yet */
	size_t noted_count;
	bool noted_all; /* there was no room to note them one by one */
	uint32_t noted[LIMIT_CHANGES_NOTED];

	atomic_uint_fast64_t latest; /* publication */
	atomic_uint_fast64_t rows[LIMIT_CHANGES_ROWS];
};

static const char *const tables[CHANGES_TABLES] = {"sessions", "users", "totp"};

/* Fibonacci hashing: ids that follow each other, as ours do, lie far apart and fill the places evenly. */
static uint32_t place_of(size_t table, int64_t row)
{
	const uint64_t number = (uint64_t)row * CHANGES_TABLES + table;
	const uint64_t upper = (number * UINT64_C(0x9E3779B97F4A7C15)) >> 32;

	return (uint32_t)((upper * LIMIT_CHANGES_ROWS) >> 32);
}

static void note(void *arg, size_t table, int64_t row)
{
	struct changes *changes = arg;

	if (changes->noted_count == LIMIT_CHANGES_NOTED)
		changes->noted_all = true;
	else
		changes->noted[changes->noted_count++] = place_of(table, row);
}

int changes_new(struct db *writer, struct changes **ret_changes)
{
	struct changes *changes = calloc(1, sizeof(*changes));
	int err;

	if (!changes)
		return ERR_MEMORY;
	changes->watch = (struct db_watch){.tables = tables, .count = CHANGES_TABLES, .changed = note, .arg = changes};
	err = db_watch(writer, &changes->watch);
	if (err)
		free(changes);
	else
		*ret_changes = changes;
	return err;
}

void changes_free(struct changes *changes)
{
	free(changes);
}

void changes_publish(struct changes *changes)
{
	const uint64_t next = atomic_load_explicit(&changes->latest, memory_order_relaxed) + 1;

	if (changes->noted_count == 0)
		return;
	for (size_t i = 0; changes->noted_all && i < LIMIT_CHANGES_ROWS; i++)
		atomic_store_explicit(&changes->rows[i], next, memory_order_release);
	for (size_t i = 0; !changes->noted_all && i < changes->noted_count; i++)
		atomic_store_explicit(&changes->rows[changes->noted[i]], next, memory_order_release);
	/* last: whoever takes this for a mark has all of it */
	atomic_store_explicit(&changes->latest, next, memory_order_release);
	changes->noted_count = 0;
	changes->noted_all = false;
}

uint64_t changes_mark(const struct changes *changes)
{
	return atomic_load_explicit(&changes->latest, memory_order_acquire);
}

bool changes_since(const struct changes *changes, uint64_t mark, enum changes_table table, int64_t row)
{
	return atomic_load_explicit(&changes->rows[place_of(table, row)], memory_order_acquire) > mark;
}
