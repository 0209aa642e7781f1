/*
 * Wall time within the process is one offset, fixed at clock_start, on top of the
 * monotonic clock. A clock that an operator or NTP sets back would otherwise make
 * due times, ages and backoffs jump with it.
 */
#include "config/clock.h"

#include <stdio.h>
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

void clock_rfc3339(char ret_text[RFC3339_SIZE], int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	size_t len = strftime(ret_text, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	ret_text[len] = '\0'; /* what a year of five digits leaves behind is undefined */
	(void)snprintf(ret_text + len, RFC3339_SIZE - len, ".%03uZ", (unsigned int)(ms % 1000) % 1000);
}
