/*
 * Rules that need more than one row, or the world: addresses, files, and options that go
 * with others. A field whose own value was refused is NULL here or holds its default, and
 * causes no second error.
 */
#include <errno.h>
#include <string.h>

#include "config/endpoint.h"
#include "config/file.h"
#include "config/tables.h"

/* Reports what a check of endpoint.h says about a text option; unset is fine. */
static void report(const struct option_scope *scope, const char *path, const char *fault)
{
	if (fault)
		scope_error(scope, path, "%s", fault);
}

static void check_file(const struct option_scope *scope, const char *path, const char *file)
{
	char why[ERR_SYSTEM_TEXT_SIZE];

	if (file && file_check(file))
		scope_error(scope, path, "the file %s can't be read: %s", file, err_system_text(errno, why));
}

/* Either both are given or none. */
static void check_pair(const struct option_scope *scope, const char *one, const char *other)
{
	if (scope_given(scope, one) && !scope_given(scope, other))
		scope_error(scope, other, "is missing: it goes with %s", one);
	if (scope_given(scope, other) && !scope_given(scope, one))
		scope_error(scope, one, "is missing: it goes with %s", other);
}

/* OWASP password storage cheat sheet: Argon2id with one thread, each of these or more. */
static void warn_about_passwords(const struct option_scope *scope, const struct config *config)
{
	static const struct {
		int64_t memory_kib, passes;
	} floors[] = {{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}};

	for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
		if (config->password.memory_kib >= floors[i].memory_kib && config->password.passes >= floors[i].passes)
			return;
	}
	bool memory = scope_given(scope, "password.memory_kib") || !scope_given(scope, "password.passes");
	scope_warn(scope, memory ? "password.memory_kib" : "password.passes",
		"under the OWASP floor for Argon2id (19456 KiB with 2 passes, or 47104 with 1): for tests only");
}

static void check_store(const struct option_scope *scope, const char *store)
{
	static const char engine[] = "sqlite:";

	if (store && (strncmp(store, engine, sizeof engine - 1) != 0 || !store[sizeof engine - 1]))
		scope_error(scope, "store", "must be sqlite:PATH");
}

/* Port 0 is another one each time. */
static bool same_port(const char *one, const char *other)
{
	const char *port = strrchr(one, ':');

	return port && strcmp(port, ":0") != 0 && strcmp(one, other) == 0;
}

void server_check(const struct option_scope *scope, const struct config *config)
{
	if (config->listen)
		report(scope, "listen", listen_fault(config->listen));
	if (config->ops.listen)
		report(scope, "ops.listen", listen_fault(config->ops.listen));
	if (config->ops.listen && config->listen && same_port(config->listen, config->ops.listen))
		scope_error(scope, "ops.listen", "must differ from listen; unset, both share one address");
	if (config->public_url)
		report(scope, "public_url", url_fault(config->public_url, URL_PUBLIC));
	check_store(scope, config->store);
	check_pair(scope, "tls.certificate", "tls.key");
	check_file(scope, "tls.certificate", config->tls.certificate);
	check_file(scope, "tls.key", config->tls.key);
	warn_about_passwords(scope, config);
	accounts_check(scope, config);
}

static const struct effect_type *find_type(const char *name)
{
	for (size_t i = 0; name && i < effect_type_count; i++) {
		if (!strcmp(effect_types[i].name, name))
			return &effect_types[i];
	}
	return NULL;
}

static void check_format(const struct option_scope *scope, const struct effect_type *type, const char *written)
{
	char known[LIMIT_CONFIG_MESSAGE / 2] = "";

	if (!written)
		return;
	for (const char *const *format = type->formats; format && *format; format++) {
		size_t used = strlen(known);
		if (!strcmp(*format, written))
			return;
		(void)snprintf(known + used, sizeof known - used, "%s\"%s\"", used ? ", " : "", *format);
	}
	if (type->formats)
		scope_error(scope, "format", "%s knows %s", type->name, known);
	else
		scope_error(scope, "format", "%s has no formats", type->name);
}

