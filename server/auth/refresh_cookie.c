#include "server/auth/refresh_cookie.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http/cors.h"

enum { ATTRIBUTES = 128 }; /* bytes of a Set-Cookie beside name, path and token */

bool refresh_cookie_wanted(const struct config *config, const json_t *body)
{
	return config->cookie.enabled && json_is_true(json_object_get(body, "cookie"));
}

/* What of public_url comes before this server's own paths: "" or "/auth". */
static const char *base_path(const char *public_url, size_t *ret_len)
{
	const char *host = strstr(public_url, "://");
	const char *path = strchr(host ? host + 3 : public_url, '/');
	size_t len = path ? strlen(path) : 0;

	while (len > 0 && path[len - 1] == '/')
		len--;
	*ret_len = len;
	return path ? path : "";
}

/*
 * Secure also where the server is reached by http: browsers take such a cookie for localhost alone, and nothing else
 * should send a token in the clear. RFC 6265 4.1, https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html
 * 4.1.2 (SameSite).
 */
static void send_cookie(struct exchange *x, const struct config *config, const char *value, int64_t max_age_s)
{
	struct buf line;
	size_t base_len;
	const char *base = base_path(config->public_url, &base_len);

	buf_init_secret(&line, strlen(config->cookie.name) + base_len + strlen(value) + ATTRIBUTES);
	buf_printf(&line, "%s=%s; Path=%.*s/token; HttpOnly; Secure; SameSite=%s; Max-Age=%lld", config->cookie.name,
		value, (int)base_len, base, config->cookie.same_site, (long long)max_age_s);
	/* without memory there is no cookie, and the session ends with its access token */
	if (!buf_error(&line))
		exchange_add_header(x, "Set-Cookie", line.data);
	buf_release(&line);
}

void refresh_cookie_set(struct exchange *x, const struct config *config, const char *token, int64_t max_age_ms)
{
	send_cookie(x, config, token, max_age_ms / 1000);
}

void refresh_cookie_clear(struct exchange *x, const struct config *config)
{
	if (config->cookie.enabled)
		send_cookie(x, config, "", 0);
}

static bool part_into(struct buf *out, CURLU *url, CURLUPart part, const char *before)
{
	char *text = NULL;

	if (curl_url_get(url, part, &text, 0) != CURLUE_OK)
		return false;
	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	buf_printf(out, "%s%s", before, text);
	curl_free(text);
	return true;
}

/* Whether a port is said that is not its scheme's own: an origin leaves that out (RFC 6454 6.2). */
static bool odd_port(CURLU *url)
{
	char *text = NULL, *scheme = NULL;
	bool odd = curl_url_get(url, CURLUPART_PORT, &text, 0) == CURLUE_OK &&
		   curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		   strcmp(text, strcasecmp(scheme, "https") == 0 ? "443" : "80") != 0;

	curl_free(text);
	curl_free(scheme);
	return odd;
}

/* Whether it is the origin of public_url, as a browser writes it. */
static bool own_origin(const char *public_url, const char *origin)
{
	CURLU *url = curl_url();
	struct buf own;
	bool same = false;

	buf_init(&own, LIMIT_CONFIG_TEXT);
	if (!url || curl_url_set(url, CURLUPART_URL, public_url, 0) != CURLUE_OK)
		goto done;
	if (!part_into(&own, url, CURLUPART_SCHEME, "") || !part_into(&own, url, CURLUPART_HOST, "://"))
		goto done;
	if (odd_port(url) && !part_into(&own, url, CURLUPART_PORT, ":"))
		goto done;
	same = !buf_error(&own) && strcmp(own.data, origin) == 0;
done:
	buf_release(&own);
	curl_url_cleanup(url);
	return same;
}

int refresh_cookie_take(struct exchange *x, const struct config *config, char **ret_token)
{
	const char *origin = exchange_header(x, "Origin");
	char *token = config->cookie.enabled ? exchange_cookie(x, config->cookie.name) : NULL;

	if (token && !(origin && (cors_match(config, origin) || own_origin(config->public_url, origin)))) {
		explicit_bzero(token, strlen(token));
		free(token);
		exchange_problem(x, 403, "origin_not_allowed",
			"With a cookie, the request must come from a page of this server or of an origin that it "
			"lists.");
		return ERR_DENIED;
	}
	*ret_token = token;
	return 0;
}
