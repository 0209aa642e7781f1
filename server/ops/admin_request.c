#include "server/ops/admin_request.h"

#include <stdio.h>
#include <stdlib.h>

int admin_request_number(struct exchange *x, const char *name, int64_t most, int64_t fallback, int64_t *ret_number)
{
	const char *text = exchange_query(x, name);
	char *end = NULL;

	if (!text) {
		*ret_number = fallback;
		return 0;
	}
	const long long number = strtoll(text, &end, 10);
	if (end == text || *end || number < 1 || number > most)
		return ERR_INVALID;
	*ret_number = number;
	return 0;
}

void admin_request_actor(const struct user *admin, char ret_actor[AUDIT_ACTOR_SIZE])
{
	(void)snprintf(ret_actor, AUDIT_ACTOR_SIZE, "admin:%s", admin->username);
}
