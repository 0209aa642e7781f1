/*
 * Time. Two clocks, never mixed up:
 *
 *   clock_now_ms   wall time for records and due times, in milliseconds since the
 *                  epoch. Taken from CLOCK_REALTIME once, at clock_start, and carried
 *                  on by the monotonic clock: it never jumps within a process.
 *   clock_mono_us  monotonic time for intervals and deadlines, in microseconds.
 *
 * Decisions (retry, breaker, deadlines) take `now` as an argument and never ask;
 * only the code that acts on them calls these. Any thread, no lock.
 */
#ifndef TOKENFIRST_CONFIG_CLOCK_H
#define TOKENFIRST_CONFIG_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "config/err.h"

/* Once, before the first thread. */
void clock_start(void);

int64_t clock_now_ms(void);
int64_t clock_mono_us(void);

/* CLOCK_REALTIME as it is right now, for log lines and token times only. */
int64_t clock_wall_ms(void);

/*
 * Waits with a deadline, on the monotonic clock: a step of the wall clock neither hastens nor delays them.
 * pthread_cond_timedwait on such a condition takes clock_deadline(clock_mono_us() + …).
 */
int clock_condition_init(pthread_cond_t *condition) MUST_CHECK;
struct timespec clock_deadline(int64_t mono_us);

/* "2026-01-02T03:04:05.678Z": UTC, RFC 3339, of a wall time from 0 to the end of the year 9999. */
enum { RFC3339_SIZE = 25 };
void clock_rfc3339(char ret_text[RFC3339_SIZE], int64_t ms);
/*
 * The way back, as people may write it: with or without a fraction, with Z or an offset ("+02:00"), or a date alone,
 * which is its midnight in UTC. ERR_INVALID: nothing of that, or not in these years.
 */
int clock_parse_rfc3339(const char *text, int64_t *ret_ms) MUST_CHECK;

#endif
