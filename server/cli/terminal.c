#include "server/cli/terminal.h"

#include <stdbool.h>
#include <stdint.h>

#include "config/utf8.h"

/* Of a character that is valid and so many bytes long. */
static uint32_t code_point(const char *text, size_t len)
{
	static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (unsigned char)text[0] & first[len];

	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	return code;
}

static bool turns(uint32_t code)
{
	return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void terminal_print(FILE *out, const char *text)
{
	for (size_t len; *text; text += len) {
		len = utf8_character(text);
		const uint32_t code = len > 0 ? code_point(text, len) : (unsigned char)*text;
		if (len == 0)
			len = 1;
		else if (code >= 0x20 && (code < 0x7f || code > 0x9f) && !turns(code)) {
			(void)fwrite(text, 1, len, out);
			continue;
		}
		(void)fprintf(out, code < 0x100 ? "\\x%02x" : "\\u{%04x}", (unsigned)code);
	}
}
