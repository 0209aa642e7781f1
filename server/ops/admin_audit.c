#include "server/ops/admin_audit.h"

void admin_audit_list(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}

void admin_overview(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}
