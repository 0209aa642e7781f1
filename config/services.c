/*
 * THE table of one service's options, and the map that holds them.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/tables.h"

#define AT(field) .offset = offsetof(struct service_config, field)

static const struct option rows[] = {
	{.path = "token",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.required = true,
		.secret = true,
		AT(token),
		.doc = "its bearer token: 16 bytes or more, known to nobody else"},
	{.path = "types",
		.type = OPTION_LIST,
		.max = LIMIT_EFFECT_EVENTS,
		.fallback = "*",
		AT(types),
		.count_offset = offsetof(struct service_config, type_count),
		.doc = "event types that it may send: order.created, order.* or *"},
	{.path = "introspect",
		.type = OPTION_BOOL,
		.fallback = "false",
		AT(introspect),
		.doc = "whether it may ask about tokens (POST /introspect)"},
};

const struct option_table service_options = {rows, sizeof rows / sizeof rows[0]};

/* b64token of RFC 6750 2.1: what can follow "Bearer " in a header. */
static bool is_bearer(const char *token)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/";
	size_t len = strspn(token, letters);

	return len && strspn(token + len, "=") == strlen(token + len);
}

/* `others` are those before it. */
static void check(
	const struct option_scope *scope, const struct service_config *others, const struct service_config *service)
{
	for (size_t i = 0; i < service->type_count; i++) {
		if (!pattern_valid(service->types[i]))
			scope_error(scope, "types", "\"%s\" is no event type, prefix.* or *", service->types[i]);
	}
	if (!service->token)
		return;
	const size_t len = strlen(service->token);
	if (len < LIMIT_SERVICE_TOKEN)
		scope_error(scope, "token", "is too short: %d bytes at least", LIMIT_SERVICE_TOKEN);
	else if (!is_bearer(service->token))
		scope_error(scope, "token", "must consist of letters, digits and -._~+/ (RFC 6750 2.1)");
	for (; others < service; others++) {
		if (others->token && strlen(others->token) == len && !sodium_memcmp(others->token, service->token, len))
			scope_error(scope, "token", "is the token of %s too: who sent an event could not be told",
				others->name);
	}
}

static void read_service(
	struct sources *sources, const char *name, const json_t *value, struct service_config *first, size_t index)
{
	char prefix[LIMIT_EFFECT_NAME + sizeof "services.."];
	struct service_config *service = &first[index];
	struct option_scope scope = {.sources = sources, .table = &service_options, .prefix = prefix, .base = service};

	(void)snprintf(prefix, sizeof prefix, "services.%s.", name);
	service->name = strdup(name);
	if (!service->name)
		sources->no_memory = true;
	option_defaults(&scope);
	if (!json_is_object(value)) {
		scope_error(&scope, "", "must be an object");
		return;
	}
	tables_walk(&scope, value);
	if (!scope_given(&scope, "token"))
		scope_error(&scope, "token", "is missing: %s", option_find(&service_options, "token")->doc);
	check(&scope, first, service);
}

void services_read(struct sources *sources, struct config *config)
{
	struct option_scope scope = {.sources = sources, .table = &server_options, .prefix = "", .base = config};
	json_t *map = sources_find(sources, "services"), *value = NULL;
	const char *name = NULL;
	size_t count = json_object_size(map);

	if (count > LIMIT_SERVICES)
		scope_error(&scope, "services", "there are %zu, at most %d are possible", count, LIMIT_SERVICES);
	if (!count || count > LIMIT_SERVICES)
		return;
	config->services = calloc(count, sizeof *config->services);
	if (!config->services) {
		sources->no_memory = true;
		return;
	}
	json_object_foreach(map, name, value)
	{
		char path[LIMIT_CONFIG_PATH];
		(void)snprintf(path, sizeof path, "services.%s", name);
		if (effect_name_valid(name))
			read_service(sources, name, value, config->services, config->service_count++);
		else
			scope_error(&scope, path,
				"a name of a service is a lower-case letter, then letters, digits and _"
				" (no __), %d bytes at most",
				LIMIT_EFFECT_NAME);
	}
}
