#include <criterion/criterion.h>
#include <stdint.h>

#include "config/units.h"

Test(units, durations)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {{"0ms", 0}, {"250ms", 250}, {"5s", 5000}, {"15m", 900000}, {"12h", 43200000}, {"30d", 2592000000},
		{"007s", 7000}, {"9223372036854775807ms", INT64_MAX}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;
		cr_assert_eq(units_parse_duration(rows[i].text, &ms), 0, "%s", rows[i].text);
		cr_assert_eq(ms, rows[i].ms, "%s", rows[i].text);
	}
}

Test(units, sizes)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {{"0B", 0}, {"512B", 512}, {"16KiB", 16384}, {"4MiB", 4194304}, {"1GiB", 1073741824}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t bytes = -1;
		cr_assert_eq(units_parse_size(rows[i].text, &bytes), 0, "%s", rows[i].text);
		cr_assert_eq(bytes, rows[i].bytes, "%s", rows[i].text);
	}
}

Test(units, refused_and_untouched)
{
	static const char *const durations[] = {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5sec",
		"1e3s", "0x10s", "5KiB", "9223372036854775808ms", "9223372036854775807s", "106751991168d"};
	static const char *const sizes[] = {
		"", "16", "16K", "16kib", "16 KiB", "16KB", "-1B", "9223372036854775807KiB", "5s"};
	int64_t value = 77;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		cr_assert_eq(units_parse_duration(durations[i], &value), ERR_INVALID, "%s", durations[i]);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		cr_assert_eq(units_parse_size(sizes[i], &value), ERR_INVALID, "%s", sizes[i]);
	cr_assert_eq(value, 77);
}

Test(units, formats_in_the_largest_exact_unit)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{0, "0ms"}, {1, "1ms"}, {1500, "1500ms"}, {60000, "1m"}, {90000, "90s"}, {3600000, "1h"},
		{86400000, "1d"}, {INT64_MAX, "9223372036854775807ms"}};
	char text[UNITS_TEXT_SIZE];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		units_format_duration(text, rows[i].ms);
		cr_assert_str_eq(text, rows[i].text);
	}
	units_format_size(text, 16384);
	cr_assert_str_eq(text, "16KiB");
	units_format_size(text, 1000);
	cr_assert_str_eq(text, "1000B");
	units_format_size(text, 0);
	cr_assert_str_eq(text, "0B");
}
