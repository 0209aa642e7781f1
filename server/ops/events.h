/* GET /events/{event_id}: what became of each effect, for the user who caused the event, or an admin. */
#ifndef TOKENFIRST_SERVER_OPS_EVENTS_H
#define TOKENFIRST_SERVER_OPS_EVENTS_H

#include "server/http/route.h"

void events_show(struct exchange *x, struct request_thread *thread);

#endif
