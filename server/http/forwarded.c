#include "server/http/forwarded.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char token_marks[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 5.6.2 */

int forwarded_init(struct forwarded *forwarded, const struct config *config)
{
	int err = config->http.trusted_proxy_count > LIMIT_CIDRS ? ERR_INVALID : 0;

	*forwarded = (struct forwarded){.header = config->http.forwarded_header};
	forwarded->standard = forwarded->header && strcasecmp(forwarded->header, "Forwarded") == 0;
	for (size_t i = 0; i < config->http.trusted_proxy_count && !err; i++)
		err = cidr_parse(config->http.trusted_proxies[i], &forwarded->networks[i]);
	if (!err)
		forwarded->count = config->http.trusted_proxy_count;
	return err;
}

static bool trusted(const struct forwarded *forwarded, const struct cidr *address)
{
	for (size_t i = 0; i < forwarded->count; i++) {
		if (cidr_contains(&forwarded->networks[i], address))
			return true;
	}
	return false;
}

/* A part of a header's value, by its ends. */
struct span {
	const char *from, *to;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
	while (span.from < span.to && blank(*span.from))
		span.from++;
	while (span.from < span.to && blank(span.to[-1]))
		span.to--;
	return span;
}

static size_t length(struct span span)
{
	return (size_t)(span.to - span.from);
}

/* A port, or the made-up one of RFC 7239 6.3: "8080", "_p". */
static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (text[0] == '_')
		return text[1] && text[1 + strspn(text + 1, alphanumeric)] == '\0';
	return digits >= 1 && digits <= 5 && !text[digits];
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
static bool read_node(struct span span, struct cidr *ret_address)
{
	char text[INET6_ADDRSTRLEN + sizeof("[]:_65535678")];
	size_t len = length(span);

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, span.from, len);
	text[len] = '\0';
	if (text[0] == '[') {
		char *end = strchr(text, ']');
		if (!end || (end[1] && (end[1] != ':' || !is_port(end + 2))))
			return false;
		*end = '\0';
		return strchr(text + 1, ':') && !cidr_parse_address(text + 1, ret_address);
	}
	char *colon = strchr(text, ':');
	if (colon && !strchr(colon + 1, ':')) {
		if (!is_port(colon + 1))
			return false;
		*colon = '\0';
	}
	return !cidr_parse_address(text, ret_address);
}

/* Whether the quote at `at` was written as \", by the backslashes before it: an odd number of them. */
static bool escaped(const char *from, const char *at)
{
	size_t count = 0;

	while (at > from && at[-1] == '\\') {
		at--;
		count++;
	}
	return count % 2 == 1;
}

/* Where the last element of a list begins. `quotes`: commas in quoted strings part nothing. */
static const char *last_element(struct span list, bool quotes)
{
	bool quoted = false;

	for (const char *at = list.to; at > list.from; at--) {
		char c = at[-1];
		if (quotes && c == '"' && !escaped(list.from, at - 1))
			quoted = !quoted;
		if (c == ',' && !quoted)
			return at;
	}
	return list.from;
}

static size_t token_length(struct span span)
{
	size_t len = 0;

	while (span.from + len < span.to && span.from[len] &&
		(strchr(alphanumeric, span.from[len]) || strchr(token_marks, span.from[len])))
		len++;
	return len;
}

/*
 * The value of a parameter at the beginning of `rest`: a quoted string without its quotes, or a token, which may have
 * the marks of an address too, since not every proxy quotes it. Moves `rest` behind it. An address needs no escape, so
 * none is undone.
 */
static bool take_value(struct span *rest, struct span *ret_value)
{
	const char *at = rest->from;

	if (at < rest->to && *at == '"') {
		const char *end = at + 1;
		while (end < rest->to && *end != '"')
			end += *end == '\\' ? 2 : 1;
		if (end >= rest->to)
			return false;
		*ret_value = (struct span){at + 1, end};
		rest->from = end + 1;
		return true;
	}
	while (at < rest->to && *at && (token_length((struct span){at, at + 1}) || strchr("[]:", *at)))
		at++;
	*ret_value = (struct span){rest->from, at};
	rest->from = at;
	return length(*ret_value) > 0;
}

/* An element of Forwarded, "for=…;proto=…": the value of its `for`. RFC 7239 4. */
static bool find_for(struct span element, struct span *ret_value)
{
	struct span rest = element, value;
	bool found = false;

	while (rest.from < rest.to) {
		size_t len = token_length(rest);
		bool is_for = len == 3 && strncasecmp(rest.from, "for", 3) == 0;
		if (len == 0 || rest.from + len >= rest.to || rest.from[len] != '=' || (is_for && found))
			return false;
		rest.from += len + 1;
		if (!take_value(&rest, &value))
			return false;
		if (is_for) {
			*ret_value = value;
			found = true;
		}
		rest = trim(rest);
		if (rest.from == rest.to)
			break;
		if (*rest.from != ';')
			return false;
		rest.from++;
		rest = trim(rest);
	}
	return found;
}

static bool read_element(const struct forwarded *forwarded, struct span element, struct cidr *ret_address)
{
	struct span node = element;

	if (forwarded->standard && !find_for(element, &node))
		return false;
	return read_node(node, ret_address);
}

/* Goes on from the last trusted hop; false: the walk is over. */
static bool walk_line(const struct forwarded *forwarded, const char *line, size_t *hops, struct cidr *hop)
{
	struct span list = {line, line + strlen(line)};

	while (list.from < list.to) {
		const char *begin = last_element(list, forwarded->standard);
		struct span element = trim((struct span){begin, list.to});
		struct cidr address;
		list.to = begin > list.from ? begin - 1 : list.from;
		if (++*hops > LIMIT_FORWARDED_HOPS)
			return false;
		if (length(element) == 0) /* RFC 9110 5.6.1.2 */
			continue;
		if (!read_element(forwarded, element, &address))
			return false;
		*hop = address;
		if (!trusted(forwarded, &address))
			return false;
	}
	return true;
}

struct cidr forwarded_client(
	const struct forwarded *forwarded, const struct cidr *peer, const char *const *lines, size_t count)
{
	struct cidr hop = *peer;
	size_t hops = 0;

	if (!trusted(forwarded, peer))
		return hop;
	while (count > 0 && walk_line(forwarded, lines[count - 1], &hops, &hop))
		count--;
	return hop;
}
