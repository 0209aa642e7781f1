/*
 * Names and addresses that an import has had so far, to find those that are there twice: 24 bytes for each, and room
 * for half as many again to three times as many, so that a million accounts with addresses take up to 100 MB.
 *
 * Kept as keyed hashes of 128 bits: equal hashes are equal texts.
 */
#ifndef TOKENFIRST_SERVER_CLI_IMPORT_KEYS_H
#define TOKENFIRST_SERVER_CLI_IMPORT_KEYS_H

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

struct import_key {
	unsigned char hash[crypto_shorthash_siphashx24_BYTES];
	int64_t line; /* 0: a free place */
};

struct import_keys {
	unsigned char key[crypto_shorthash_siphashx24_KEYBYTES];
	struct import_key *places; /* a power of two of them */
	size_t room, count;
};

void import_keys_init(struct import_keys *keys);
void import_keys_release(struct import_keys *keys);

/* `text` is compared without regard to the case of ASCII. ERR_EXISTS: line *ret_line has it; ERR_MEMORY. */
int import_keys_add(struct import_keys *keys, const char *text, int64_t line, int64_t *ret_line) MUST_CHECK;

#endif
