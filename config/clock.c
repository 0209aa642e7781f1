/*
 * Wall time within the process is one offset, fixed at clock_start, on top of the
 * monotonic clock. A clock that an operator or NTP sets back would otherwise make
 * due times, ages and backoffs jump with it.
 */
#include "config/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Written once by clock_start, before the first thread; only read afterwards. */
static int64_t offset_ms;

static int64_t read_us(clockid_t id)
{
	struct timespec t = {0};

	(void)clock_gettime(id, &t); /* fails for an unknown clock only */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_start(void)
{
	offset_ms = read_us(CLOCK_REALTIME) / 1000 - read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_now_ms(void)
{
	return offset_ms + read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	if (pthread_condattr_init(&attributes) != 0)
		return ERR_MEMORY;
	int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (failed == 0)
		failed = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return failed == 0 ? 0 : ERR_MEMORY;
}

struct timespec clock_deadline(int64_t mono_us)
{
	return (struct timespec){.tv_sec = (time_t)(mono_us / 1000000), .tv_nsec = (long)(mono_us % 1000000 * 1000)};
}

/* The last `count` digits of a number, right to left. */
static void put_digits(char *text, int count, int number)
{
	unsigned rest = (unsigned)number;

	for (int i = count - 1; i >= 0; i--, rest /= 10)
		text[i] = (char)('0' + rest % 10);
}

void clock_rfc3339(char ret_text[RFC3339_SIZE], int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm = {0};

	/* several for each effect: digit by digit, which costs a tenth of what strftime and snprintf do */
	(void)gmtime_r(&seconds, &tm);
	memcpy(ret_text, "0000-00-00T00:00:00.000Z", RFC3339_SIZE);
	put_digits(ret_text, 4, tm.tm_year + 1900);
	put_digits(ret_text + 5, 2, tm.tm_mon + 1);
	put_digits(ret_text + 8, 2, tm.tm_mday);
	put_digits(ret_text + 11, 2, tm.tm_hour);
	put_digits(ret_text + 14, 2, tm.tm_min);
	put_digits(ret_text + 17, 2, tm.tm_sec);
	put_digits(ret_text + 20, 3, (int)(ms % 1000));
}

/* ".678", of which more than milliseconds are read over; the rest of the text. */
static const char *parse_fraction(const char *text, int64_t *ret_ms)
{
	int64_t unit = 100;

	*ret_ms = 0;
	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
		*ret_ms += (*text - '0') * unit;
	return text;
}

static bool digits(const char *text)
{
	return text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
}

static int number(const char *text)
{
	return (text[0] - '0') * 10 + text[1] - '0';
}

/* "Z" or "+02:00", to the end of the text. */
static int parse_offset(const char *text, int64_t *ret_s)
{
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_s = 0;
		return 0;
	}
	if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || !digits(text + 1) || text[3] != ':' ||
		!digits(text + 4) || number(text + 1) > 23 || number(text + 4) > 59)
		return ERR_INVALID;
	*ret_s = (int64_t)(number(text + 1) * 3600 + number(text + 4) * 60) * (text[0] == '-' ? -1 : 1);
	return 0;
}

/* timegm makes the 30th of February one of March. */
static bool day_exists(const struct tm *parts)
{
	struct tm day = {.tm_year = parts->tm_year, .tm_mon = parts->tm_mon, .tm_mday = parts->tm_mday};

	(void)timegm(&day);
	return day.tm_mday == parts->tm_mday;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_ms)
{
	struct tm parts = {0};
	int64_t fraction_ms = 0, offset_s = 0;
	const char *rest = strptime(text, "%Y-%m-%d", &parts);

	if (rest && (*rest == 'T' || *rest == 't' || *rest == ' ')) {
		rest = strptime(rest + 1, "%H:%M:%S", &parts);
		if (rest)
			rest = parse_fraction(rest, &fraction_ms);
		if (!rest || parse_offset(rest, &offset_s) != 0)
			return ERR_INVALID;
	} else if (!rest || *rest) {
		return ERR_INVALID;
	}
	if (parts.tm_year < 70 || parts.tm_year > 9999 - 1900 || !day_exists(&parts))
		return ERR_INVALID;
	int64_t ms = ((int64_t)timegm(&parts) - offset_s) * 1000 + fraction_ms;
	if (ms < 0)
		return ERR_INVALID;
	*ret_ms = ms;
	return 0;
}
