#include "server/cli/import_keys.h"

#include <stdlib.h>
#include <string.h>

#include "config/limits.h"

enum { FIRST_ROOM = 1024 };

void import_keys_init(struct import_keys *keys)
{
	*keys = (struct import_keys){.places = NULL};
	randombytes_buf(keys->key, sizeof(keys->key));
}

void import_keys_release(struct import_keys *keys)
{
	free(keys->places);
}

/* Where a hash is, or would be. */
static struct import_key *place(struct import_key *places, size_t room, const unsigned char *hash)
{
	uint64_t at;

	memcpy(&at, hash, sizeof(at));
	for (at &= room - 1; places[at].line != 0; at = (at + 1) & (room - 1)) {
		if (memcmp(places[at].hash, hash, sizeof(places[at].hash)) == 0)
			break;
	}
	return &places[at];
}

/* At most half of it is ever taken, so that a search is short and ends. */
static int grow(struct import_keys *keys)
{
	size_t room = keys->room ? 2 * keys->room : FIRST_ROOM;
	struct import_key *places = calloc(room, sizeof(*places));

	if (!places)
		return ERR_MEMORY;
	for (size_t i = 0; i < keys->room; i++) {
		if (keys->places[i].line != 0)
			*place(places, room, keys->places[i].hash) = keys->places[i];
	}
	free(keys->places);
	keys->places = places;
	keys->room = room;
	return 0;
}

int import_keys_add(struct import_keys *keys, const char *text, int64_t line, int64_t *ret_line)
{
	char folded[LIMIT_EMAIL + 1];
	size_t len = strnlen(text, LIMIT_EMAIL);
	struct import_key key = {.line = line}, *at;

	for (size_t i = 0; i < len; i++)
		folded[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	(void)crypto_shorthash_siphashx24(key.hash, (const unsigned char *)folded, len, keys->key);
	if (2 * (keys->count + 1) > keys->room) {
		int err = grow(keys);
		if (err)
			return err;
	}
	at = place(keys->places, keys->room, key.hash);
	if (at->line != 0) {
		*ret_line = at->line;
		return ERR_EXISTS;
	}
	*at = key;
	keys->count++;
	return 0;
}
