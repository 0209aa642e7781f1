#include "config/utf8.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

/* jansson's own reader is the reference. */
Test(utf8, every_text_of_two_and_some_of_four_bytes_is_judged_as_jansson_does)
{
	char text[5] = {0};

	for (unsigned i = 1; i < 0x10000; i++) {
		static const char *const ends[] = {"", "\x80", "\xbf", "\x80\x80", "\xc3", "a"};
		text[0] = (char)(i & 0xff);
		text[1] = (char)(i >> 8);
		if (!text[0])
			continue;
		for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
			memcpy(text + (text[1] ? 2 : 1), ends[k], strlen(ends[k]) + 1);
			json_t *json = json_string(text);
			cr_assert_eq(utf8_valid(text), json != NULL, "%04x and end %zu", i, k);
			json_decref(json);
			utf8_mend(text);
			cr_assert(utf8_valid(text), "%04x and end %zu, mended", i, k);
			text[0] = (char)(i & 0xff);
			text[1] = (char)(i >> 8);
		}
	}
}

Test(utf8, what_is_valid_stays_and_the_rest_becomes_a_question_mark_each)
{
	char text[] = "a\xe4\xc3\xa4\xf0\x9f\x98\x80\xed\xa0\x80\xe2\x82";

	utf8_mend(text);
	cr_assert_str_eq(text, "a?\xc3\xa4\xf0\x9f\x98\x80?????");
	cr_assert_eq(utf8_character(""), 0);
	cr_assert_eq(utf8_character("\xf0\x9f\x98\x80x"), 4);
}
