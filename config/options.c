/*
 * THE table of the server's options. What it can't say, checks.c says.
 */
#include "config/options.h"

#include <string.h>

#include "config/tables.h"

#define AT(field) .offset = offsetof(struct config, field)

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static const char *const wipes[] = {"idle", "after_each", NULL};	      /* enum password_wipe */
static const char *const token_algs[] = {"EdDSA", "ES256", "RS256", NULL};    /* enum token_alg */
static const char *const signup_modes[] = {"open", "invite", "closed", NULL}; /* enum signup_mode */
static const char *const same_sites[] = {"Strict", "Lax", "None", NULL};
static const char *const forwarded_headers[] = {"X-Forwarded-For", "Forwarded", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"json", "text", NULL};

static const struct option rows[] = {
	{.path = "listen",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.fallback = "127.0.0.1:8080",
		AT(listen),
		.doc = "HOST:PORT or [IPv6]:PORT; port 0: any free one; a socket from systemd goes first"},
	{.path = "store",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.fallback = "sqlite:var/tokenfirst.db",
		AT(store),
		.doc = "the database of users, sessions and the outbox: sqlite:PATH"},
	{.path = "public_url",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.fallback = "http://127.0.0.1:8080",
		AT(public_url),
		.doc = "how users reach the server; links in mails begin with it"},
	{.path = "password.memory_kib",
		.type = OPTION_NUMBER,
		.unit = "KiB",
		.min = 8,
		.max = 4194304,
		.fallback = "19456",
		AT(password.memory_kib),
		.doc = "memory of one Argon2id hash; under the OWASP floor with a warning"},
	{.path = "password.passes",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000,
		.fallback = "2",
		AT(password.passes),
		.doc = "passes of one Argon2id hash over its memory"},
	{.path = "password.slots",
		.type = OPTION_NUMBER,
		.min = 0,
		.max = LIMIT_HASH_THREADS,
		.fallback = "0",
		AT(password.slots),
		.doc = "hash threads, each with its own memory; 0: as many as cores"},
	{.path = "password.queue",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "256",
		AT(password.queue),
		.doc = "callers that may wait for a hash thread; more get 503"},
	{.path = "password.queue_timeout",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "2s",
		AT(password.queue_timeout_ms),
		.doc = "wait for a hash thread after which a caller gets 503"},
	{.path = "password.wipe",
		.type = OPTION_CHOICE,
		.fallback = "idle",
		.words = wipes,
		AT(password.wipe),
		.doc = "hash threads wipe their memory when idle, or after each hash: 4 to 8 % fewer logins at "
		       "saturation"},
	{.path = "token.alg",
		.type = OPTION_CHOICE,
		.fallback = "EdDSA",
		.words = token_algs,
		AT(token.alg),
		.doc = "signature of access tokens"},
	{.path = "token.issuer",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(token.issuer),
		.doc = "iss of access tokens; unset: public_url"},
	{.path = "token.audience",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		.fallback = "app",
		AT(token.audience),
		.doc = "aud of access tokens"},
	{.path = "token.access_ttl",
		.type = OPTION_DURATION,
		.min = SECOND,
		.max = 365 * DAY,
		.fallback = "15m",
		AT(token.access_ttl_ms),
		.doc = "life of an access token"},
	{.path = "token.refresh_ttl",
		.type = OPTION_DURATION,
		.min = SECOND,
		.max = 3650 * DAY,
		.fallback = "30d",
		AT(token.refresh_ttl_ms),
		.doc = "life of a session that is not refreshed"},
#include "config/options_accounts.def"
	{.path = "background.workers",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = LIMIT_WORKERS,
		.fallback = "2",
		AT(background.workers),
		.doc = "threads that deliver effects; a target belongs to one of them"},
	{.path = "background.drain",
		.type = OPTION_DURATION,
		.min = 0,
		.max = HOUR,
		.fallback = "25s",
		AT(background.drain_ms),
		.doc = "time within which an orderly stop ends; what is not delivered by then is kept in the outbox"},
	{.path = "background.drain_delay",
		.type = OPTION_DURATION,
		.min = 0,
		.max = 300 * SECOND,
		.fallback = "0s",
		AT(background.drain_delay_ms),
		.doc = "between /health/ready saying 503 and the end of accepting, for balancers to notice"},
	{.path = "retention.delivered",
		.type = OPTION_DURATION,
		.min = 0,
		.max = 3650 * DAY,
		.fallback = "24h",
		AT(retention.delivered_ms),
		.doc = "time for which effects that were delivered are kept"},
	{.path = "retention.dead",
		.type = OPTION_DURATION,
		.min = 0,
		.max = 3650 * DAY,
		.fallback = "30d",
		AT(retention.dead_ms),
		.doc = "time for which dead letters are kept, to be replayed"},
	{.path = "tls.certificate",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(tls.certificate),
		.doc = "PEM file with the certificate chain; unset: plain HTTP"},
	{.path = "tls.key",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(tls.key),
		.doc = "PEM file with the private key of tls.certificate"},
	{.path = "http.loops",
		.type = OPTION_NUMBER,
		.min = 0,
		.max = LIMIT_LOOPS,
		.fallback = "0",
		AT(http.loops),
		.doc = "event loops; 0: one per core, at most 4"},
	{.path = "http.connections",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "4096",
		AT(http.connections),
		.doc = "open connections; more are closed at once"},
	{.path = "http.header_bytes",
		.type = OPTION_SIZE,
		.min = 1 << 10,
		.max = 1 << 20,
		.fallback = "8KiB",
		AT(http.header_bytes),
		.doc = "request line and headers of a request: 431 above. Each used connection holds as much and 8 "
		       "KiB"},
	{.path = "http.body_bytes",
		.type = OPTION_SIZE,
		.min = 1 << 10,
		.max = 16 << 20,
		.fallback = "16KiB",
		AT(http.body_bytes),
		.doc = "body of one request; 413 above"},
	{.path = "http.header_timeout",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "15s",
		AT(http.header_timeout_ms),
		.doc = "from the first byte or the previous answer to the end of the headers"},
	{.path = "http.body_timeout",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "30s",
		AT(http.body_timeout_ms),
		.doc = "from the end of the headers to the end of the body"},
	{.path = "requests.login.threads",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1024,
		.fallback = "64",
		AT(requests.login.threads),
		.doc = "threads for requests that hash a password"},
	{.path = "requests.login.queue",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "256",
		AT(requests.login.queue),
		.doc = "such requests that may wait for a thread; more get 503"},
	{.path = "requests.login.deadline",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "5s",
		AT(requests.login.deadline_ms),
		.doc = "wait for a thread after which such a request gets 503"},
	{.path = "requests.other.threads",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1024,
		.fallback = "16",
		AT(requests.other.threads),
		.doc = "threads for all other requests"},
	{.path = "requests.other.queue",
		.type = OPTION_NUMBER,
		.min = 1,
		.max = 1000000,
		.fallback = "1024",
		AT(requests.other.queue),
		.doc = "such requests that may wait, for a thread or, beyond one for each, for the store; more get "
		       "503"},
	{.path = "requests.other.deadline",
		.type = OPTION_DURATION,
		.min = 1,
		.max = HOUR,
		.fallback = "5s",
		AT(requests.other.deadline_ms),
		.doc = "wait for a thread after which such a request gets 503"},
	{.path = "ops.listen",
		.type = OPTION_TEXT,
		.max = LIMIT_CONFIG_TEXT,
		AT(ops.listen),
		.doc = "own address for /metrics, /admin and the dashboard; unset: they share listen"},
	{.path = "log.level",
		.type = OPTION_WORD,
		.fallback = "info",
		.words = log_levels,
		AT(log.level),
		.doc = "the least level that is logged"},
	{.path = "log.format",
		.type = OPTION_WORD,
		.fallback = "json",
		.words = log_formats,
		AT(log.format),
		.doc = "json: one object a line; text: for people"},
	{.path = "effects",
		.type = OPTION_MAP,
		.doc = "what follows a login or another event; each has the options effects.NAME.… below"},
	{.path = "services",
		.type = OPTION_MAP,
		.doc = "programs that may hand over events (POST /events), each with the options services.NAME.… "
		       "below"},
};

