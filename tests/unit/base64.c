#include "config/base64.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

static bool reads(const char *text, size_t len)
{
	unsigned char bytes[16];
	size_t got = 0;

	return base64_read(text, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING, bytes, sizeof(bytes), &got);
}

Test(base64, reads_what_it_is)
{
	unsigned char bytes[3];
	size_t got = 0;

	cr_assert(base64_read("-_8A", 4, sodium_base64_VARIANT_URLSAFE_NO_PADDING, bytes, sizeof(bytes), &got));
	cr_assert_eq(got, 3);
	cr_assert_eq(memcmp(bytes, "\xfb\xff\x00", 3), 0);
	cr_assert(reads("", 0));
	cr_assert(reads("AA", 2));
}

/* libsodium's own reader takes the high ones for '_'. */
Test(base64, each_character_is_of_the_alphabet)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (int byte = 0; byte < 256; byte++) {
		char text[] = {'A', 'A', (char)byte, 'A'};

		cr_expect_eq(reads(text, 4), byte != 0 && strchr(alphabet, byte) != NULL, "%02x", (unsigned)byte);
	}
}

Test(base64, one_text_for_the_same_bytes)
{
	cr_expect(!reads("AB", 2), "bits are left over");
	cr_expect(!reads("AA==", 4), "padding");
	cr_expect(!reads("A", 1));
	cr_expect(!reads("AA\n", 3));
	cr_expect(!reads("AAAAAAAAAAAAAAAAAAAAAAAA", 24), "more than there is room for");
}
