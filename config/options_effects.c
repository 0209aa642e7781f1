/*
 * THE table of one effect's options, the types of effects, and the map that holds them.
 */
#include <stdlib.h>
#include <string.h>

#include "config/tables.h"

#define AT(field) .offset = offsetof(struct effect_config, field)
#define SECOND	  INT64_C(1000)
#define HOUR	  (3600 * SECOND)
#define DAY	  (24 * HOUR)

static const char *const analytics_formats[] = {"segment", "json", NULL};
static const char *const crm_formats[] = {"hubspot", "json", NULL};
static const char *const bus_formats[] = {"cloudevents", "rabbitmq", "json", NULL};

const struct effect_type effect_types[] = {
	{"email", NULL, true},
	{"analytics", analytics_formats, false},
	{"crm", crm_formats, false},
	{"bus", bus_formats, false},
};
const size_t effect_type_count = sizeof effect_types / sizeof effect_types[0];

/* The names above, and the enums of options.h in their order. */
static const char *const type_names[] = {"email", "analytics", "crm", "bus", NULL};
static const char *const deliveries[] = {"inline", "fire_and_forget", "durable", NULL};
static const char *const on_fulls[] = {"drop", "spill", NULL};
static const char *const on_failures[] = {"answer", "reject", NULL};
static const char *const auth_types[] = {"none", "bearer", "basic", "header", NULL};

static const struct option rows[] = {
	{.path = "type",
		.type = OPTION_WORD,
		.words = type_names,
		.required = true,
		AT(type),
		.doc = "what is sent, and to which kind of system"},
	{.path = "format",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(format),
		.doc = "dialect of the system that it is sent to; unset: the first one of its type"},
	{.path = "on",
		.type = OPTION_LIST,
		.max = LIMIT_EFFECT_EVENTS,
		.required = true,
		AT(on),
		.count_offset = offsetof(struct effect_config, on_count),
		.doc = "event types that cause it: user.login, user.* or *"},
	{.path = "delivery",
		.type = OPTION_CHOICE,
		.words = deliveries,
		.required = true,
		AT(delivery),
		.doc = "inline: before the answer; fire_and_forget: lost by a crash; durable: kept on disk until "
		       "delivered"},
	{.path = "on_full",
		.type = OPTION_CHOICE,
		.fallback = "drop",
		.words = on_fulls,
		AT(on_full),
		.doc = "fire_and_forget, at max_pending: drop (counted), or spill to the outbox"},
	{.path = "on_failure",
		.type = OPTION_CHOICE,
		.fallback = "answer",
		.words = on_failures,
		AT(on_failure),
		.doc = "inline: answer all the same and retry in the background, or reject the request with 502"},
	{.path = "url",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.required = true,
		AT(url),
		.doc = "target; credentials go into auth, not into the URL"},
	{.path = "ca",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(ca),
		.doc = "PEM file with the only authorities that are trusted; unset: those of the system"},
	{.path = "secret",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.secret = true,
		AT(secret),
		.doc = "key that signs requests after Standard Webhooks; unset: unsigned"},
	{.path = "auth.type",
		.type = OPTION_CHOICE,
		.fallback = "none",
		.words = auth_types,
		AT(auth.type),
		.doc = "how the target is told who we are (email: basic, the SMTP login)"},
	{.path = "auth.token",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.secret = true,
		AT(auth.token),
		.doc = "bearer: the token"},
	{.path = "auth.username",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(auth.username),
		.doc = "basic: the user"},
	{.path = "auth.password",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.may_be_empty = true,
		.secret = true,
		AT(auth.password),
		.doc = "basic: the password; may be empty"},
	{.path = "auth.name", .type = OPTION_TEXT, .max = LIMIT_CONFIG_TEXT, AT(auth.name), .doc = "header: its name"},
	{.path = "auth.value",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.secret = true,
		AT(auth.value),
		.doc = "header: its value"},
	{.path = "timeout",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "10s",
		AT(timeout_ms),
		.doc = "one attempt, connecting included"},
	{.path = "connect_timeout",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "3s",
		AT(connect_timeout_ms),
		.doc = "connecting, name lookup and TLS included"},
	{.path = "max_in_flight",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 10000,
		.fallback = "64",
		AT(max_in_flight),
		.doc = "attempts under way at once"},
	{.path = "max_pending",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = INT64_C(1000000000),
		.fallback = "1000000",
		AT(max_pending),
		.doc = "effects owed; above, durable ones are stored dead, fire-and-forget ones follow on_full"},
	{.path = "retry.max_attempts",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 10000,
		.fallback = "20",
		AT(retry.max_attempts),
		.doc = "attempts after which an effect is dead"},
	{.path = "retry.first",
		.type = OPTION_DURATION,
		.min = 1,
		.max = DAY,
		.fallback = "1s",
		AT(retry.first_ms),
		.doc = "upper bound of the first delay; each further one may be twice as long"},
	{.path = "retry.cap",
		.type = OPTION_DURATION,
		.min = 1,
		.max = 30 * DAY,
		.fallback = "1h",
		AT(retry.cap_ms),
		.doc = "upper bound of every delay"},
	{.path = "retry.max_age",
		.type = OPTION_DURATION,
		.min = 1,
		.max = 365 * DAY,
		.fallback = "3d",
		AT(retry.max_age_ms),
		.doc = "age at which an undelivered effect is dead"},
	{.path = "breaker.failures",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "5",
		AT(breaker.failures),
		.doc = "failures in a row that stop sending to the target"},
	{.path = "breaker.open_for",
		.type = OPTION_DURATION,
		.min = 1,
		.max = DAY,
		.fallback = "10s",
		AT(breaker.open_for_ms),
		.doc = "pause until one attempt probes the target again"},
	{.path = "from",
		.type = OPTION_TEXT,
		.max = LIMIT_EMAIL,
		AT(from),
		.doc = "email: address of the sender, name@host"},
	{.path = "to",
		.type = OPTION_TEXT,
		.max = LIMIT_EMAIL,
		AT(to),
		.doc = "email: address of the recipient; unset: the user's own"},
	{.path = "template",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.fallback = "config/templates",
		AT(template_dir),
		.doc = "email: folder with EVENT.txt and EVENT.html, such as user.login.txt"},
	{.path = "starttls",
		.type = OPTION_BOOL,
		.fallback = "false",
		AT(starttls),
		.doc = "email, smtp URLs: refuse to go on without TLS"},
};

