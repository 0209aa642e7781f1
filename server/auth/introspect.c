#include "server/auth/introspect.h"

void introspect(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}
