#include "server/auth/failure.h"

void failure_record(struct app *app, const struct origin *origin, const struct user *user,
	const struct throttle_ticket *ticket, const char *type)
{
	(void)app;
	(void)origin;
	(void)user;
	(void)ticket;
	(void)type;
}
