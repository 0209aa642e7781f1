/*
 * Tokens as a server's own key signs them, with claims of a test's choice: what its routes make of tokens that it would
 * not, or not yet, hand out itself.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_FORGE_H
#define TOKENFIRST_TESTS_SUPPORT_FORGE_H

#include "server/token/token.h"
#include "tests/support/api.h"

/* The claims of a login's token. */
struct token_claims forge_claims(const struct api_login *login);
/*
 * A token with these claims, of the issuer and audience of `like`, under the key of the store that signs now (EdDSA).
 * Free it.
 */
char *forge_token(const struct server *server, const struct api_login *like, const struct token_claims *claims);

#endif
