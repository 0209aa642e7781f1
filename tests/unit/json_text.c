/* A text as a JSON string, beside what jansson makes of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "config/json_text.h"

static void check(const char *text)
{
	json_t *string = json_string(text);
	char *expected = json_dumps(string, JSON_ENCODE_ANY);
	struct buf out;

	buf_init(&out, 4096);
	buf_append_text(&out, "before");
	cr_assert_eq(json_text_append(&out, text), 0);
	cr_assert_eq(strncmp(out.data, "before", 6), 0);
	cr_assert_str_eq(out.data + 6, expected);
	buf_release(&out);
	free(expected);
	json_decref(string);
}

Test(json_text, every_byte_and_some_texts_as_jansson_writes_them)
{
	static const char *const texts[] = {"", "plain", "a \"quote\"", "back\\slash", "line\r\nend", "tab\there",
		"Zo\xc3\xab \xe2\x82\xac \xf0\x9f\x98\x80", "</script>", "\x7f", "{\"a\":[1]}"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check(texts[i]);
	for (char c = 1; c > 0; c++) {
		const char text[] = {'x', c, 'y', '\0'};

		check(text);
		if (c == 0x7f)
			break;
	}
}

Test(json_text, what_is_no_utf8_is_refused_and_leaves_nothing)
{
	static const char *const bad[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf"};
	struct buf out;

	buf_init(&out, 100);
	buf_append_text(&out, "[");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_eq(json_text_append(&out, bad[i]), ERR_INVALID);
		cr_assert_str_eq(out.data, "[");
		cr_assert_eq(buf_error(&out), 0);
	}
	buf_release(&out);
}

Test(json_text, what_finds_no_room_leaves_nothing)
{
	static const char *const texts[] = {"12345678", "1234567", "\n\n\n\n"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf out;

		buf_init(&out, 9);
		buf_append_text(&out, "[");
		cr_assert_eq(json_text_append(&out, texts[i]), ERR_LIMIT);
		cr_assert_str_eq(out.data, "[");
		cr_assert_eq(out.len, 1);
		buf_release(&out);
	}
}
