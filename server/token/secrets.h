/* The server's own secret keys as the store keeps them: what keys_load loads and keys_secret gives out (keys.h). */
#ifndef TOKENFIRST_SERVER_TOKEN_SECRETS_H
#define TOKENFIRST_SERVER_TOKEN_SECRETS_H

#include "background/store/db.h"
#include "server/token/keys.h"

enum { SECRET_BYTES = 32 };

/* Reads all and makes those that are missing, within the caller's transaction. ERR_CRYPTO: one of another length. */
int secrets_load(struct db *writer, unsigned char ret_secrets[SECRET_COUNT][SECRET_BYTES]) MUST_CHECK;

#endif
