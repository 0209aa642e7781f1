/*
 * POST /events: another service hands over what its users caused, and its side effects with it.
 *
 *   {"type":"order.paid","subject":"42","data":{…}}, Idempotency-Key: …        202 {"event_id":"01J…"}
 *
 * The answer means that the event and all the durable effects that want it are on disk. A repeated key gives the same
 * event and causes nothing; with another body it is a 422. Where the first request failed for an inline effect that
 * rejects, with 502, a repeat does so too, until that effect is delivered. Keys belong to their service and are kept
 * for LIMIT_IDEMPOTENCY_MS (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/). Without a key
 * each request is an event of its own. Data beyond LIMIT_EVENT_DATA is a 413: no request could carry it.
 */
#ifndef TOKENFIRST_SERVER_OPS_EVENTS_ACCEPT_H
#define TOKENFIRST_SERVER_OPS_EVENTS_ACCEPT_H

#include "server/http/route.h"

void events_accept(struct exchange *x, struct request_thread *thread);

#endif
