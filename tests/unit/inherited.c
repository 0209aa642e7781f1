/* Which descriptors the variables of a service manager mean: nothing is opened or looked at here. */
#include "server/http/inherited.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

/* The variables for this process; NULL: not set. */
static int find(const char *fds, const char *names, struct inherited *ret)
{
	char pid[64], count[64], named[128], why[256] = "";
	char *environment[4] = {pid, NULL, NULL, NULL};
	size_t used = 1;

	(void)snprintf(pid, sizeof(pid), "LISTEN_PID=%d", (int)getpid());
	(void)snprintf(count, sizeof(count), "LISTEN_FDS=%s", fds ? fds : "");
	(void)snprintf(named, sizeof(named), "LISTEN_FDNAMES=%s", names ? names : "");
	if (fds)
		environment[used++] = count;
	if (names)
		environment[used] = named;
	int err = inherited_find(environment, ret, why);
	cr_assert_eq(err != 0, why[0] != '\0');
	return err;
}

static void expect(const char *fds, const char *names, int main_fd, int ops_fd)
{
	struct inherited found = {.main_fd = -7, .ops_fd = -7};

	cr_assert_eq(find(fds, names, &found), 0, "%s %s", fds, names);
	cr_expect_eq(found.main_fd, main_fd, "%s %s: %d", fds, names, found.main_fd);
	cr_expect_eq(found.ops_fd, ops_fd, "%s %s: %d", fds, names, found.ops_fd);
}

Test(inherited, one_or_two_by_their_names)
{
	expect("1", NULL, 3, -1);
	expect("1", "tokenfirst.socket", 3, -1);
	expect("1", "", 3, -1);
	expect("1", "ops", -1, 3);
	expect("1", "opsy", 3, -1);
	expect("1", "op", 3, -1);
	expect("2", "main:ops", 3, 4);
	expect("2", "ops:main", 4, 3);
	expect("2", "ops", 4, 3);
	expect("2", ":ops", 3, 4);
	expect("0", NULL, -1, -1);
	expect(NULL, NULL, -1, -1);
}

Test(inherited, more_than_there_is_use_for)
{
	static const char *const wrong[][2] = {{"2", NULL}, {"2", "a:b"}, {"2", "ops:ops"}, {"3", "a:ops:b"},
		{"2147483647", NULL}, {"-1", NULL}, {"", NULL}, {"1x", NULL}, {"99999999999999999999", NULL}};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct inherited found = {.main_fd = -7, .ops_fd = -7};
		cr_expect_eq(find(wrong[i][0], wrong[i][1], &found), ERR_INVALID, "%s", wrong[i][0]);
		cr_expect(found.main_fd == -7 && found.ops_fd == -7, "untouched on failure");
	}
}

/* A child of ours that is not meant must leave alone what its parent was given. */
Test(inherited, those_of_another_process)
{
	static const char *const pids[] = {"LISTEN_PID=1", "LISTEN_PID=", "LISTEN_PID=x", "LISTEN_PIDS=5", "A=b"};
	char why[256] = "";
	for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++) {
		struct inherited found = {.main_fd = -7, .ops_fd = -7};
		char *environment[] = {(char *)pids[i], (char *)"LISTEN_FDS=1", NULL};
		cr_assert_eq(inherited_find(environment, &found, why), 0);
		cr_expect(found.main_fd == -1 && found.ops_fd == -1, "%s", pids[i]);
	}
	struct inherited found = {.main_fd = -7, .ops_fd = -7};
	cr_assert_eq(inherited_find(NULL, &found, why), 0);
	cr_expect(found.main_fd == -1 && found.ops_fd == -1);
}
