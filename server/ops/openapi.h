/*
 * GET /openapi.json: what the server offers, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), from server/ops/openapi.json, which is built in.
 */
#ifndef TOKENFIRST_SERVER_OPS_OPENAPI_H
#define TOKENFIRST_SERVER_OPS_OPENAPI_H

#include "server/http/route.h"

void openapi_show(struct exchange *x, struct request_thread *thread);

#endif
