#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/buf.h"

Test(buf, is_an_empty_text_before_the_first_append)
{
	struct buf b;
	buf_init(&b, 10);
	cr_assert_str_empty(b.data);
	cr_assert_eq(b.len, 0);
	cr_assert_eq(buf_error(&b), 0);
	buf_release(&b);
}

Test(buf, appends_and_stays_terminated)
{
	struct buf b;
	buf_init(&b, 1000);
	buf_append_text(&b, "one");
	buf_append(&b, " two!", 4);
	buf_printf(&b, " %d", 3);
	cr_assert_str_eq(b.data, "one two 3");
	cr_assert_eq(b.len, 9);
	for (int i = 0; i < 900; i++)
		buf_append(&b, "x", 1);
	cr_assert_eq(b.len, 909);
	cr_assert_eq(b.data[909], '\0');
	cr_assert_eq(b.data[908], 'x');
	buf_release(&b);
}

Test(buf, is_written_in_place)
{
	struct buf b;
	buf_init_secret(&b, 100);
	buf_reserve(&b, 50);
	const char *at = b.data;
	cr_assert_eq(b.len, 0);
	cr_assert_str_empty(b.data);
	buf_append_text(&b, "one ");
	char *place = buf_extend(&b, 3);
	cr_assert_not_null(place);
	memcpy(place, "two", 4); /* an encoder writes its NUL as well */
	cr_assert_str_eq(b.data, "one two");
	cr_assert_eq(b.len, 7);
	cr_assert_eq(b.data, at, "what was reserved is not moved");
	cr_assert_null(buf_extend(&b, 94));
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	cr_assert_eq(b.len, 7);
	cr_assert_null(buf_extend(&b, 1), "the error sticks");
	buf_release(&b);
}

Test(buf, holds_exactly_its_maximum)
{
	struct buf b;
	buf_init(&b, 4);
	buf_append_text(&b, "1234");
	cr_assert_eq(buf_error(&b), 0);
	cr_assert_str_eq(b.data, "1234");
	buf_append(&b, "", 0);
	cr_assert_eq(buf_error(&b), 0, "nothing is no more than the maximum");
	buf_append(&b, "5", 1);
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	cr_assert_str_eq(b.data, "1234");
	buf_release(&b);
}

Test(buf, an_error_sticks_until_reset)
{
	struct buf b;
	buf_init(&b, 4);
	buf_append_text(&b, "12345");
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	buf_append_text(&b, "1");
	buf_printf(&b, "%d", 1);
	cr_assert_eq(b.len, 0, "after an error nothing is appended");
	cr_assert_null(buf_steal(&b));
	buf_reset(&b);
	cr_assert_eq(buf_error(&b), 0);
	buf_printf(&b, "%s", "abcd");
	cr_assert_str_eq(b.data, "abcd");
	buf_printf(&b, "%s", "e");
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	buf_release(&b);
}

Test(buf, steals_what_it_holds_and_is_empty_then)
{
	struct buf b;
	buf_init(&b, 100);
	buf_append_text(&b, "mine");
	char *text = buf_steal(&b);
	cr_assert_str_eq(text, "mine");
	cr_assert_eq(b.len, 0);
	cr_assert_str_empty(b.data);
	free(text);
	text = buf_steal(&b);
	cr_assert_str_eq(text, "", "an empty one gives memory too");
	free(text);
	buf_append_text(&b, "again");
	cr_assert_str_eq(b.data, "again");
	buf_release(&b);
}

Test(buf, an_unbounded_one_does_not_overflow)
{
	struct buf b;
	buf_init(&b, SIZE_MAX);
	buf_append(&b, "x", 1);
	buf_append(&b, "x", SIZE_MAX - 1);
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	buf_release(&b);
	buf_init(&b, 0);
	buf_append(&b, "x", 1);
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	buf_release(&b);
}

/* A text is tried in the room that there is; what does not fit must leave no trace, and what just fits be whole. */
Test(buf, prints_at_every_distance_from_the_end_of_its_room)
{
	char expected[300];

	for (size_t before = 0; before < 140; before++) {
		struct buf b;
		buf_init(&b, 200);
		memset(expected, 'x', before);
		expected[before] = '\0';
		buf_append(&b, expected, before);
		buf_printf(&b, "%s-%d", "0123456789012345678901234567890123456789", 42);
		strcat(expected, "0123456789012345678901234567890123456789-42");
		cr_assert_str_eq(b.data, expected);
		cr_assert_eq(b.len, strlen(expected));
		buf_release(&b);
	}
}

Test(buf, what_is_beyond_its_maximum_is_not_printed_in_part)
{
	struct buf b;
	buf_init(&b, 10);
	buf_append_text(&b, "12345678");
	buf_printf(&b, "%s", "9ab");
	cr_assert_eq(buf_error(&b), ERR_LIMIT);
	cr_assert_str_eq(b.data, "12345678");
	cr_assert_eq(b.len, 8);
	buf_release(&b);
}

Test(buf, numbers_are_written_as_printf_does)
{
	static const int64_t numbers[] = {
		0, 1, -1, 9, 10, -10, 99, 1234567890, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		char expected[32];
		struct buf b;
		buf_init(&b, 20);
		snprintf(expected, sizeof(expected), "%" PRId64, numbers[i]);
		buf_append_int(&b, numbers[i]);
		cr_assert_eq(buf_error(&b), 0);
		cr_assert_str_eq(b.data, expected);
		buf_release(&b);
	}
}
