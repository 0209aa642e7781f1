/*
 * The program under test as a child process: found, started, waited for with a deadline.
 *
 * It is $SERVER_UNDER_TEST, else build/tokenfirst below the current directory, which is the root of the
 * repository. A child is in a process group of its own, and dies with the thread that started it.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_PROGRAM_H
#define TOKENFIRST_TESTS_SUPPORT_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/black_hole.h"

enum {
	PROGRAM_ARGUMENTS = 128,     /* words of a command line */
	PROGRAM_ENVIRONMENT = 64,    /* variables added */
	PROGRAM_SOCKETS = 4,	     /* handed over */
	PROGRAM_OUTPUT = 4 << 20,    /* bytes kept of each output */
	PROGRAM_DEADLINE_MS = 30000, /* a usual deadline for a command */
};

struct program_options {
	const char *const *wrapper;	/* words before the program ("strace", …), NULL-terminated; NULL: none */
	const char *const *arguments;	/* words after its name, NULL-terminated */
	const char *const *environment; /* "NAME=value" added to ours, NULL-terminated; NULL: none */
	const char *folder;		/* working directory; NULL: ours */
	const struct black_hole *dns;	/* NULL: the machine's own DNS */
	int in, out, err;		/* descriptors that become the child's 0, 1, 2 */
	const int *sockets;		/* that become 3 and on; NULL: none */
	size_t socket_count;
};

/* The absolute path of the program. Fails if it can't be run. */
const char *program_path(void);

pid_t program_start(const struct program_options *options);

/*
 * The exit code, or minus the signal that killed it. After `deadline_ms` it is killed with its group, and the test
 * fails.
 */
int program_wait(pid_t pid, int64_t deadline_ms);

struct program_result {
	int exit_code; /* or minus the signal */
	char *out;     /* NUL-terminated; free by program_result_release */
	char *err;
};

/* Runs a command to its end. `input` NULL: none. */
void program_run(
	const char *const *arguments, const char *input, const char *folder, struct program_result *ret_result);
void program_result_release(struct program_result *result);

#endif
