/* A queue of items, first come first served, from which any can be taken out. It owns nothing. */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_QUEUE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_QUEUE_H

#include "background/delivery/item.h"

struct queue {
	struct item *head, *tail; /* linked by next and previous */
};

void queue_add(struct queue *queue, struct item *item);
void queue_remove(struct queue *queue, struct item *item);
/* The first, taken out; NULL: empty. */
struct item *queue_take(struct queue *queue);

#endif
