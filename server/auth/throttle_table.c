#include "server/auth/throttle_table.h"

#include <assert.h>
#include <stdlib.h>

int throttle_table_init(struct throttle_table *table, size_t count)
{
	assert(count >= THROTTLE_WAYS && count % THROTTLE_WAYS == 0);
	*table = (struct throttle_table){.sets = count / THROTTLE_WAYS};
	table->entries = calloc(count, sizeof(*table->entries));
	return table->entries ? 0 : ERR_MEMORY;
}

void throttle_table_release(struct throttle_table *table)
{
	free(table->entries);
	table->entries = NULL;
}

static struct throttle_entry *set_of(const struct throttle_table *table, uint64_t key)
{
	return table->entries + key % table->sets * THROTTLE_WAYS;
}

struct throttle_entry *throttle_table_find(const struct throttle_table *table, uint64_t key)
{
	struct throttle_entry *set = set_of(table, key);

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
	}
	return NULL;
}

static int64_t gravity(const struct throttle_entry *entry, int64_t now_ms)
{
	return entry->key == 0 ? -1 : throttle_remembered(entry->rule, &entry->state, now_ms);
}

/* NULL: all of them are in flight. */
static struct throttle_entry *least_grave(struct throttle_entry *set, int64_t now_ms)
{
	struct throttle_entry *least = NULL;

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		struct throttle_entry *entry = &set[i];
		if (entry->state.in_flight > 0)
			continue;
		if (!least || gravity(entry, now_ms) < gravity(least, now_ms) ||
			(gravity(entry, now_ms) == gravity(least, now_ms) &&
				entry->state.last_ms < least->state.last_ms))
			least = entry;
	}
	return least;
}

struct throttle_entry *throttle_table_claim(
	struct throttle_table *table, uint64_t key, const struct throttle_rule *rule, int64_t now_ms)
{
	struct throttle_entry *entry = throttle_table_find(table, key);

	assert(key != 0);
	if (entry)
		return entry;
	entry = least_grave(set_of(table, key), now_ms);
	if (!entry)
		return NULL;
	if (entry->key == 0)
		table->used++;
	else if (gravity(entry, now_ms) > 0)
		table->evicted++;
	*entry = (struct throttle_entry){.key = key, .rule = rule};
	return entry;
}

void throttle_table_tidy(struct throttle_table *table, struct throttle_entry *entry, int64_t now_ms)
{
	if (entry->state.in_flight > 0 || gravity(entry, now_ms) > 0)
		return;
	*entry = (struct throttle_entry){.key = 0};
	table->used--;
}
