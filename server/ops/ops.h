/* What operators and machines ask: health, metrics, public keys. All are answered on the loop's thread. */
#ifndef TOKENFIRST_SERVER_OPS_OPS_H
#define TOKENFIRST_SERVER_OPS_OPS_H

#include "server/http/route.h"

void health_live(struct exchange *x, struct request_thread *thread);
/* 503 with the reasons while draining, while the outbox can't be written, while workers don't progress. */
void health_ready(struct exchange *x, struct request_thread *thread);
void metrics_show(struct exchange *x, struct request_thread *thread);
/* The keys that verify now, for caches to keep for half of token.key_lead; 304 to one that has the latest (RFC
 * 9110 13.1.2). */
void jwks_show(struct exchange *x, struct request_thread *thread);

#endif