const struct option_table server_options = {rows, sizeof rows / sizeof rows[0]};

static void help_introduction(FILE *out)
{
	(void)fputs("Options, with what they take, their default and their meaning. A configuration file is a JSON "
		    "object;\n"
		    "a dot stands for an object within it.\n\n"
		    "  defaults < file (-c FILE) < environment (TOKENFIRST_PASSWORD__MEMORY_KIB=8192)\n"
		    "           < --set password.memory_kib=8192\n\n"
		    "Durations are written \"250ms\", \"5s\", \"15m\", \"12h\", \"30d\", sizes \"512B\", \"16KiB\", "
		    "\"4MiB\". Any text may\n"
		    "be {\"env\": \"NAME\"} or {\"file\": \"PATH\"} (less one newline at its end), which keeps secrets "
		    "out of the\n"
		    "file. Relative paths start at the working directory. Lists are written a,b after --set.\n\n",
		out);
}

static void help_effect_types(FILE *out)
{
	(void)fputs("Types of effects, with their formats (the first is the default) and URLs:\n", out);
	for (size_t i = 0; i < effect_type_count; i++) {
		const struct effect_type *type = &effect_types[i];
		(void)fprintf(out, "  %s ", type->name);
		for (const char *const *format = type->formats; format && *format; format++)
			(void)fprintf(out, "%s%s", format == type->formats ? "(" : ", ", *format);
		(void)fprintf(out, "%s%s\n", type->formats ? ") " : "", type->mail ? "smtp, smtps" : "http, https");
	}
	(void)fputs("\nDefaults that a type has of its own:\n", out);
	for (size_t i = 0; i < effect_type_count; i++) {
		for (size_t j = 0; j < effect_options.count; j++) {
			const struct option *row = &effect_options.rows[j];
			const char *own = effect_default(effect_types[i].name, row);
			if (own)
				(void)fprintf(out, "  %s: %s %s\n", effect_types[i].name, row->path, own);
		}
	}
}

void options_help(FILE *out)
{
	help_introduction(out);
	for (size_t i = 0; i < server_options.count; i++)
		option_help(&server_options.rows[i], "", out);
	(void)fputc('\n', out);
	for (size_t i = 0; i < effect_options.count; i++)
		option_help(&effect_options.rows[i], "effects.NAME.", out);
	(void)fputc('\n', out);
	for (size_t i = 0; i < service_options.count; i++)
		option_help(&service_options.rows[i], "services.NAME.", out);
	(void)fputc('\n', out);
	help_effect_types(out);
}
