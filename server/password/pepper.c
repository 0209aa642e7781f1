#include "server/password/pepper.h"

#include <string.h>

/* Hashes of one pepper for two uses, told apart by the key. */
static void derive(const char *use, const char *pepper, unsigned char *ret_bytes, size_t len)
{
	/* can't fail: both lengths are within its bounds */
	(void)crypto_generichash(
		ret_bytes, len, (const unsigned char *)pepper, strlen(pepper), (const unsigned char *)use, strlen(use));
}

void peppers_make(const struct config *config, struct peppers *ret_peppers)
{
	unsigned char id[crypto_generichash_BYTES];

	*ret_peppers = (struct peppers){.count = config->password.pepper_count};
	for (size_t i = 0; i < ret_peppers->count; i++) {
		struct pepper *pepper = &ret_peppers->list[i];

		derive("tokenfirst pepper id", config->password.peppers[i], id, sizeof(id));
		sodium_bin2hex(pepper->id, sizeof(pepper->id), id, (PEPPER_ID_SIZE - 1) / 2);
		derive("tokenfirst pepper key", config->password.peppers[i], pepper->key, sizeof(pepper->key));
	}
}

void peppers_release(struct peppers *peppers)
{
	sodium_memzero(peppers, sizeof(*peppers));
}

const struct pepper *peppers_current(const struct peppers *peppers)
{
	return peppers->count > 0 ? &peppers->list[0] : NULL;
}

const struct pepper *peppers_find(const struct peppers *peppers, const char *id)
{
	for (size_t i = 0; i < peppers->count; i++) {
		if (strcmp(peppers->list[i].id, id) == 0)
			return &peppers->list[i];
	}
	return NULL;
}

void pepper_apply(const struct pepper *pepper, const char *text, char ret_peppered[PEPPERED_SIZE])
{
	unsigned char mac[crypto_auth_BYTES];

	(void)crypto_auth(mac, (const unsigned char *)text, strlen(text), pepper->key);
	sodium_bin2base64(ret_peppered, PEPPERED_SIZE, mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	sodium_memzero(mac, sizeof(mac));
}
