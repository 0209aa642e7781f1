/*
 * Signed requests after Standard Webhooks 1.0
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): a signature
 * over "id.timestamp.body", so that a receiver knows who sent it, and when.
 *
 *   whsec_BASE64  v1, HMAC-SHA256 with the decoded bytes
 *   whsk_BASE64   v1a, Ed25519: the seed of 32 bytes, or 64 with the public key after it. A seed costs the derivation of
 *                 its public key, about as much again as the signature, for each request.
 *   whpk_…        refused: that is the public key, which receivers get
 *   other text    v1 with the text's own bytes
 *
 * Padding of the base64 is optional. The spec forbids a '.' in an id that a user may choose; ours has one where a
 * target is named, but comes from the configuration and the clock alone.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_SIGN_H
#define TOKENFIRST_BACKGROUND_EFFECTS_SIGN_H

#include "background/effects/effect.h"

/* NULL: the secret can be used. Else why not, in static text that does not repeat it. */
const char *sign_secret_fault(const char *secret);

/*
 * Adds webhook-id, webhook-timestamp (seconds of `now_ms`) and webhook-signature over the body as it is then: one
 * signature for each of 1 to LIMIT_SECRETS secrets, in their order, separated by spaces. ERR_INVALID: a secret can't be
 * used.
 */
int sign_request(
	struct request *request, char *const *secrets, size_t count, const char *id, int64_t now_ms) MUST_CHECK;

#endif
