#include "server/auth/password_change.h"

void password_change(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}
