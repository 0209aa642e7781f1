#include <criterion/criterion.h>
#include <inttypes.h>

#include "background/effects/effect.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 */
static const int64_t then_ms = 784111777000;
static const int64_t most_ms = (int64_t)LIMIT_RETRY_AFTER_S * 1000;

Test(retry_after, seconds)
{
	cr_assert_eq(retry_after_parse("0", 5), 0);
	cr_assert_eq(retry_after_parse("1", 5), 1000);
	cr_assert_eq(retry_after_parse("120", 5), 120000);
	cr_assert_eq(retry_after_parse("007", 5), 7000);
}

Test(retry_after, is_capped)
{
	cr_assert_eq(retry_after_parse("604800", 0), most_ms);
	cr_assert_eq(retry_after_parse("604801", 0), most_ms);
	cr_assert_eq(retry_after_parse("99999999999999999999999999999999", 0), most_ms);
	cr_assert_eq(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 0), most_ms);
}

Test(retry_after, all_three_forms_of_a_date)
{
	cr_assert_eq(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", then_ms - 1500), 1500);
	cr_assert_eq(retry_after_parse("Sunday, 06-Nov-94 08:49:37 GMT", then_ms - 1500), 1500);
	cr_assert_eq(retry_after_parse("Sun Nov  6 08:49:37 1994", then_ms - 1500), 1500);
}

Test(retry_after, a_date_in_the_past_is_now)
{
	cr_assert_eq(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", then_ms), 0);
	cr_assert_eq(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", then_ms + 1), 0);
}

Test(retry_after, numbers_at_and_beyond_what_a_machine_holds)
{
	static const char *const huge[] = {"4294967296", "9223372036854775807", "9223372036854775808",
		"18446744073709551616", "9223372036854776", "000000000000000000000604800"};

	for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
		cr_assert_eq(retry_after_parse(huge[i], 0), most_ms, "%s", huge[i]);
	cr_assert_eq(retry_after_parse("00000000000000000000000", 0), 0);
}

Test(retry_after, dates_at_the_edges)
{
	static const char *const past[] = {"Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 1999 23:59:59 GMT",
		"Friday, 31-Dec-99 23:59:59 GMT", "Tue Feb 29 12:00:00 2000"};

	for (size_t i = 0; i < sizeof past / sizeof *past; i++)
		cr_assert_eq(retry_after_parse(past[i], INT64_C(1767323045678)), 0, "%s", past[i]);
	cr_assert_eq(retry_after_parse("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(1767323045678)), most_ms);
	/* the day's name is not looked at */
	cr_assert_eq(retry_after_parse("Mon, 06 Nov 1994 08:49:37 GMT", then_ms - 1500), 1500);
}

Test(retry_after, everything_else_is_none)
{
	static const char *const bad[] = {
		"",
		" ",
		"-1",
		"+1",
		"1.5",
		"1 ",
		" 1",
		"1s",
		"0x10",
		"soon",
		"12:30",
		"1, 2",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37 +0100",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Xyz 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 28:49:37 GMT",
		"1994-11-06T08:49:37Z",
		", 06-Nov-94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"-0",
		"-9223372036854775808",
		"1e3",
		"0.5",
		".5",
		"1,5",
		"1;2",
		"120 seconds",
		"\"120\"",
		"\t1",
		"\xd9\xa3", /* a digit, but an Arabic one */
		"\xe2\x88\x9e",
		"NaN",
		"null",
		"true",
		"{}",
		"PT5M",
		"Sun, 06 Nov 1994 08:49:37 gmt",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT", /* RFC 850 writes the day out */
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT, 5",
		"5, Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT\r\n5",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(
			retry_after_parse(bad[i], 0), -1, "\"%s\": %" PRId64, bad[i], retry_after_parse(bad[i], 0));
}

Test(retry_after, digits_alone_are_seconds_whatever_they_look_like)
{
	cr_assert_eq(retry_after_parse("2026", 0), 2026000);
	cr_assert_eq(retry_after_parse("19941106", 0), most_ms);
}
