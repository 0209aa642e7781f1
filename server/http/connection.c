#include "server/http/connection.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *deadline_text(enum deadline deadline)
{
	static const char *const texts[DEADLINE_COUNT] = {"header_deadline", "body_deadline", "reply_deadline"};

	return deadline < DEADLINE_COUNT ? texts[deadline] : "none";
}

static void print_client(struct connection *c)
{
	static const char unknown[] = "unknown";
	const char *text = NULL;

	if (c->address.any.sa_family == AF_INET) {
		text = inet_ntop(AF_INET, &c->address.v4.sin_addr, c->client, sizeof(c->client));
	} else if (c->address.any.sa_family == AF_INET6) {
		const struct in6_addr *six = &c->address.v6.sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED(six))
			text = inet_ntop(AF_INET, &six->s6_addr[12], c->client, sizeof(c->client));
		else
			text = inet_ntop(AF_INET6, six, c->client, sizeof(c->client));
	}
	if (!text)
		memcpy(c->client, unknown, sizeof(unknown));
}

int connection_new(int fd, const union address *address, socklen_t len, bool ops, struct connection **ret)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return ERR_MEMORY;
	c->fd = fd;
	c->ops = ops;
	c->address = *address;
	c->address_len = len;
	c->deadline = DEADLINE_NONE;
	print_client(c);
	*ret = c;
	return 0;
}

void connection_free(struct connection *c)
{
	free(c);
}

void deadlines_init(struct deadlines *d, int64_t header_ms, int64_t body_ms, int64_t reply_ms)
{
	d->length_us[DEADLINE_HEADER] = header_ms * 1000;
	d->length_us[DEADLINE_BODY] = body_ms * 1000;
	d->length_us[DEADLINE_REPLY] = reply_ms * 1000;
	for (int i = 0; i < DEADLINE_COUNT; i++)
		TAILQ_INIT(&d->armed[i]);
}

void deadlines_arm(struct deadlines *d, struct connection *c, enum deadline deadline, int64_t now_us)
{
	if (c->deadline != DEADLINE_NONE)
		TAILQ_REMOVE(&d->armed[c->deadline], c, due);
	c->deadline = deadline;
	if (deadline == DEADLINE_NONE)
		return;
	c->due_us = now_us + d->length_us[deadline];
	TAILQ_INSERT_TAIL(&d->armed[deadline], c, due);
}

int64_t deadlines_armed_us(const struct deadlines *d, const struct connection *c)
{
	assert(c->deadline != DEADLINE_NONE);
	return c->due_us - d->length_us[c->deadline];
}

int64_t deadlines_nearest_us(const struct deadlines *d)
{
	int64_t nearest = INT64_MAX;

	for (int i = 0; i < DEADLINE_COUNT; i++) {
		const struct connection *first = TAILQ_FIRST(&d->armed[i]);
		if (first && first->due_us < nearest)
			nearest = first->due_us;
	}
	return nearest;
}

struct connection *deadlines_expire(struct deadlines *d, int64_t now_us, enum deadline *ret_deadline)
{
	for (enum deadline i = 0; i < DEADLINE_COUNT; i++) {
		struct connection *first = TAILQ_FIRST(&d->armed[i]);
		if (!first || first->due_us > now_us)
			continue;
		*ret_deadline = i;
		deadlines_arm(d, first, DEADLINE_NONE, now_us);
		return first;
	}
	return NULL;
}
