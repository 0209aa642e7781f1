#include "background/delivery/due_heap.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ITEMS = 5000 };

static uint64_t state = 88172645463325252u;

/* xorshift64 (Marsaglia 2003): the same numbers in every run. */
static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void add(struct due_heap *heap, struct item *item)
{
	cr_assert_eq(due_heap_reserve(heap), 0);
	due_heap_add(heap, item);
}

Test(due_heap, empty)
{
	struct due_heap heap = {0};

	cr_assert_null(due_heap_take(&heap));
	cr_assert_eq(due_heap_first_ms(&heap), INT64_MAX);
	due_heap_release(&heap);
}

Test(due_heap, gives_them_back_in_order_whatever_the_order_they_came_in)
{
	static struct item items[ITEMS];
	struct due_heap heap = {0};
	int64_t last = INT64_MIN;

	for (size_t i = 0; i < ITEMS; i++) {
		items[i].due_ms = (int64_t)(draw() % 1000) - 10; /* with many of the same time */
		add(&heap, &items[i]);
	}
	for (size_t i = 0; i < ITEMS; i++) {
		int64_t first = due_heap_first_ms(&heap);
		struct item *item = due_heap_take(&heap);
		cr_assert_not_null(item);
		cr_assert_eq(item->due_ms, first);
		cr_assert_geq(first, last);
		last = first;
		cr_assert_eq(item->place, ITEM_LOOSE, "an item came twice");
		item->place = ITEM_READY;
	}
	cr_assert_null(due_heap_take(&heap));
	due_heap_release(&heap);
}

/* Against the plain thing: an array that is searched for its least. */
Test(due_heap, adding_and_taking_mixed)
{
	static struct item items[ITEMS];
	struct due_heap heap = {0};
	size_t added = 0, inside = 0;

	for (int step = 0; step < 4 * ITEMS && added < ITEMS; step++) {
		if (draw() % 5 < 3) {
			items[added].due_ms = (int64_t)(draw() % 100000);
			items[added].place = ITEM_BACKOFF;
			add(&heap, &items[added++]);
			inside++;
		} else {
			int64_t least = INT64_MAX;
			for (size_t i = 0; i < added; i++)
				if (items[i].place == ITEM_BACKOFF && items[i].due_ms < least)
					least = items[i].due_ms;
			cr_assert_eq(due_heap_first_ms(&heap), least);
			struct item *item = due_heap_take(&heap);
			cr_assert_eq(item == NULL, inside == 0);
			if (item == NULL)
				continue;
			cr_assert_eq(item->due_ms, least);
			item->place = ITEM_LOOSE;
			inside--;
		}
	}
	cr_assert_eq(heap.count, inside);
	due_heap_release(&heap);
	cr_assert_eq(heap.count, 0);
}

static bool is_even(void *arg, struct item *item)
{
	(*(size_t *)arg)++;
	return item->row % 2 == 0;
}

Test(due_heap, those_not_kept_are_out_and_the_others_in_order)
{
	static struct item items[ITEMS];
	struct due_heap heap = {0};
	size_t asked = 0;
	int64_t last = INT64_MIN;

	due_heap_filter(&heap, is_even, &asked);
	for (size_t i = 0; i < ITEMS; i++) {
		items[i].row = (int64_t)i;
		items[i].due_ms = (int64_t)(draw() % 1000);
		add(&heap, &items[i]);
	}
	due_heap_filter(&heap, is_even, &asked);
	cr_assert_eq(asked, ITEMS);
	cr_assert_eq(heap.count, ITEMS / 2);
	for (struct item *item = due_heap_take(&heap); item != NULL; item = due_heap_take(&heap)) {
		cr_assert_eq(item->row % 2, 0);
		cr_assert_geq(item->due_ms, last);
		last = item->due_ms;
	}
	due_heap_release(&heap);
}
