#include "background/delivery/queue.h"

void queue_add(struct queue *queue, struct item *item)
{
	item->next = NULL;
	item->previous = queue->tail;
	*(queue->tail != NULL ? &queue->tail->next : &queue->head) = item;
	queue->tail = item;
}

void queue_remove(struct queue *queue, struct item *item)
{
	*(item->previous != NULL ? &item->previous->next : &queue->head) = item->next;
	*(item->next != NULL ? &item->next->previous : &queue->tail) = item->previous;
	item->next = item->previous = NULL;
}

struct item *queue_take(struct queue *queue)
{
	struct item *item = queue->head;
	if (item != NULL)
		queue_remove(queue, item);
	return item;
}
