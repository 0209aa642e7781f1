#include "server/http/cors.h"

#include <stdio.h>
#include <string.h>

const char *cors_match(const struct config *config, const char *origin)
{
	for (size_t i = 0; origin && i < config->cors.origin_count; i++) {
		if (strcmp(config->cors.origins[i], origin) == 0)
			return config->cors.origins[i];
	}
	return NULL;
}

void cors_preflight(struct exchange *x, const struct config *config, const char *methods)
{
	char seconds[24];

	(void)snprintf(seconds, sizeof(seconds), "%lld", (long long)(config->cors.max_age_ms / 1000));
	exchange_add_header(x, "Access-Control-Allow-Methods", methods);
	exchange_add_header(x, "Access-Control-Allow-Headers", CORS_ALLOWED);
	exchange_add_header(x, "Access-Control-Max-Age", seconds);
}
