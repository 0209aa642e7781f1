/*
 * THE table of one effect's options, and the types of effects.
 */
#include <string.h>

#include "config/tables.h"

#define AT(field) .offset = offsetof(struct effect_config, field)
#define SECOND	  INT64_C(1000)
#define HOUR	  (3600 * SECOND)
#define DAY	  (24 * HOUR)

static const char *const analytics_formats[] = {"segment", "posthog", "json", NULL};
static const char *const crm_formats[] = {"hubspot", "salesforce", "json", NULL};
static const char *const bus_formats[] = {"cloudevents", "azure-service-bus", "rabbitmq", "json", NULL};

const struct effect_type effect_types[] = {
	{"email", NULL, true},
	{"analytics", analytics_formats, false},
	{"crm", crm_formats, false},
	{"bus", bus_formats, false},
	{"webhook", NULL, false},
	{"chat", NULL, false},
};
const size_t effect_type_count = sizeof effect_types / sizeof effect_types[0];

/* The names above, and the enums of options.h in their order. */
static const char *const type_names[] = {"email", "analytics", "crm", "bus", "webhook", "chat", NULL};
static const char *const deliveries[] = {"inline", "fire_and_forget", "durable", NULL};
static const char *const on_fulls[] = {"drop", "spill", NULL};
static const char *const on_failures[] = {"answer", "reject", NULL};
static const char *const auth_types[] = {"none", "bearer", "basic", "header", "oauth2", NULL};

/*
 * What suits a type better than the defaults of the rows. A ping that is an hour late is noise. A mail server that puts
 * off an unknown sender (greylisting) wants to be asked again after minutes, not at once: RFC 5321 4.5.4.1. Counted
 * events a day old change nothing that anyone still looks at.
 */
static const struct {
	const char *type, *path, *fallback;
} type_defaults[] = {
	{"email", "retry.first", "30s"},
	{"email", "retry.max_age", "2d"},
	{"analytics", "retry.max_age", "1d"},
	{"chat", "retry.max_attempts", "8"},
	{"chat", "retry.max_age", "1h"},
};

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
	{.path = "urls",
		.type = OPTION_OBJECTS,
		.max = LIMIT_TARGETS,
		.doc = "instead of url, several targets: {\"name\", \"url\", and what differs of these options}"},
	{.path = "ca",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(ca),
		.doc = "PEM file with the only authorities that are trusted; unset: those of the system"},
	{.path = "secret",
		.type = OPTION_LIST,
		.max = LIMIT_SECRETS,
		.lone = true,
		.secret = true,
		AT(secrets),
		.count_offset = offsetof(struct effect_config, secret_count),
		.doc = "keys that sign requests (Standard Webhooks): whsec_, whsk_ (Ed25519) or any text; webhook "
		       "needs one"},
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
	{.path = "auth.token_url",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(auth.token_url),
		.doc = "oauth2: where a token is fetched (client credentials); https, or http on this machine"},
	{.path = "auth.client_id",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(auth.client_id),
		.doc = "oauth2: who asks for the token"},
	{.path = "auth.client_secret",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.secret = true,
		AT(auth.client_secret),
		.doc = "oauth2: the secret of auth.client_id"},
	{.path = "auth.scope",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(auth.scope),
		.doc = "oauth2: what the token should allow, words with blanks between; unset: what the server gives"},
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
	{.path = "rate.per_second",
		.type = OPTION_NUMBER,
		.min = 0,
		.max = 1000000,
		.fallback = "0",
		AT(rate.per_second),
		.doc = "attempts that may begin in a second; 0: no limit"},
	{.path = "rate.burst",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		AT(rate.burst),
		.doc = "attempts that may begin at once after a rest; unset: as many as rate.per_second"},
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
	{.path = "breaker.failure_share",
		.type = OPTION_NUMBER,
		.unit = "percent",
		.min = 0,
		.max = 100,
		.fallback = "50",
		AT(breaker.failure_share),
		.doc = "share of failures in breaker.window that does so too; 0: never"},
	{.path = "breaker.window",
		.type = OPTION_DURATION,
		.min = 100,
		.max = HOUR,
		.fallback = "30s",
		AT(breaker.window_ms),
		.doc = "time over which breaker.failure_share is taken"},
	{.path = "breaker.window_min",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "20",
		AT(breaker.window_min),
		.doc = "attempts in breaker.window below which their share says nothing"},
	{.path = "breaker.open_for",
		.type = OPTION_DURATION,
		.min = 1,
		.max = DAY,
		.fallback = "10s",
		AT(breaker.open_for_ms),
		.doc = "pause until one attempt probes the target again"},
	{.path = "from",
		.type = OPTION_TEXT,
		.max = LIMIT_MAILBOX,
		AT(from),
		.doc = "email: the sender, name@host or Name <name@host>"},
	{.path = "to",
		.type = OPTION_LIST,
		.max = LIMIT_RECIPIENTS,
		.lone = true,
		AT(to),
		.count_offset = offsetof(struct effect_config, to_count),
		.doc = "email: recipients, a mail each: name@host, or {{path}} of the event's data; unset: the user's "
		       "own"},
	{.path = "list_unsubscribe",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(list_unsubscribe),
		.doc = "email: where one unsubscribes, https: (in one click, RFC 8058) or mailto:, with {{names}}"},
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
	{.path = "text",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(text),
		.doc = "chat: the message, with {{names}} as in mails; unset: the type of the event and the user's "
		       "name"},
};

const struct option_table effect_options = {rows, sizeof rows / sizeof rows[0]};

const char *effect_default(const char *type, const struct option *row)
{
	for (size_t i = 0; i < sizeof type_defaults / sizeof type_defaults[0]; i++) {
		if (!strcmp(type_defaults[i].type, type) && !strcmp(type_defaults[i].path, row->path))
			return type_defaults[i].fallback;
	}
	return NULL;
}

const char *delivery_text(enum delivery delivery)
{
	return deliveries[delivery];
}

bool event_type_valid(const char *event_type)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	if (strlen(event_type) > LIMIT_EVENT_TYPE)
		return false;
	for (;;) {
		const size_t len = strspn(event_type, others);
		if (!len || !strchr(letters, event_type[0]))
			return false;
		if (!event_type[len])
			return true;
		if (event_type[len] != '.')
			return false;
		event_type += len + 1;
	}
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
