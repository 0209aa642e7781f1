#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "config/clock.h"

Test(clock, wall_time_is_the_systems_at_start)
{
	clock_start();
	int64_t now = clock_now_ms(), wall = clock_wall_ms();
	cr_assert_leq(llabs(now - wall), 50, "%lld %lld", (long long)now, (long long)wall);
	cr_assert_leq(llabs(wall / 1000 - (int64_t)time(NULL)), 1);
}

Test(clock, both_clocks_advance_together)
{
	clock_start();
	int64_t mono = clock_mono_us(), now = clock_now_ms();
	struct timespec nap = {.tv_nsec = 30 * 1000 * 1000};
	while (nanosleep(&nap, &nap))
		;
	int64_t mono_us = clock_mono_us() - mono, now_ms = clock_now_ms() - now;
	cr_assert_geq(mono_us, 30 * 1000);
	cr_assert_geq(now_ms, 29);
	cr_assert_leq(llabs(mono_us / 1000 - now_ms), 1000);
}

Test(clock, never_goes_back)
{
	clock_start();
	int64_t us = clock_mono_us(), ms = clock_now_ms();
	for (int i = 0; i < 10000; i++) {
		int64_t next_us = clock_mono_us(), next_ms = clock_now_ms();
		cr_assert(next_us >= us && next_ms >= ms);
		us = next_us;
		ms = next_ms;
	}
}

Test(clock, rfc3339)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{0, "1970-01-01T00:00:00.000Z"}, {1767323045678, "2026-01-02T03:04:05.678Z"},
		{951782400001, "2000-02-29T00:00:00.001Z"}, {253402300799999, "9999-12-31T23:59:59.999Z"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[RFC3339_SIZE];
		clock_rfc3339(text, rows[i].ms);
		cr_assert_str_eq(text, rows[i].text);
	}
}

/* As people write times. The last ones are near misses of each part. */
Test(clock, rfc3339_is_read)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} rows[] = {{"2026-01-02", 1767312000000}, {"2026-01-02T03:04:05Z", 1767323045000},
		{"2026-01-02t03:04:05z", 1767323045000}, {"2026-01-02 03:04:05.6Z", 1767323045600},
		{"2026-01-02T04:34:05.6789+01:30", 1767323045678}, {"2026-01-01T22:04:05-05:00", 1767323045000},
		{"2016-12-31T23:59:60Z", 1483228800000}, {"", -1}, {"2026-13-01", -1}, {"2026-02-30", -1},
		{"2026-02-30T00:00:00Z", -1}, {"1969-12-31", -1}, {"10000-01-01", -1}, {"2026-01-02T03:04:05", -1},
		{"2026-01-02T03:04:05Zulu", -1}, {"2026-01-02T03:04:05+1:00", -1}, {"2026-01-02T03:04:05+-1:-3", -1},
		{"2026-01-02T03:04:05+ 1: 3", -1}, {"2026-01-02T03:04:05+24:00", -1}, {"2026-01-02T03:04:05+01:60", -1},
		{"2026-01-02T03:04:05+01:000", -1}, {"2026-01-02T03:04:05+01", -1}, {"2026-01-02T03:04:05+", -1}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;
		int err = clock_parse_rfc3339(rows[i].text, &ms);
		cr_assert_eq(err, rows[i].ms < 0 ? ERR_INVALID : 0, "%s", rows[i].text);
		cr_assert_eq(ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
	}
}
