#include "server/auth/login_totp.h"

void login_totp_offer(struct exchange *x, struct app *app, const struct user *user)
{
	(void)app;
	(void)user;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}

void login_totp(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_problem(x, 501, "not_implemented", "Not yet.");
}
