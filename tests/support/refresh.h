/*
 * POST /token/refresh, as tests of sessions use it again and again. Any thread.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_REFRESH_H
#define TOKENFIRST_TESTS_SUPPORT_REFRESH_H

#include "tests/support/api.h"

struct refresh_reply {
	int status;		       /* 0: there was no reply; the texts are "" unless it is 200 */
	char authorization[API_TOKEN]; /* a header line: "Authorization: Bearer …" */
	char access_token[API_TOKEN];
	char refresh_token[256];
	json_t *json; /* the body; NULL: none */
};

struct refresh_reply refresh_post(const struct server *server, const char *token);
void refresh_reply_release(struct refresh_reply *reply);

#endif
