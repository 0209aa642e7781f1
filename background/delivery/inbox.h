/*
 * A worker's inbox: many threads put messages in, one takes them all out.
 *
 * Messages are links inside what they announce, so that putting one in never allocates. Only the first
 * message into an empty inbox wakes the worker.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_INBOX_H
#define TOKENFIRST_BACKGROUND_DELIVERY_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

enum message_kind {
	MESSAGE_OFFER,	 /* of a struct item */
	MESSAGE_RUN,	 /* of a struct inline_wait */
	MESSAGE_SETTLED, /* of a struct settle_batch */
	MESSAGE_FLOWN,	 /* of a struct flight: its courier is back */
};

struct message {
	struct message *next;
	enum message_kind kind;
	void *subject; /* what it is a part of */
};

struct inbox {
	pthread_mutex_t lock; /* guards all below */
	struct message *first, **last;
	size_t offers;
	bool closed;
	int64_t waiting_since_us; /* 0: empty */
};

void inbox_init(struct inbox *inbox);
void inbox_release(struct inbox *inbox);

/* 1: the inbox was empty, wake its owner. 0: no need. ERR_CLOSED: not taken (what is settled always is). */
int inbox_put(struct inbox *inbox, struct message *message) MUST_CHECK;
/* An offer that may be turned away at LIMIT_INBOX_OFFERS: as inbox_put, or ERR_LIMIT. */
int inbox_put_offer(struct inbox *inbox, struct message *message, bool refusable) MUST_CHECK;
/* All of them, oldest first; NULL: none. */
struct message *inbox_take(struct inbox *inbox);
/* The same, for the last time: its owner ends, and nobody may wait for an answer any more. */
struct message *inbox_close(struct inbox *inbox);
bool inbox_empty(struct inbox *inbox);
/* How long the oldest message has waited: 0 when empty. Any thread. */
int64_t inbox_age_us(struct inbox *inbox, int64_t now_us);

#endif
