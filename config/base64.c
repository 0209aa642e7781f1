#include "config/base64.h"

#include <sodium.h>

bool base64_read(const char *text, size_t len, int variant, void *ret_bytes, size_t size, size_t *ret_len)
{
	unsigned char high = 0;

	for (size_t i = 0; i < len; i++)
		high |= (unsigned char)text[i];
	return high < 0x80 && sodium_base642bin(ret_bytes, size, text, len, NULL, ret_len, NULL, variant) == 0;
}