bool pattern_valid(const char *pattern)
{
	const size_t len = strlen(pattern);
	char type[LIMIT_EVENT_TYPE + 1];

	if (!strcmp(pattern, "*"))
		return true;
	if (len < 3 || strcmp(pattern + len - 2, ".*") != 0)
		return event_type_valid(pattern);
	(void)snprintf(type, sizeof type, "%.*s", (int)(len - 2), pattern);
	return len - 2 < sizeof type && event_type_valid(type);
}

/* An option that says nothing under this delivery; fine if the delivery was replaced from outside the file. */
static void check_goes_with(const struct option_scope *scope, const char *option, bool fits, const char *delivery)
{
	char path[LIMIT_CONFIG_PATH], delivery_path[LIMIT_CONFIG_PATH];

	if (fits || !scope_given(scope, option))
		return;
	scope_path(scope, option, path);
	scope_path(scope, "delivery", delivery_path);
	if (sources_rank(scope->sources, delivery_path) > sources_rank(scope->sources, path))
		scope_warn(scope, option, "is for delivery \"%s\" and says nothing now", delivery);
	else
		scope_error(scope, option, "is for delivery \"%s\" only", delivery);
}

static void check_auth(const struct option_scope *scope, const struct effect_config *effect, bool mail)
{
	static const struct {
		const char *path;
		enum auth_type type;
	} parts[] = {{"auth.token", AUTH_BEARER}, {"auth.username", AUTH_BASIC}, {"auth.password", AUTH_BASIC},
		{"auth.name", AUTH_HEADER}, {"auth.value", AUTH_HEADER}, {"auth.token_url", AUTH_OAUTH2},
		{"auth.client_id", AUTH_OAUTH2}, {"auth.client_secret", AUTH_OAUTH2}};
	static const char *const names[] = {"none", "bearer", "basic", "header", "oauth2"};

	if (json_is_object(scope_find(scope, "auth")) && !scope_given(scope, "auth.type")) {
		scope_error(scope, "auth.type", "is missing: bearer, basic, header or oauth2");
		return;
	}
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		bool given = scope_given(scope, parts[i].path), fits = parts[i].type == effect->auth.type;
		if (fits && !given)
			scope_error(scope, parts[i].path, "is missing: auth \"%s\" needs it", names[parts[i].type]);
		else if (given && !fits)
			scope_error(scope, parts[i].path, "is for auth \"%s\" only", names[parts[i].type]);
	}
	if (scope_given(scope, "auth.scope") && effect->auth.type != AUTH_OAUTH2)
		scope_error(scope, "auth.scope", "is for auth \"oauth2\" only");
	if (effect->auth.token_url)
		report(scope, "auth.token_url", token_url_fault(effect->auth.token_url));
	if (effect->auth.scope)
		report(scope, "auth.scope", scope_fault(effect->auth.scope));
	if (mail && effect->auth.type != AUTH_NONE && effect->auth.type != AUTH_BASIC)
		scope_error(scope, "auth.type", "must be basic for an email effect: the SMTP login");
	if (effect->auth.name)
		report(scope, "auth.name", header_name_fault(effect->auth.name));
	if (!mail && effect->auth.username && strchr(effect->auth.username, ':'))
		scope_error(scope, "auth.username", "must not contain a colon (RFC 7617)");
}

/* Each is an address, or says where in the event's data one is found: more of that is known to the kind itself. */
static void check_recipients(const struct option_scope *scope, const struct effect_config *effect)
{
	for (size_t i = 0; i < effect->to_count; i++) {
		if (!strstr(effect->to[i], "{{"))
			report(scope, "to", mail_address_fault(effect->to[i]));
		for (size_t k = 0; k < i; k++) {
			if (!strcmp(effect->to[i], effect->to[k]))
				scope_error(scope, "to", "\"%s\" is there twice", effect->to[i]);
		}
	}
}

