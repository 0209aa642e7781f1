/* A binary heap of items by due time. Space is reserved before an item is added, so that adding can't fail. */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_DUE_HEAP_H
#define TOKENFIRST_BACKGROUND_DELIVERY_DUE_HEAP_H

#include "background/delivery/item.h"
#include "config/err.h"

struct due_heap {
	struct item **items;
	size_t count, capacity;
};

void due_heap_release(struct due_heap *heap); /* not the items */
/* Room for one more: 0 or ERR_MEMORY. */
int due_heap_reserve(struct due_heap *heap) MUST_CHECK;
void due_heap_add(struct due_heap *heap, struct item *item);
/* The earliest; NULL: empty. */
struct item *due_heap_take(struct due_heap *heap);
/* Those for which `keep` says no are out of the heap, and whoever said so owns them. */
void due_heap_filter(struct due_heap *heap, bool (*keep)(void *arg, struct item *item), void *arg);
int64_t due_heap_first_ms(const struct due_heap *heap); /* INT64_MAX: empty */

#endif
