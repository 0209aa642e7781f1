#include "server/auth/service.h"

#include <curl/curl.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "config/base64.h"
#include "config/limits.h"
#include "server/app.h"
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

/* `name` NULL: whichever it is. */
static const struct service_config *find(const struct config *config, const char *name, const char *token)
{
	const struct service_config *found = NULL;
	unsigned char key[crypto_generichash_KEYBYTES];

	randombytes_buf(key, sizeof(key));
	/* all of them, however early one is found */
	for (size_t i = 0; i < config->service_count; i++) {
		const struct service_config *service = &config->services[i];

		if (same_token(key, token, service->token) && (!name || strcmp(name, service->name) == 0))
			found = service;
	}
	return found;
}

const struct service_config *service_authenticate(struct exchange *x, const struct config *config)
{
	const char *token = bearer_token(x);
	const struct service_config *found = token ? find(config, NULL, token) : NULL;

	if (!found)
		(void)bearer_refuse(x, token != NULL, "This is no service's token.",
			"Send a service's token: Authorization: Bearer TOKEN");
	return found;
}

/* application/x-www-form-urlencoded, as RFC 6749 2.3.1 has it, in place. */
static void form_decode(char *text)
{
	int len = 0;
	char *decoded;

	for (char *c = strchr(text, '+'); c; c = strchr(c, '+'))
		*c = ' ';
	decoded = curl_easy_unescape(NULL, text, 0, &len);
	/* never longer than it was */
	if (decoded && len >= 0)
		memcpy(text, decoded, (size_t)len + 1);
	curl_free(decoded);
}

/* "name:token" in base64 (RFC 7617 2); NULL: none such. */
static const struct service_config *find_basic(const struct config *config, const char *encoded)
{
	char text[LIMIT_CONFIG_TEXT + LIMIT_EFFECT_NAME + 2];
	const struct service_config *found = NULL;
	char *token;
	size_t len = 0;

	if (base64_read(encoded, strlen(encoded), sodium_base64_VARIANT_ORIGINAL, text, sizeof(text) - 1, &len)) {
		text[len] = '\0';
		token = strchr(text, ':');
		if (token) {
			*token++ = '\0';
			found = find(config, text, token);
			form_decode(token);
			if (!found)
				found = find(config, text, token);
		}
	}
	sodium_memzero(text, sizeof(text));
	return found;
}

/* 401 in the words of the scheme that was tried, or naming both. */
static void refuse_client(struct exchange *x, bool bearer, bool basic)
{
	static const char challenge[] = "Basic realm=\"tokenfirst\", charset=\"UTF-8\"";

	if (!bearer)
		exchange_add_header(x, "WWW-Authenticate", challenge);
	if (bearer || !basic)
		(void)bearer_refuse(x, bearer, "This is no service's token.",
			"Send a service's token: Authorization: Bearer TOKEN, or Basic with its name and token");
	else
		exchange_problem(x, 401, "invalid_client", "This is no service's name and token.");
}

const struct service_config *service_authenticate_client(struct exchange *x, struct app *app)
{
	static const char scheme[] = "Basic ";
	const char *header = exchange_header(x, "Authorization"), *token = bearer_token(x);
	const bool basic = header && strncasecmp(header, scheme, sizeof(scheme) - 1) == 0;
	const struct service_config *found;
	struct throttle_ticket ticket;

	if (!token && !basic) {
		refuse_client(x, false, false);
		return NULL;
	}
	if (throttle_begin(app->throttle, x, THROTTLE_TOKEN, NULL, &ticket) != 0)
		return NULL;
	found = token ? find(app->config, NULL, token) : find_basic(app->config, header + sizeof(scheme) - 1);
	throttle_end(app->throttle, &ticket, found ? THROTTLE_PASSED : THROTTLE_FAILED);
	if (!found)
		refuse_client(x, token != NULL, basic);
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
