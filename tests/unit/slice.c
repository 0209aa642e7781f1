/* Turns on a core, as the kernel says that they were asked for. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/slice.h"
#include "server/password/password.h"

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

static struct attributes attributes_of(int thread)
{
	struct attributes attributes = {.size = sizeof(attributes)};

	cr_assert_eq(syscall(SYS_sched_getattr, thread, &attributes, sizeof(attributes), 0), 0);
	return attributes;
}

TestSuite(slice, .timeout = 20);

Test(slice, is_asked_for_and_changes_nothing_else)
{
	struct sched_param none = {.sched_priority = 0};
	struct attributes attributes;

	cr_assert_eq(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 2), 0);
	cr_assert_eq(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	cr_assert_eq(slice_ask(7000, 0), 0);
	attributes = attributes_of(0);
	cr_expect_eq(attributes.policy, SCHED_BATCH);
	cr_expect_eq(attributes.nice, getpriority(PRIO_PROCESS, 0));
	if (attributes.runtime_ns > 0) /* since Linux 6.12 it is told */
		cr_expect_eq(attributes.runtime_ns, 7000000);
}

Test(slice, goes_with_a_niceness_that_is_raised_as_far_as_there_is_one)
{
	const int own = getpriority(PRIO_PROCESS, 0);

	cr_assert_eq(slice_ask(7000, 3), 0);
	cr_expect_eq(getpriority(PRIO_PROCESS, 0), own + 3 < 19 ? own + 3 : 19);
	cr_assert_eq(slice_ask(7000, 40), 0);
	cr_expect_eq(getpriority(PRIO_PROCESS, 0), 19);
}

Test(slice, a_thread_of_another_policy_stays_as_it_is)
{
	struct sched_param none = {.sched_priority = 0};

	cr_assert_eq(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	cr_assert_eq(slice_ask(7000, 0), 0);
	cr_expect_eq(attributes_of(0).policy, SCHED_IDLE);
}

/* The thread of this process that is called so; 0: there is none. */
static int thread_called(const char *wanted)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int found = 0;

	cr_assert_not_null(tasks);
	while (!found && (entry = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(name, sizeof(name), file) && strncmp(name, wanted, strlen(wanted)) == 0)
			found = (int)strtol(entry->d_name, NULL, 10);
		if (file)
			fclose(file);
	}
	closedir(tasks);
	return found;
}

Test(slice, hash_threads_ask_for_long_turns_at_the_niceness_of_all)
{
	struct config config = {
		.password = {.memory_kib = 64, .passes = 1, .slots = 1, .queue = 2, .queue_timeout_ms = 5000}};
	struct metrics *metrics = metrics_new();
	struct passwords *passwords = NULL;
	struct password_check check;
	struct attributes attributes, own = attributes_of(0);

	cr_assert(sodium_init() >= 0 && metrics);
	clock_start();
	cr_assert_eq(passwords_start(&config, metrics, &passwords), 0);
	cr_assert_eq(password_verify(passwords, NULL, "x", NULL, NULL, &check), 0, "so that it has begun");
	attributes = attributes_of(thread_called("hash-0"));
	cr_expect_eq(attributes.nice, own.nice);
	if (own.runtime_ns > 0)
		cr_expect_gt(attributes.runtime_ns, own.runtime_ns);
	passwords_stop(passwords);
	metrics_free(metrics);
}
