#include "background/delivery/window.h"

#include <assert.h>

static size_t bucket_of(int64_t row)
{
	return (uint64_t)row % WINDOW_BUCKETS;
}

int window_room(const struct item *item)
{
	if (item->suspect)
		return ROOM_SUSPECT;
	return item->again ? ROOM_AGAIN : ROOM_FIRST;
}

struct item *window_find(const struct window *window, int64_t row)
{
	struct item *item = window->buckets[bucket_of(row)];
	while (item != NULL && item->row != row)
		item = item->chain;
	return item;
}

void window_add(struct window *window, struct item *item)
{
	if (item->row == 0)
		return;
	struct item **bucket = &window->buckets[bucket_of(item->row)];
	item->chain = *bucket;
	*bucket = item;
	item->room = window_room(item);
	window->held[item->room]++;
}

void window_remove(struct window *window, struct item *item)
{
	if (item->row == 0)
		return;
	struct item **slot = &window->buckets[bucket_of(item->row)];
	while (*slot != item) {
		assert(*slot != NULL);
		slot = &(*slot)->chain;
	}
	*slot = item->chain;
	item->chain = NULL;
	window->held[item->room]--;
}

void window_recount(struct window *window, struct item *item)
{
	if (item->row == 0)
		return;
	window->held[item->room]--;
	item->room = window_room(item);
	window->held[item->room]++;
}

struct item *window_next(const struct window *window, const struct item *item)
{
	if (item != NULL && item->chain != NULL)
		return item->chain;
	for (size_t i = item != NULL ? bucket_of(item->row) + 1 : 0; i < WINDOW_BUCKETS; i++)
		if (window->buckets[i] != NULL)
			return window->buckets[i];
	return NULL;
}
