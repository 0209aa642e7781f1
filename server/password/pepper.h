/*
 * Peppers: secrets of the configuration without which a stolen store gives nobody anything to guess at.
 *
 * What is hashed is then HMAC-SHA-512-256 of the password under a key made from the pepper, as base64. A stored form
 * names its pepper by an id, the first bytes of a keyed hash of it: public, and of no use against one that is random
 * (`openssl rand -base64 32`). The first of the list is for new hashes, the others for those made with them; a hash
 * whose pepper is gone matches nothing.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_PEPPER_H
#define TOKENFIRST_SERVER_PASSWORD_PEPPER_H

#include <sodium.h>
#include <stddef.h>

#include "config/options.h"

enum {
	PEPPER_ID_SIZE = 9, /* 8 hexadecimal digits and the NUL */
	PEPPERED_SIZE = sodium_base64_ENCODED_LEN(crypto_auth_BYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING),
};

struct pepper {
	char id[PEPPER_ID_SIZE];
	unsigned char key[crypto_auth_KEYBYTES];
};

struct peppers {
	struct pepper list[LIMIT_PEPPERS];
	size_t count; /* 0: nothing is peppered */
};

/* Wipe with peppers_release. */
void peppers_make(const struct config *config, struct peppers *ret_peppers);
void peppers_release(struct peppers *peppers);

/* The one for new hashes; NULL: none. */
const struct pepper *peppers_current(const struct peppers *peppers);
/* NULL: none of this id. */
const struct pepper *peppers_find(const struct peppers *peppers, const char *id);

/* To be wiped like the password. */
void pepper_apply(const struct pepper *pepper, const char *text, char ret_peppered[PEPPERED_SIZE]);

#endif
