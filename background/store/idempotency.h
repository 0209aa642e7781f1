/*
 * Idempotency keys of requests that hand over events (POST /events): the same key of the same service stands for the
 * same event. https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_IDEMPOTENCY_H
#define TOKENFIRST_BACKGROUND_STORE_IDEMPOTENCY_H

#include <stddef.h>
#include <stdint.h>

#include "background/store/db.h"
#include "config/id.h"

enum { IDEMPOTENCY_DIGEST = 32 };

/*
 * Inside the commit job that writes the event, before it: 0, the key is new and taken by this event now; ERR_EXISTS: it
 * has been used with the same request (its digest), and `ret_event_id` is what it made; ERR_DENIED: it has been used
 * with another one.
 */
int idempotency_take(struct db *db, const char *service, const char *key,
	const unsigned char digest[IDEMPOTENCY_DIGEST], const char *event_id, int64_t now_ms,
	char ret_event_id[ID_SIZE]) MUST_CHECK;
/* Forgets keys taken before that time, at most `limit`; inside a commit job. */
int idempotency_forget(struct db *db, int64_t before_ms, int limit, int64_t *ret_count) MUST_CHECK;

#endif
