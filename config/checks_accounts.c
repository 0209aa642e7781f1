/*
 * Rules of the options that guard accounts, which need more than one row, or the world.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "config/cidr.h"
#include "config/endpoint.h"
#include "config/file.h"
#include "config/tables.h"

static void check_networks(const struct option_scope *scope, const char *path, char **networks, size_t count)
{
	struct cidr cidr;

	for (size_t i = 0; i < count; i++) {
		if (cidr_parse(networks[i], &cidr))
			scope_error(scope, path,
				"\"%s\" is neither an address nor a network like 10.0.0.0/8, whose bits after its "
				"length are 0",
				networks[i]);
	}
}

static void check_path(const struct option_scope *scope, const char *path, const char *value)
{
	if (value && (value[0] != '/' || strpbrk(value, "#? ")))
		scope_error(scope, path, "must begin with / and have neither #, ? nor blanks");
}

static void check_peppers(const struct option_scope *scope, const struct config *config)
{
	for (size_t i = 0; i < config->password.pepper_count; i++) {
		if (strlen(config->password.peppers[i]) < LIMIT_PEPPER)
			scope_error(scope, "password.pepper", "is too short: %d bytes at least", LIMIT_PEPPER);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(config->password.peppers[i], config->password.peppers[k]) == 0)
				scope_error(scope, "password.pepper", "is there twice");
		}
	}
}

static void check_passwords(const struct option_scope *scope, const struct config *config)
{
	char why[ERR_SYSTEM_TEXT_SIZE];

	if (config->password.min_length < 8)
		scope_warn(scope, "password.min_length",
			"under 8 characters, the least that NIST SP 800-63B-4 allows: for tests only");
	if (config->password.min_length > config->password.max_length)
		scope_error(scope, "password.max_length", "is less than password.min_length");
	if (config->password.blocklist && file_check(config->password.blocklist))
		scope_error(scope, "password.blocklist", "the file %s can't be read: %s", config->password.blocklist,
			err_system_text(errno, why));
	if (config->password.breach_url && url_fault(config->password.breach_url, URL_PUBLIC))
		scope_error(scope, "password.breach_url", "%s", url_fault(config->password.breach_url, URL_PUBLIC));
	check_peppers(scope, config);
}

static void check_browsers(const struct option_scope *scope, const struct config *config)
{
	for (size_t i = 0; i < config->cors.origin_count; i++) {
		const char *fault = origin_fault(config->cors.origins[i]);
		if (fault)
			scope_error(scope, "cors.origins", "\"%s\" %s", config->cors.origins[i], fault);
	}
	if (config->cookie.name && header_name_fault(config->cookie.name))
		scope_error(scope, "cookie.name", "must be a token (RFC 6265 4.1.1)");
	if (config->cookie.name && strncasecmp(config->cookie.name, "__Host-", 7) == 0)
		scope_error(scope, "cookie.name",
			"can't begin with __Host-: browsers drop such a cookie unless its path is /");
	if (config->cookie.enabled && config->public_url && strncmp(config->public_url, "http://", 7) == 0)
		scope_warn(scope, "cookie.enabled",
			"public_url is no https:// URL, and browsers keep a Secure cookie of https:// only (some, of "
			"localhost too)");
}

void accounts_check(const struct option_scope *scope, const struct config *config)
{
	check_passwords(scope, config);
	check_path(scope, "link.verify_path", config->link.verify_path);
	check_path(scope, "link.reset_path", config->link.reset_path);
	check_path(scope, "link.invite_path", config->link.invite_path);
	if (config->totp.issuer && strchr(config->totp.issuer, ':'))
		scope_error(scope, "totp.issuer", "must have no colon: authenticator apps end the name there");
	check_networks(scope, "throttle.exempt", config->throttle.exempt, config->throttle.exempt_count);
	check_networks(scope, "http.trusted_proxies", config->http.trusted_proxies, config->http.trusted_proxy_count);
	if (config->throttle.account.first_ms > config->throttle.account.cap_ms)
		scope_error(scope, "throttle.account.cap", "is less than throttle.account.first");
	if (config->token.absolute_ttl_ms < config->token.refresh_ttl_ms && scope_given(scope, "token.absolute_ttl"))
		scope_error(scope, "token.absolute_ttl", "is less than token.refresh_ttl");
	check_browsers(scope, config);
}
