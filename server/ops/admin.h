/*
 * /admin: what operators look at and do by HTTP, with an administrator's access token.
 *
 *   GET  /admin/effects            ?state=dead&effect=crm&cause=age&since=2h&until=…&limit=100&before=CURSOR
 *                                  {"effects":[…],"next":CURSOR or null}, the newest first
 *   GET  /admin/effects/{id}       an effect with its attempt log and the reply's first bytes
 *   POST /admin/effects/replay     {"ids":[…]} or {"effect","cause","since","until"}, "dry_run", or "all":true
 *   POST /admin/effects/discard    the same, and "state":"pending"
 *   GET  /admin/targets            {"targets":[…]}: breaker, pauses, backlog of each
 *   POST /admin/targets/{name}/pause, …/resume      ?reason=…
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_H
#define TOKENFIRST_SERVER_OPS_ADMIN_H

#include "server/http/route.h"

enum { ADMIN_PAGE = 100, ADMIN_PAGE_MAX = 1000 };

void admin_effects_list(struct exchange *x, struct request_thread *thread);
void admin_effects_show(struct exchange *x, struct request_thread *thread);
void admin_effects_replay(struct exchange *x, struct request_thread *thread);
void admin_effects_discard(struct exchange *x, struct request_thread *thread);
void admin_targets_list(struct exchange *x, struct request_thread *thread);
void admin_targets_pause(struct exchange *x, struct request_thread *thread);
void admin_targets_resume(struct exchange *x, struct request_thread *thread);

#endif
