#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

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
