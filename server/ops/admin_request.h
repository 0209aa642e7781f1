/* What handlers of /admin read out of their requests, and write down of who asked. */
#ifndef TOKENFIRST_SERVER_OPS_ADMIN_REQUEST_H
#define TOKENFIRST_SERVER_OPS_ADMIN_REQUEST_H

#include "background/store/audit.h"
#include "server/accounts/users.h"
#include "server/http/exchange.h"

/* A whole number from 1 to `most` in the query; `fallback` where there is none. ERR_INVALID. */
int admin_request_number(
	struct exchange *x, const char *name, int64_t most, int64_t fallback, int64_t *ret_number) MUST_CHECK;

/* "admin:NAME", as audit rows have it. */
void admin_request_actor(const struct user *admin, char ret_actor[AUDIT_ACTOR_SIZE]);

#endif
