#include "server/auth/password_reset.h"

void password_forgot(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}

void password_reset(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}
