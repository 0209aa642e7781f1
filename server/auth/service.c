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
static void digest(const unsigned char key[crypto_generichash_KEYBYTES], const char *token,
	unsigned char ret_digest[crypto_generichash_BYTES])
{
	(void)crypto_generichash(ret_digest, crypto_generichash_BYTES, (const unsigned char *)token, strlen(token), key,
		crypto_generichash_KEYBYTES);
}

/* `name` NULL: whichever it is. */
static const struct service_config *find(const struct config *config, const char *name, const char *token)
{
	unsigned char key[crypto_generichash_KEYBYTES];
	unsigned char given[crypto_generichash_BYTES], own[crypto_generichash_BYTES];
	const struct service_config *found = NULL;

	randombytes_buf(key, sizeof(key));
	digest(key, token, given);
	/* all of them, however early one is found */
	for (size_t i = 0; i < config->service_count; i++) {
		const struct service_config *service = &config->services[i];

		digest(key, service->token, own);
		if (sodium_memcmp(given, own, sizeof(own)) == 0 && (!name || strcmp(name, service->name) == 0))
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

static const char basic_scheme[] = "Basic ";

static bool is_basic(const char *header)
{
	return header && strncasecmp(header, basic_scheme, sizeof(basic_scheme) - 1) == 0;
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

/* By either scheme; NULL: it is none of ours, or says nothing. */
static const struct service_config *find_client(struct exchange *x, const struct config *config)
{
	const char *header = exchange_header(x, "Authorization"), *token = bearer_token(x);

	if (token)
		return find(config, NULL, token);
	return is_basic(header) ? find_basic(config, header + sizeof(basic_scheme) - 1) : NULL;
}

const struct service_config *service_authenticate_client(struct exchange *x, struct app *app)
{
	const bool basic = is_basic(exchange_header(x, "Authorization")), bearer = bearer_token(x) != NULL;
	const struct service_config *found;
	struct throttle_ticket ticket;

	if (!bearer && !basic) {
		refuse_client(x, false, false);
		return NULL;
	}
	if (throttle_begin(app->throttle, x, THROTTLE_TOKEN, NULL, &ticket) != 0)
		return NULL;
	found = find_client(x, app->config);
	throttle_end(app->throttle, &ticket, found ? THROTTLE_PASSED : THROTTLE_FAILED);
	if (!found)
		refuse_client(x, bearer, basic);
	return found;
}

const struct service_config *service_recognise_client(struct exchange *x, struct app *app)
{
	const struct service_config *found;
	struct throttle_ticket ticket;

	if (throttle_try(app->throttle, exchange_client(x), THROTTLE_TOKEN, NULL, &ticket) != 0)
		return NULL;
	found = find_client(x, app->config);
	/* a wrong one is counted by service_authenticate_client, which refuses it */
	throttle_end(app->throttle, &ticket, found ? THROTTLE_PASSED : THROTTLE_UNKNOWN);
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
