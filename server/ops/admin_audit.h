/*
 * The audit trail, for administrators.
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_AUDIT_H
#define TOKENFIRST_SERVER_OPS_ADMIN_AUDIT_H

#include "server/http/route.h"

/*
 * GET /admin/audit?user=&type=&since=&until=&client=&request_id=&limit=&before=: {"rows":[…],"next":CURSOR or null},
 * the newest first (audit_query.h; a page may have few and not be the last). 404 user_not_found
 */
void admin_audit_list(struct exchange *x, struct request_thread *thread);

#endif
