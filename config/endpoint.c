#include "config/endpoint.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "config/limits.h"

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char hostname[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

/* Whether the URL has this part. When it can't be told, it has: only refusal follows from that. */
static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, part, &text, 0);

	curl_free(text);
	return code == CURLUE_OK || code == CURLUE_OUT_OF_MEMORY;
}

static bool part_is(CURLU *url, CURLUPart part, const char *first, const char *second)
{
	char *text = NULL;
	bool same = !curl_url_get(url, part, &text, 0) && (!strcmp(text, first) || !strcmp(text, second));

	curl_free(text);
	return same;
}

static const char *parts_fault(CURLU *url, enum url_kind kind)
{
	bool mail = kind == URL_MAIL;

	if (mail && !part_is(url, CURLUPART_SCHEME, "smtp", "smtps"))
		return "must begin with smtp:// or smtps://";
	if (!mail && !part_is(url, CURLUPART_SCHEME, "http", "https"))
		return "must begin with http:// or https://";
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return mail || kind == URL_HTTP ? "must not contain a user or password; they go into auth"
						: "must not contain a user or password";
	if (has_part(url, CURLUPART_FRAGMENT))
		return "must not contain a fragment (#)";
	if (kind != URL_HTTP && has_part(url, CURLUPART_QUERY))
		return "must not contain a query (?)";
	if (mail && !part_is(url, CURLUPART_PATH, "/", ""))
		return "must not contain a path";
	if (part_is(url, CURLUPART_PORT, "0", ""))
		return "must not have port 0";
	return NULL;
}

const char *url_fault(const char *url, enum url_kind kind)
{
	CURLU *parsed = curl_url();

	if (!parsed)
		return "can't be checked: out of memory";
	/* without flags a scheme is required, and one that this libcurl can speak */
	CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	const char *fault = code ? curl_url_strerror(code) : parts_fault(parsed, kind);
	if (code == CURLUE_BAD_SCHEME || code == CURLUE_UNSUPPORTED_SCHEME)
		fault = kind == URL_MAIL ? "must begin with smtp:// or smtps://"
					 : "must begin with http:// or https://";
	curl_url_cleanup(parsed);
	return fault;
}

/* localhost, 127.0.0.0/8 in dots, or [::1]. When it can't be told, it is not. */
static bool is_loopback(CURLU *url)
{
	char *host = NULL;
	struct in_addr address;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0))
		return false;
	bool loopback = !strcasecmp(host, "localhost") || !strcmp(host, "[::1]") ||
			(inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
	curl_free(host);
	return loopback;
}

const char *token_url_fault(const char *url)
{
	CURLU *parsed = NULL;
	const char *fault = url_fault(url, URL_HTTP);

	if (fault)
		return fault;
	parsed = curl_url();
	if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, 0))
		fault = "can't be checked: out of memory";
	else if (!part_is(parsed, CURLUPART_SCHEME, "https", "https") && !is_loopback(parsed))
		fault = "must begin with https://; http:// is for an address of this machine only";
	curl_url_cleanup(parsed);
	return fault;
}

/* Also "https://a:0443" and "https://a:", which no browser sends either. */
static bool own_port(const char *origin, const char *host)
{
	const char *port = strrchr(host, ':');
	char *end = NULL;
	long number;

	if (!port || strchr(port, ']'))
		return false;
	number = strtol(port + 1, &end, 10);
	return port[1] < '1' || port[1] > '9' || *end || number == (strncmp(origin, "https:", 6) == 0 ? 443 : 80);
}

const char *origin_fault(const char *origin)
{
	const char *fault = url_fault(origin, URL_PUBLIC);
	const char *host = strstr(origin, "://");

	if (fault)
		return fault;
	if (!host || strchr(host + 3, '/'))
		return "must have no path, not even a / at its end: browsers send none";
	if (own_port(origin, host + 3))
		return "must not say its scheme's own port: browsers leave that out";
	for (const char *c = origin; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			return "must have no capital letters: browsers send none";
	}
	return NULL;
}

const char *scope_fault(const char *scope)
{
	char before = ' ';

	for (; *scope; scope++) {
		if (*scope < ' ' || *scope > '~' || strchr("\"\\", *scope) || (before == ' ' && *scope == ' '))
			return "must be words of plain ASCII with one blank between";
		before = *scope;
	}
	return before == ' ' ? "must not begin or end with a blank" : NULL;
}

static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len >= 1 && len <= 5 && !text[len] && strtol(text, NULL, 10) <= 65535;
}

/* Numeric only: nothing is looked up. */
static bool is_ipv6(const char *text)
{
	struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	if (getaddrinfo(text, NULL, &hints, &found))
		return false;
	freeaddrinfo(found);
	return true;
}

const char *listen_fault(const char *address)
{
	char host[256];
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (!len || len >= sizeof host)
		return "must be HOST:PORT or [IPv6]:PORT";
	memcpy(host, address, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (!is_ipv6(host + 1))
			return "must have an IPv6 address between the brackets";
	} else if (strchr(host, ':')) {
		return "must have its IPv6 address in brackets: [::1]:8080";
	} else if (host[strspn(host, hostname)]) {
		return "must be HOST:PORT or [IPv6]:PORT";
	}
	return is_port(colon + 1) ? NULL : "must end in a port from 0 to 65535";
}

const char *mail_address_fault(const char *address)
{
	const char *at = strrchr(address, '@');

	if (!at || at == address || !at[1] || memchr(address, '@', (size_t)(at - address)))
		return "must be an address of the form name@host";
	if (strlen(address) > LIMIT_EMAIL)
		return "is too long for an address";
	for (; *address; address++) {
		/* blanks and controls are below '!'; what ends an address in an envelope or in a list is named */
		if (*address < '!' || *address > '~' || strchr("<>()[]\\,;:\"", *address))
			return "must be a plain ASCII address without a name, brackets or quotes";
	}
	return NULL;
}

const char *mailbox_fault(const char *mailbox)
{
	const size_t len = strlen(mailbox);
	const char *open = strrchr(mailbox, '<');
	char address[LIMIT_EMAIL + 1];

	if (!open || open == mailbox || mailbox[len - 1] != '>')
		return mail_address_fault(mailbox);
	const size_t address_len = len - (size_t)(open - mailbox) - 2;

	if (address_len > LIMIT_EMAIL)
		return "is too long for an address";
	memcpy(address, open + 1, address_len);
	address[address_len] = '\0';
	return mail_address_fault(address);
}

const char *header_name_fault(const char *name)
{
	static const char *const taken[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection", "Content-Type",
		"Expect", "TE", "Trailer", "Upgrade", "Idempotency-Key", "User-Agent", "traceparent", "webhook-id",
		"webhook-timestamp", "webhook-signature"};
	size_t len = 0;

	while (name[len] && (strchr(alphanumeric, name[len]) || strchr("!#$%&'*+-.^_`|~", name[len])))
		len++;
	if (!len || name[len])
		return "must be the name of a header: letters, digits and -";
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		if (!strcasecmp(name, taken[i]))
			return "is a header that requests have already";
	}
	return NULL;
}