const struct option_table effect_options = {rows, sizeof rows / sizeof rows[0]};

const char *delivery_text(enum delivery delivery)
{
	return deliveries[delivery];
}

bool event_type_fits(const char *pattern, const char *event_type)
{
	size_t len = strlen(pattern);
	bool prefix = len && pattern[len - 1] == '*';

	return prefix ? !strncmp(pattern, event_type, len - 1) : !strcmp(pattern, event_type);
}

bool effect_config_wants(const struct effect_config *effect, const char *event_type)
{
	for (size_t i = 0; i < effect->on_count; i++) {
		if (event_type_fits(effect->on[i], event_type))
			return true;
	}
	return false;
}

bool effect_name_valid(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	if (!name[0] || !strchr(letters, name[0]) || strstr(name, "__"))
		return false;
	return strspn(name, others) == strlen(name) && strlen(name) <= LIMIT_EFFECT_NAME;
}

/* One effect; what is wrong with it is reported. */
static void read_effect(struct sources *sources, const char *name, const json_t *value, struct effect_config *effect)
{
	char prefix[LIMIT_EFFECT_NAME + sizeof "effects.."];
	struct option_scope scope = {.sources = sources, .table = &effect_options, .prefix = prefix, .base = effect};

	(void)snprintf(prefix, sizeof prefix, "effects.%s.", name);
	effect->name = strdup(name);
	effect->effect = strdup(name);
	if (!effect->name || !effect->effect)
		sources->no_memory = true;
	option_defaults(&scope);
	if (!json_is_object(value)) {
		scope_error(&scope, "", "must be an object");
		return;
	}
	tables_walk(&scope, value);
	for (size_t i = 0; i < effect_options.count; i++) {
		if (effect_options.rows[i].required && !scope_given(&scope, effect_options.rows[i].path))
			scope_error(&scope, effect_options.rows[i].path, "is missing: %s", effect_options.rows[i].doc);
	}
	effect_check(&scope, effect);
}

void effects_read(struct sources *sources, struct config *config)
{
	struct option_scope scope = {.sources = sources, .table = &server_options, .prefix = "", .base = config};
	json_t *map = sources_find(sources, "effects"), *value = NULL;
	const char *name = NULL;
	size_t count = json_object_size(map);

	if (count > LIMIT_EFFECTS)
		scope_error(&scope, "effects", "there are %zu, at most %d are possible", count, LIMIT_EFFECTS);
	if (!count || count > LIMIT_EFFECTS)
		return;
	config->effects = calloc(count, sizeof *config->effects);
	if (!config->effects) {
		sources->no_memory = true;
		return;
	}
	json_object_foreach(map, name, value)
	{
		char path[LIMIT_CONFIG_PATH];
		(void)snprintf(path, sizeof path, "effects.%s", name);
		if (effect_name_valid(name))
			read_effect(sources, name, value, &config->effects[config->effect_count++]);
		else
			scope_error(&scope, path,
				"a name of an effect is a lower-case letter, then letters, digits and _"
				" (no __), %d bytes at most",
				LIMIT_EFFECT_NAME);
	}
}
