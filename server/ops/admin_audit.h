/*
 * The audit trail, and the whole at a glance, for administrators.
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_AUDIT_H
#define TOKENFIRST_SERVER_OPS_ADMIN_AUDIT_H

#include "server/http/route.h"

/* GET /admin/audit?user=&type=&since=&until=&limit=&before= */
void admin_audit_list(struct exchange *x, struct request_thread *thread);
/* GET /admin/overview: accounts, sessions, logins, effects, targets, keys, store: what a dashboard shows first */
void admin_overview(struct exchange *x, struct request_thread *thread);

#endif
