/* What strangers said, on its way to a terminal: nothing of it acts there, and what is harmless stays as it is. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/cli/terminal.h"

static void check(const char *text, const char *printed)
{
	char *out = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&out, &len);

	cr_assert_not_null(file);
	terminal_print(file, text);
	cr_assert_eq(fclose(file), 0);
	cr_expect_str_eq(out, printed);
	free(out);
}

Test(terminal, plain_words_stay_as_they_are)
{
	check("", "");
	check("alice \"a\" \\ 100%", "alice \"a\" \\ 100%");
	check("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80");
}

Test(terminal, what_a_terminal_acts_upon_is_written_out)
{
	check("a\nb\r\tc", "a\\x0ab\\x0d\\x09c");
	check("\x1b[2J\x7f", "\\x1b[2J\\x7f");
	check("\xc2\x9b"
	      "31m",
		"\\x9b31m");
	check("\xe2\x80\xae"
	      "x\xe2\x80\xa8",
		"\\u{202e}x\\u{2028}");
	check("\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf", "\\u{2066}\\u{061c}\\u{feff}");
	check("\xff\xc3", "\\xff\\xc3");
}
