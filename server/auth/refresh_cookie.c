#include "server/auth/refresh_cookie.h"

bool refresh_cookie_wanted(const struct config *config, const json_t *body)
{
	(void)config;
	(void)body;
	return false;
}

void refresh_cookie_set(struct exchange *x, const struct config *config, const char *token, int64_t max_age_ms)
{
	(void)x;
	(void)config;
	(void)token;
	(void)max_age_ms;
}

void refresh_cookie_clear(struct exchange *x, const struct config *config)
{
	(void)x;
	(void)config;
}

int refresh_cookie_take(struct exchange *x, const struct config *config, char **ret_token)
{
	(void)x;
	(void)config;
	*ret_token = NULL;
	return 0;
}
