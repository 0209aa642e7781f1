/*
 * GET /openapi.json: what the server offers, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0):
 * server/ops/openapi.json, which is built in, with this server's address and version.
 */
#ifndef TOKENFIRST_SERVER_OPS_OPENAPI_H
#define TOKENFIRST_SERVER_OPS_OPENAPI_H

#include "config/options.h"
#include "server/http/route.h"

/* Once, at start; free() it. ERR_MEMORY. */
int openapi_render(const struct config *config, char **ret_text) MUST_CHECK;

void openapi_show(struct exchange *x, struct request_thread *thread);

#endif
