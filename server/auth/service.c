#include "server/auth/service.h"

#include <sodium.h>
#include <string.h>

#include "server/auth/bearer.h"

/* Digests are of one length whatever the tokens are, and the key makes them this process's own. */
static bool same_token(const unsigned char key[crypto_generichash_KEYBYTES], const char *a, const char *b)
{
	unsigned char digest_a[crypto_generichash_BYTES], digest_b[crypto_generichash_BYTES];

	(void)crypto_generichash(
		digest_a, sizeof(digest_a), (const unsigned char *)a, strlen(a), key, crypto_generichash_KEYBYTES);
	(void)crypto_generichash(
		digest_b, sizeof(digest_b), (const unsigned char *)b, strlen(b), key, crypto_generichash_KEYBYTES);
	return sodium_memcmp(digest_a, digest_b, sizeof(digest_a)) == 0;
}

const struct service_config *service_authenticate(struct exchange *x, const struct config *config)
{
	const char *token = bearer_token(x);
	const struct service_config *found = NULL;
	unsigned char key[crypto_generichash_KEYBYTES];

	randombytes_buf(key, sizeof(key));
	/* all of them, however early one is found */
	for (size_t i = 0; token && i < config->service_count; i++) {
		if (same_token(key, token, config->services[i].token))
			found = &config->services[i];
	}
	if (!found)
		(void)bearer_refuse(x, token != NULL, "This is no service's token.",
			"Send a service's token: Authorization: Bearer TOKEN");
	return found;
}

bool service_may_send(const struct service_config *service, const char *event_type)
{
	for (size_t i = 0; i < service->type_count; i++) {
		if (event_type_fits(service->types[i], event_type))
			return true;
	}
	return false;
}
