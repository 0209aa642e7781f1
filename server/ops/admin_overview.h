/*
 * The whole at a glance, for administrators: what a dashboard shows first. GET /admin/overview:
 *
 *   {"version","uptime_s","time",
 *    "users":{"total","disabled","locked"},
 *    "sessions":{"live","at_least":bool},
 *    "logins":{"last_24h","failed_24h","at_least":bool},
 *    "targets":[…as /admin/targets…],
 *    "keys":[{"kid","alg","signs"}],
 *    "store":{"schema","wal_bytes","healthy"}}
 *
 * "at_least": counted no further than LIMIT_OVERVIEW_COUNT.
 */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_OVERVIEW_H
#define TOKENFIRST_SERVER_OPS_ADMIN_OVERVIEW_H

#include "server/http/route.h"

void admin_overview(struct exchange *x, struct request_thread *thread);

#endif
