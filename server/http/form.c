/* Bodies of form fields, and cookies: what browsers and OAuth clients send beside JSON. */
#include <stdlib.h>

#include "server/http/exchange_internal.h"

json_t *exchange_form(struct exchange *x)
{
	return exchange_json(x);
}

char *exchange_cookie(struct exchange *x, const char *name)
{
	(void)x;
	(void)name;
	return NULL;
}
