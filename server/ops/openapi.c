#include "server/ops/openapi.h"

#include <jansson.h>
#include <string.h>

#include "server/app.h"
#include "server/embed.h"

EMBED(openapi_document, "server/ops/openapi.json");

int openapi_render(const struct config *config, char **ret_text)
{
	json_t *document = json_loads(openapi_document, JSON_REJECT_DUPLICATES, NULL);
	json_t *info = json_object_get(document, "info");
	json_t *servers = json_pack("[{s:s}]", "url", config->public_url);
	char *text = NULL;

	if (document && servers && json_object_set_new(info, "version", json_string(TOKENFIRST_VERSION)) == 0 &&
		json_object_set(document, "servers", servers) == 0)
		text = json_dumps(document, JSON_COMPACT);
	json_decref(servers);
	json_decref(document);
	if (!text)
		return ERR_MEMORY;
	*ret_text = text;
	return 0;
}

void openapi_show(struct exchange *x, struct request_thread *thread)
{
	exchange_cache(x, "public, max-age=300");
	exchange_answer_lasting(x, 200, "application/json", thread->app->openapi, strlen(thread->app->openapi));
}
