#include "tests/support/refresh.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/harness.h"

struct refresh_reply refresh_post(const struct server *server, const char *token)
{
	struct refresh_reply refreshed = {0};
	json_t *object = json_pack("{s:s}", "refresh_token", token);
	char *body = json_dumps(object, JSON_COMPACT);
	struct http_reply reply;

	if (body == NULL)
		harness_fail("a token that is no JSON");
	api_post(server, "/token/refresh", NULL, body, &reply);
	refreshed.status = reply.status;
	refreshed.json = json_incref(reply.json);
	if (reply.status == 200) {
		const char *access_token = http_reply_text(&reply, "access_token");

		snprintf(refreshed.access_token, sizeof(refreshed.access_token), "%s", access_token);
		snprintf(refreshed.authorization, sizeof(refreshed.authorization), "Authorization: Bearer %s",
			access_token);
		snprintf(refreshed.refresh_token, sizeof(refreshed.refresh_token), "%s",
			http_reply_text(&reply, "refresh_token"));
	}
	http_reply_release(&reply);
	json_decref(object);
	free(body);
	return refreshed;
}

void refresh_reply_release(struct refresh_reply *reply)
{
	json_decref(reply->json);
	reply->json = NULL;
}
