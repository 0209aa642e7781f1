/*
 * The process metrics that every Prometheus client library has, under their conventional names
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), and the build.
 *
 * All are read from the kernel when someone asks. What can't be read (no /proc, no descriptor left)
 * keeps its last value: a scrape must work above all when the process is in trouble.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "background/telemetry/metrics.h"

static int64_t timeval_us(const struct timeval *t)
{
	return (int64_t)t->tv_sec * 1000000 + (int64_t)t->tv_usec;
}

static void refresh_cpu(struct metrics *metrics)
{
	struct gauge *cpu_us = metrics_mirror(
		metrics, "process_cpu_seconds_total", "User and system CPU time spent in seconds.", 1e-6, NULL);
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		gauge_set(cpu_us, timeval_us(&usage.ru_utime) + timeval_us(&usage.ru_stime));
}

static void refresh_memory(struct metrics *metrics)
{
	struct gauge *virtual_bytes =
		metrics_gauge(metrics, "process_virtual_memory_bytes", "Virtual memory size in bytes.", 1, NULL);
	struct gauge *resident_bytes =
		metrics_gauge(metrics, "process_resident_memory_bytes", "Resident memory size in bytes.", 1, NULL);
	const int64_t page = sysconf(_SC_PAGESIZE);
	int64_t total, resident;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return;
	if (fscanf(file, "%" SCNd64 " %" SCNd64, &total, &resident) == 2) {
		gauge_set(virtual_bytes, total * page);
		gauge_set(resident_bytes, resident * page);
	}
	fclose(file);
}

/* Entries of a folder of /proc, or -1. */
static int64_t entries_in(const char *path)
{
	const struct dirent *entry;
	int64_t count = 0;
	DIR *folder = opendir(path);

	if (!folder)
		return -1;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc's is safe on a folder that no other thread reads */
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.')
			count++;
	}
	closedir(folder);
	return count;
}

static void refresh_descriptors(struct metrics *metrics)
{
	struct gauge *open_fds =
		metrics_gauge(metrics, "process_open_fds", "Number of open file descriptors.", 1, NULL);
	struct gauge *max_fds =
		metrics_gauge(metrics, "process_max_fds", "Maximum number of open file descriptors.", 1, NULL);
	const int64_t count = entries_in("/proc/self/fd");
	struct rlimit limit;

	if (count > 0)
		gauge_set(open_fds, count - 1); /* less the one that was open for counting */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		gauge_set(max_fds, (int64_t)limit.rlim_cur);
}

static void refresh_threads(struct metrics *metrics)
{
	struct gauge *threads =
		metrics_gauge(metrics, "process_threads", "Number of OS threads in the process.", 1, NULL);
	const int64_t count = entries_in("/proc/self/task");

	if (count > 0)
		gauge_set(threads, count);
}

/* Metrics are found by name here, so that no state is needed between scrapes. */
static void refresh(void *arg)
{
	struct metrics *metrics = arg;

	refresh_cpu(metrics);
	refresh_memory(metrics);
	refresh_descriptors(metrics);
	refresh_threads(metrics);
}

/* Wall time at which this process began, in ms, from its start in clock ticks since boot; -1 if unknown. */
static int64_t started_ms(void)
{
	int64_t ticks = -1, since_boot_ms, age_ms, hertz = sysconf(_SC_CLK_TCK);
	struct timespec boot, wall;
	FILE *file = fopen("/proc/self/stat", "re");

	if (!file)
		return -1;
	/* proc(5): the second field is the name in parentheses, the 22nd the start */
	if (fscanf(file,
		    "%*d (%*[^)]) %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		    "%" SCNd64,
		    &ticks) != 1)
		ticks = -1;
	fclose(file);
	if (ticks < 0 || hertz <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0 ||
		clock_gettime(CLOCK_REALTIME, &wall) != 0)
		return -1;
	since_boot_ms = ticks * 1000 / hertz;
	age_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000 - since_boot_ms;
	return (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000 - age_ms;
}

static void register_build(struct metrics *metrics)
{
	struct buf labels;

	buf_init(&labels, 1024);
	metrics_label(&labels, "version", TOKENFIRST_VERSION);
	metrics_label(&labels, "compiler", __VERSION__);
	gauge_set(metrics_gauge(metrics, "tokenfirst_build_info", "Version and compiler of this build; always 1.", 1,
			  labels.data),
		1);
	buf_release(&labels);
}

void metrics_register_process(struct metrics *metrics)
{
	const int64_t start = started_ms();

	register_build(metrics);
	if (start >= 0)
		gauge_set(metrics_gauge(metrics, "process_start_time_seconds",
				  "Start time of the process since unix epoch in seconds.", 1e-3, NULL),
			start);
	metrics_on_render(metrics, refresh, metrics);
}
