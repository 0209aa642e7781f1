#include "config/utf8.h"

size_t utf8_character(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char first = *at++;
	unsigned char low = 0x80, high = 0xbf; /* of the second byte; the NUL at the end is no continuation */

	if (first < 0x80)
		return first != '\0';
	if (first < 0xc2 || first > 0xf4)
		return 0;
	const size_t len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len; i++, at++, low = 0x80, high = 0xbf) {
		if (*at < low || *at > high)
			return 0;
	}
	return len;
}

bool utf8_valid(const char *text)
{
	for (size_t len; *text; text += len) {
		len = utf8_character(text);
		if (len == 0)
			return false;
	}
	return true;
}

size_t utf8_count(const char *text)
{
	size_t count = 0;

	for (size_t len; (len = utf8_character(text)) > 0; text += len)
		count++;
	return count;
}

void utf8_mend(char *text)
{
	while (*text) {
		const size_t len = utf8_character(text);
		if (len == 0)
			*text = '?';
		text += len > 0 ? len : 1;
	}
}
