#include "background/delivery/due_heap.h"

#include <assert.h>
#include <stdlib.h>

void due_heap_release(struct due_heap *heap)
{
	free(heap->items);
	*heap = (struct due_heap){0};
}

int due_heap_reserve(struct due_heap *heap)
{
	if (heap->count < heap->capacity)
		return 0;
	size_t capacity = heap->capacity > 0 ? 2 * heap->capacity : 64;
	struct item **items = realloc(heap->items, capacity * sizeof(struct item *));
	if (items == NULL)
		return ERR_MEMORY;
	heap->items = items;
	heap->capacity = capacity;
	return 0;
}

static void sift_up(struct due_heap *heap, size_t at, struct item *item)
{
	while (at > 0 && heap->items[(at - 1) / 2]->due_ms > item->due_ms) {
		heap->items[at] = heap->items[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap->items[at] = item;
}

static void sift_down(struct due_heap *heap, size_t at, struct item *item)
{
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && heap->items[child + 1]->due_ms < heap->items[child]->due_ms)
			child++;
		if (heap->items[child]->due_ms >= item->due_ms)
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = item;
}

void due_heap_add(struct due_heap *heap, struct item *item)
{
	assert(heap->count < heap->capacity);
	sift_up(heap, heap->count++, item);
}

struct item *due_heap_take(struct due_heap *heap)
{
	if (heap->count == 0)
		return NULL;
	struct item *first = heap->items[0];
	struct item *last = heap->items[--heap->count];
	if (heap->count > 0)
		sift_down(heap, 0, last);
	return first;
}

void due_heap_filter(struct due_heap *heap, bool (*keep)(void *arg, struct item *item), void *arg)
{
	size_t count = heap->count;
	heap->count = 0; /* what is added again takes places that have been looked at */
	for (size_t i = 0; i < count; i++) {
		struct item *item = heap->items[i];
		if (keep(arg, item))
			due_heap_add(heap, item);
	}
}

int64_t due_heap_first_ms(const struct due_heap *heap)
{
	return heap->count > 0 ? heap->items[0]->due_ms : INT64_MAX;
}
