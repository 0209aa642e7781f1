#include "server/http/inherited.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_FD = 3 /* SD_LISTEN_FDS_START */ };

/* NULL: not set. */
static const char *value_of(char *const *environment, const char *name)
{
	const size_t len = strlen(name);

	for (; environment && *environment; environment++) {
		if (!strncmp(*environment, name, len) && (*environment)[len] == '=')
			return *environment + len + 1;
	}
	return NULL;
}

/* -1: no number, or beyond an int. */
static int number_of(const char *text)
{
	char *end = NULL;

	errno = 0;
	long number = strtol(text, &end, 10);
	return end != text && !*end && !errno && number >= 0 && number <= INT32_MAX ? (int)number : -1;
}

/* Whether the name that `names` begins with is "ops"; `ret_next` is what follows it, NULL at the end. */
static bool next_is_ops(const char *names, const char **ret_next)
{
	const size_t len = names ? strcspn(names, ":") : 0;

	*ret_next = names && names[len] ? names + len + 1 : NULL;
	return len == 3 && !strncmp(names, "ops", len);
}

int inherited_find(char *const *environment, struct inherited *ret, char ret_why[256])
{
	const char *pid = value_of(environment, "LISTEN_PID"), *fds = value_of(environment, "LISTEN_FDS");
	const char *names = value_of(environment, "LISTEN_FDNAMES");
	struct inherited found = {.main_fd = -1, .ops_fd = -1};

	if (!pid || !fds || number_of(pid) != getpid()) {
		*ret = found;
		return 0;
	}
	const int count = number_of(fds);
	if (count < 0) {
		snprintf(ret_why, 256, "LISTEN_FDS is no number");
		return ERR_INVALID;
	}
	for (int i = 0; i < count; i++) {
		int *place = next_is_ops(names, &names) ? &found.ops_fd : &found.main_fd;
		if (*place >= 0) {
			snprintf(ret_why, 256,
				"%d sockets were handed over: one, and one with the name \"ops\", "
				"can be used",
				count);
			return ERR_INVALID;
		}
		*place = FIRST_FD + i;
	}
	*ret = found;
	return 0;
}
