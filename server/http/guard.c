#include "server/http/guard.h"

#include <string.h>
#include <strings.h>

#include "config/limits.h"

/* Known methods: those that a route could have. What a path does not have is then a 405, the rest a 501. */
static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

static const struct guard_verdict go_on = {0};

static struct guard_verdict refuse(int status, const char *code, const char *detail)
{
	return (struct guard_verdict){.status = status, .code = code, .detail = detail};
}

static struct guard_verdict malformed(const char *detail)
{
	return refuse(400, "malformed_request", detail);
}

static bool one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool guard_is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!alphanumeric(text[i]) && !one_of(text[i], "!#$%&'*+-.^_`|~"))
			return false;
	}
	return len > 0;
}

bool guard_is_field_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (control(text[i]) && text[i] != '\t')
			return false;
	}
	return true;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

/* The byte that "%XX" at `text` stands for, -1 if it is no escape. */
static int escaped(const char *text)
{
	int high = hex_digit(text[1]);
	int low = high < 0 ? -1 : hex_digit(text[2]);

	return low < 0 ? -1 : high * 16 + low;
}

static struct guard_verdict check_path(const char *path, size_t len)
{
	if (len > LIMIT_HTTP_PATH)
		return refuse(414, "path_too_long", "The path of the request is too long.");
	for (size_t i = 0; i < len; i++) {
		if (path[i] != '%')
			continue;
		int byte = escaped(path + i);
		if (byte < 0)
			return malformed("The path has a broken escape.");
		if (control((char)byte))
			return malformed("The path has a control byte.");
	}
	return go_on;
}

struct guard_verdict guard_target(const char *target)
{
	size_t path_len = strcspn(target, "?");

	if (target[0] != '/')
		return malformed("The request target does not begin with a slash.");
	for (const char *c = target; *c; c++) {
		if (control(*c) || *c == ' ' || *c == '#')
			return malformed("The request target has a byte that a URI can't have.");
	}
	for (const char *c = target + path_len; *c; c++) {
		if (*c == '%' && escaped(c) == 0)
			return malformed("The query has a NUL.");
	}
	return check_path(target, path_len);
}

struct guard_verdict guard_method(const char *method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(method, methods[i]) == 0)
			return go_on;
	}
	return refuse(501, "method_not_implemented", "This server does not know the method.");
}

/* Digits only, at most 18 of them: any such number fits 64 bits. */
static bool read_length(const struct guard_header *header, int64_t *ret_length)
{
	int64_t length = 0;

	if (header->value_len == 0 || header->value_len > 18)
		return false;
	for (size_t i = 0; i < header->value_len; i++) {
		if (header->value[i] < '0' || header->value[i] > '9')
			return false;
		length = length * 10 + (header->value[i] - '0');
	}
	*ret_length = length;
	return true;
}

static bool named(const struct guard_header *header, const char *name)
{
	return header->name_len == strlen(name) && strncasecmp(header->name, name, header->name_len) == 0;
}

struct seen {
	size_t hosts, lengths, codings;
	const struct guard_header *length, *coding;
};

static struct guard_verdict check_framing(const struct seen *seen, struct guard_body *ret_body)
{
	struct guard_body body = {0};

	if (seen->hosts != 1)
		return malformed("A request has exactly one Host.");
	if (seen->lengths > 1 || seen->codings > 1)
		return malformed("The request says more than once how long its body is.");
	if (seen->lengths && seen->codings)
		return malformed("Content-Length and Transfer-Encoding contradict each other.");
	if (seen->codings) {
		if (seen->coding->value_len != 7 || strncasecmp(seen->coding->value, "chunked", 7) != 0)
			return malformed("The only transfer coding known here is chunked.");
		body.chunked = true;
	}
	if (seen->lengths) {
		if (!read_length(seen->length, &body.length))
			return malformed("Content-Length is no number.");
		body.has_length = true;
	}
	*ret_body = body;
	return go_on;
}

struct guard_verdict guard_headers(const struct guard_header *headers, size_t count, struct guard_body *ret_body)
{
	struct seen seen = {0};

	if (count > LIMIT_HTTP_HEADERS)
		return refuse(431, "too_many_headers", "The request has too many header lines.");
	for (size_t i = 0; i < count; i++) {
		const struct guard_header *header = &headers[i];
		if (!guard_is_token(header->name, header->name_len))
			return malformed("The name of a header is no token.");
		if (!guard_is_field_value(header->value, header->value_len))
			return malformed("The value of a header has a control byte.");
		if (named(header, "Host"))
			seen.hosts++;
		if (named(header, "Content-Length")) {
			seen.lengths++;
			seen.length = header;
		}
		if (named(header, "Transfer-Encoding")) {
			seen.codings++;
			seen.coding = header;
		}
	}
	return check_framing(&seen, ret_body);
}

/* What the parser leaves of a colon or a line end: NULs in their place, or the bytes themselves; and blanks. */
static bool only(const char *from, const char *to, const char *bytes, size_t most)
{
	size_t count = 0;

	for (; from < to; from++) {
		if (*from == ' ' || *from == '\t')
			continue;
		if ((*from && !strchr(bytes, *from)) || ++count > most)
			return false;
	}
	return true;
}

bool guard_lines_intact(const struct guard_header *headers, size_t count, const char *end)
{
	for (size_t i = 0; i < count; i++) {
		bool last = i + 1 == count;
		const char *name_end = headers[i].name + headers[i].name_len;
		const char *value_end = headers[i].value + headers[i].value_len;
		const char *next = last ? end : headers[i + 1].name;
		if (headers[i].value <= name_end || next <= value_end)
			return false;
		/* the last line's end is followed by the empty line's */
		if (!only(name_end, headers[i].value, ":", 1) || !only(value_end, next, "\r\n", last ? 4 : 2))
			return false;
	}
	return true;
}

bool guard_request_line_intact(
	const char *method, const char *target, size_t target_len, const char *version, const char *next)
{
	const char *method_end = method + strlen(method);
	const char *target_end = target + target_len;
	const char *version_end = version + strlen(version);

	return method_end < target && target_end < version && version_end < next && only(method_end, target, "", 1) &&
	       only(target_end, version, "", 1) && only(version_end, next, "\r\n", 2);
}

static bool is_type(const char *value, const char *type)
{
	size_t len = strlen(type);

	if (!value || strncasecmp(value, type, len) != 0)
		return false;
	value += len;
	value += strspn(value, " \t");
	return *value == '\0' || *value == ';';
}

bool guard_is_json(const char *value)
{
	return is_type(value, "application/json");
}

bool guard_is_form(const char *value)
{
	return is_type(value, "application/x-www-form-urlencoded");
}

bool guard_request_id(const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (len == 0 || len > LIMIT_REQUEST_ID)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!alphanumeric(value[i]) && !one_of(value[i], "._-"))
			return false;
	}
	return true;
}
