#include "server/http/cookie.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* RFC 6265 4.1.1: printable ASCII but for blank, quote, comma, semicolon and backslash. */
static bool is_octets(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~' || strchr("\",;\\", text[i]))
			return false;
	}
	return true;
}

char *cookie_find(const char *header, const char *name)
{
	size_t name_len = strlen(name), len = 0;
	const char *value = NULL;

	for (const char *at = header; *at;) {
		at += strspn(at, " \t;");
		size_t pair_len = strcspn(at, ";");
		if (pair_len > name_len && at[name_len] == '=' && strncmp(at, name, name_len) == 0) {
			if (value)
				return NULL;
			value = at + name_len + 1;
			len = pair_len - name_len - 1;
		}
		at += pair_len;
	}
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	return value && is_octets(value, len) ? strndup(value, len) : NULL;
}
