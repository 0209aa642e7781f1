#include "background/delivery/inbox.h"

#include "config/clock.h"
#include "config/limits.h"

void inbox_init(struct inbox *inbox)
{
	*inbox = (struct inbox){0};
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->last = &inbox->first;
}

void inbox_release(struct inbox *inbox)
{
	pthread_mutex_destroy(&inbox->lock);
}

/* The caller holds the lock. */
static int put(struct inbox *inbox, struct message *message)
{
	bool was_empty = inbox->first == NULL;
	if (inbox->closed && message->kind != MESSAGE_SETTLED)
		return ERR_CLOSED;
	message->next = NULL;
	*inbox->last = message;
	inbox->last = &message->next;
	if (was_empty)
		inbox->waiting_since_us = clock_mono_us();
	return was_empty;
}

int inbox_put(struct inbox *inbox, struct message *message)
{
	pthread_mutex_lock(&inbox->lock);
	int result = put(inbox, message);
	pthread_mutex_unlock(&inbox->lock);
	return result;
}

int inbox_put_offer(struct inbox *inbox, struct message *message, bool refusable)
{
	int result = ERR_LIMIT;
	pthread_mutex_lock(&inbox->lock);
	if (!refusable || inbox->offers < LIMIT_INBOX_OFFERS) {
		result = put(inbox, message);
		inbox->offers += result >= 0;
	}
	pthread_mutex_unlock(&inbox->lock);
	return result;
}

static struct message *take(struct inbox *inbox, bool close)
{
	pthread_mutex_lock(&inbox->lock);
	struct message *first = inbox->first;
	inbox->first = NULL;
	inbox->last = &inbox->first;
	inbox->offers = 0;
	inbox->waiting_since_us = 0;
	inbox->closed = inbox->closed || close;
	pthread_mutex_unlock(&inbox->lock);
	return first;
}

struct message *inbox_take(struct inbox *inbox)
{
	return take(inbox, false);
}

struct message *inbox_close(struct inbox *inbox)
{
	return take(inbox, true);
}

bool inbox_empty(struct inbox *inbox)
{
	pthread_mutex_lock(&inbox->lock);
	bool empty = inbox->first == NULL;
	pthread_mutex_unlock(&inbox->lock);
	return empty;
}

int64_t inbox_age_us(struct inbox *inbox, int64_t now_us)
{
	pthread_mutex_lock(&inbox->lock);
	int64_t since = inbox->waiting_since_us;
	pthread_mutex_unlock(&inbox->lock);
	return since == 0 || since > now_us ? 0 : now_us - since;
}
