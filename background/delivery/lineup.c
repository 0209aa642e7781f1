#include "background/delivery/lineup.h"

void lineup_release(struct lineup *lineup)
{
	due_heap_release(&lineup->backoff);
}

static void add(struct lineup *lineup, struct item *item, int line)
{
	item->place = ITEM_READY;
	item->line = line;
	queue_add(&lineup->lines[line], item);
}

void lineup_add(struct lineup *lineup, struct item *item)
{
	add(lineup, item, window_room(item));
}

void lineup_add_waited(struct lineup *lineup, struct item *item)
{
	add(lineup, item, LINE_WAITED);
}

void lineup_remove(struct lineup *lineup, struct item *item)
{
	queue_remove(&lineup->lines[item->line], item);
}

int lineup_reserve(struct lineup *lineup)
{
	return due_heap_reserve(&lineup->backoff);
}

void lineup_add_later(struct lineup *lineup, struct item *item)
{
	item->place = ITEM_BACKOFF;
	due_heap_add(&lineup->backoff, item);
	lineup->backoff_rows += item->row != 0;
}

static struct item *take_later(struct lineup *lineup)
{
	struct item *item = due_heap_take(&lineup->backoff);
	if (item != NULL)
		lineup->backoff_rows -= item->row != 0;
	return item;
}

void lineup_promote(struct lineup *lineup, int64_t now_ms)
{
	while (due_heap_first_ms(&lineup->backoff) <= now_ms)
		lineup_add(lineup, take_later(lineup));
}

bool lineup_ready(const struct lineup *lineup)
{
	return lineup->lines[LINE_WAITED].head != NULL || lineup->lines[LINE_FIRST].head != NULL ||
	       lineup->lines[LINE_AGAIN].head != NULL;
}

struct item *lineup_take(struct lineup *lineup)
{
	struct item *item = queue_take(&lineup->lines[LINE_WAITED]);
	if (item != NULL)
		return item;
	int other = lineup->turn == LINE_FIRST ? LINE_AGAIN : LINE_FIRST;
	int line = lineup->lines[lineup->turn].head != NULL ? lineup->turn : other;
	lineup->turn = line == LINE_FIRST ? LINE_AGAIN : LINE_FIRST;
	return queue_take(&lineup->lines[line]);
}

bool lineup_has_suspect(const struct lineup *lineup)
{
	return lineup->lines[LINE_SUSPECT].head != NULL;
}

struct item *lineup_take_suspect(struct lineup *lineup)
{
	return queue_take(&lineup->lines[LINE_SUSPECT]);
}

struct item *lineup_demote(struct lineup *lineup)
{
	struct item *item = queue_take(&lineup->lines[LINE_WAITED]);
	for (; item != NULL; item = queue_take(&lineup->lines[LINE_WAITED])) {
		lineup_add(lineup, item);
		if (item->waiter != NULL) /* not one whose wait is over */
			break;
	}
	return item;
}

struct item *lineup_take_any(struct lineup *lineup)
{
	struct item *item = lineup_take(lineup);
	if (item == NULL)
		item = lineup_take_suspect(lineup);
	return item != NULL ? item : take_later(lineup);
}

void lineup_filter(struct lineup *lineup, bool (*keep)(void *arg, struct item *item), void *arg)
{
	for (int line = 0; line < LINES; line++) {
		struct queue asked = lineup->lines[line];
		lineup->lines[line] = (struct queue){0};
		for (struct item *item = queue_take(&asked); item != NULL; item = queue_take(&asked))
			if (item->waiter != NULL || keep(arg, item))
				queue_add(&lineup->lines[line], item);
	}
	due_heap_filter(&lineup->backoff, keep, arg);
	lineup->backoff_rows = 0;
	for (size_t i = 0; i < lineup->backoff.count; i++)
		lineup->backoff_rows += lineup->backoff.items[i]->row != 0;
}

int64_t lineup_due_ms(const struct lineup *lineup)
{
	return lineup_ready(lineup) ? 0 : due_heap_first_ms(&lineup->backoff);
}

int64_t lineup_oldest_due_ms(const struct lineup *lineup)
{
	int64_t oldest = INT64_MAX;
	for (int line = 0; line < LINES; line++)
		if (lineup->lines[line].head != NULL && lineup->lines[line].head->due_ms < oldest)
			oldest = lineup->lines[line].head->due_ms;
	return oldest != INT64_MAX ? oldest : 0;
}
