/*
 * A library to be preloaded (LD_PRELOAD): the wall clock of a running program jumps when a test says so.
 *
 * The file named by $CLOCK_SHIFT holds one int64_t, the milliseconds by which CLOCK_REALTIME is off. It is mapped, so
 * that a write to it is a jump at once. Without it nothing is shifted. All other clocks are as they were: a real jump
 * of the wall clock does not touch CLOCK_MONOTONIC either.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret_time);
int gettimeofday(struct timeval *restrict ret_time, void *restrict zone);
time_t time(time_t *ret_time);
int timespec_get(struct timespec *ret_time, int base);

static const _Atomic int64_t *shift_ms;

__attribute__((constructor)) static void map_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		shift_ms = map;
}

/* By the system call: to look up the library's own function may ask for the time itself. */
int clock_gettime(clockid_t id, struct timespec *ret_time)
{
	if (syscall(SYS_clock_gettime, id, ret_time) != 0)
		return -1;
	if (shift_ms == NULL || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return 0;
	int64_t shift = atomic_load(shift_ms);
	ret_time->tv_sec += shift / 1000;
	ret_time->tv_nsec += shift % 1000 * 1000000;
	if (ret_time->tv_nsec < 0) {
		ret_time->tv_nsec += 1000000000;
		ret_time->tv_sec--;
	} else if (ret_time->tv_nsec >= 1000000000) {
		ret_time->tv_nsec -= 1000000000;
		ret_time->tv_sec++;
	}
	return 0;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *ret_time)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time != NULL)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}

int timespec_get(struct timespec *ret_time, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, ret_time) == 0 ? base : 0;
}
