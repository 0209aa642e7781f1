/*
 * The head of an HTTP reply, line by line as curl gives it: whether it is whole, and how long the receiver wants to be
 * left in peace. Pure; a worker's own.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_REPLY_HEAD_H
#define TOKENFIRST_BACKGROUND_DELIVERY_REPLY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reply has at most one Retry-After (RFC 9110 5.3); of one that has more, so many are looked at. */
enum { RETRY_AFTERS = 4, RETRY_AFTER_SIZE = 64 };

struct reply_head {
	bool open; /* a head has begun, and its empty line has not come */
	char retry_after[RETRY_AFTERS][RETRY_AFTER_SIZE];
	size_t retry_after_count;
};

/* Before the first line of a reply, and to forget it. */
void reply_head_reset(struct reply_head *head);
/* A whole line with its line end, `len` above 0; that of a status begins a new head. */
void reply_head_line(struct reply_head *head, const char *line, size_t len);
/* From now on, the longest of all; -1: none that can be understood. `now_ms` is for one that is a date. */
int64_t reply_head_retry_after(const struct reply_head *head, int64_t now_ms);

#endif
