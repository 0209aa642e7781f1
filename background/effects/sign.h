/*
 * Signed requests after Standard Webhooks 1.0, symmetric scheme v1
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
 * HMAC-SHA256 over "id.timestamp.body", so that a receiver knows who sent it, and when.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_SIGN_H
#define TOKENFIRST_BACKGROUND_EFFECTS_SIGN_H

#include "background/effects/effect.h"

/* The secret is "whsec_" and base64 (with or without padding), or any other text, which is then the key itself. */
bool sign_secret_usable(const char *secret);

/*
 * Adds webhook-id, webhook-timestamp (seconds of `now_ms`) and webhook-signature over the body as it is then.
 * ERR_INVALID: the secret is not usable.
 */
int sign_request(struct request *request, const char *secret, const char *id, int64_t now_ms) MUST_CHECK;

#endif