/* RFC 2369: one URL between angle brackets. */
static void check_unsubscribe(const struct option_scope *scope, const char *url)
{
	if (!url)
		return;
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "mailto:", 7) != 0)
		scope_error(scope, "list_unsubscribe", "must begin with https:// or mailto:");
	while (*url > ' ' && *url < 0x7f && !strchr("<>,\"", *url))
		url++;
	if (*url)
		scope_error(scope, "list_unsubscribe",
			"must not contain blanks, commas, quotes, < or >, nor what is not ASCII: write them as %%XX");
}

/* Standard Webhooks asks for 24 to 64 bytes; base64 has 4 characters for 3. */
static void check_secrets(const struct option_scope *scope, const struct effect_config *effect, const char *type)
{
	enum { FLOOR = 24 };

	if (!strcmp(type, "webhook") && !scope_given(scope, "secret"))
		scope_error(scope, "secret", "is missing: a webhook is signed");
	for (size_t i = 0; i < effect->secret_count; i++) {
		const char *secret = effect->secrets[i];
		const bool encoded = !strncmp(secret, "whsec_", 6);
		const size_t len = encoded ? strcspn(secret + 6, "=") * 3 / 4 : strlen(secret);

		if (len < FLOOR && strncmp(secret, "whsk_", 5) != 0)
			scope_warn(scope, "secret", "is shorter than the 24 bytes that Standard Webhooks asks for");
	}
}

static void check_mail(const struct option_scope *scope, const struct effect_config *effect, bool mail)
{
	static const char *const only_mail[] = {"from", "to", "list_unsubscribe", "template", "starttls"};
	char why[ERR_SYSTEM_TEXT_SIZE];

	for (size_t i = 0; !mail && i < sizeof only_mail / sizeof only_mail[0]; i++) {
		if (scope_given(scope, only_mail[i]))
			scope_error(scope, only_mail[i], "is for effects of type email only");
	}
	if (!mail)
		return;
	if (!scope_given(scope, "from"))
		scope_error(scope, "from", "is missing: an email needs the address of its sender");
	if (scope_given(scope, "secret"))
		scope_error(scope, "secret", "is for HTTP effects only: a mail is not signed");
	if (effect->from)
		report(scope, "from", mailbox_fault(effect->from));
	check_recipients(scope, effect);
	check_unsubscribe(scope, effect->list_unsubscribe);
	if (effect->template_dir && file_check_folder(effect->template_dir))
		scope_error(scope, "template", "the folder %s can't be read: %s", effect->template_dir,
			err_system_text(errno, why));
}

void effect_check(const struct option_scope *scope, const struct effect_config *effect)
{
	const struct effect_type *type = find_type(effect->type);

	for (size_t i = 0; i < effect->on_count; i++) {
		if (!pattern_valid(effect->on[i]))
			scope_error(scope, "on", "\"%s\" is no event type, prefix.* or *", effect->on[i]);
	}
	if (scope_given(scope, "delivery")) {
		check_goes_with(scope, "on_full", effect->delivery == DELIVERY_FIRE_AND_FORGET, "fire_and_forget");
		check_goes_with(scope, "on_failure", effect->delivery == DELIVERY_INLINE, "inline");
	}
	check_file(scope, "ca", effect->ca);
	if (scope_given(scope, "rate.burst") && !scope_given(scope, "rate.per_second"))
		scope_error(scope, "rate.per_second", "is missing: rate.burst goes with it");
	if (!type)
		return; /* what else is right depends on it */
	check_format(scope, type, effect->format);
	if (effect->url)
		report(scope, "url", url_fault(effect->url, type->mail ? URL_MAIL : URL_HTTP));
	check_auth(scope, effect, type->mail);
	check_mail(scope, effect, type->mail);
	check_secrets(scope, effect, type->name);
	if (effect->text && strcmp(type->name, "chat") != 0)
		scope_error(scope, "text", "is for effects of type chat only");
}
