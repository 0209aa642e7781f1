/*
 * Faults at system calls, by strace: the N-th call of a thread fails, or the process is killed right before it.
 *
 * Only calls that change files are looked at: pwrite64, fdatasync, fsync, ftruncate, rename, unlink. strace counts
 * calls per thread, so one thread is looked at, and a clean run tells which calls there are. It must run as root, or be
 * allowed to attach to a process that is not its child (kernel.yama.ptrace_scope 0).
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_INJECT_H
#define TOKENFIRST_TESTS_SUPPORT_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
	INJECT_CALLS = 2000, /* of a run that are remembered; more end the process */
	INJECT_WORDS = 16,   /* of a command line */
};

/* In their order, as names ("pwrite64"). */
struct inject_calls {
	size_t count;
	const char *names[INJECT_CALLS];
	size_t injected; /* struck by an error; a kill is not among them */
	bool killed;
};

struct inject_fault {
	const char *what; /* "signal=KILL", "error=EIO"; NULL: none, the calls are looked at */
	const char *call;
	size_t number;	   /* among the calls of that name, from 1 */
	bool from_then_on; /* at each later call of that name too, until the end */
};

/* Whether a running process can be attached to; if not, says why on stderr. */
bool inject_possible(void);

/* The thread of a process that has this name. */
pid_t inject_thread(pid_t process, const char *name);

struct inject;
/* Returns when it is in force. */
struct inject *inject_attach(pid_t thread, const struct inject_fault *fault);
/* Whether the fault has struck so far, or the thread is killed. */
bool inject_struck(const struct inject *inject);
/* Ends the fault, if the process has not ended; frees. */
void inject_detach(struct inject *inject, struct inject_calls *ret_calls);

/*
 * The words that start a program with a fault at its first thread, a wrapper for program.h: NULL-terminated, they live
 * until the next call. The calls are written to `file`.
 */
const char *const *inject_wrapper(const char *file, const struct inject_fault *fault);
/* What was written there. */
void inject_read(const char *file, struct inject_calls *ret_calls);

/* The fault that strikes at the call number `index` of a clean run. */
struct inject_fault inject_at(const struct inject_calls *calls, size_t index, const char *what);
/* "44 pwrite64, 3 fdatasync", into `text`; gives it back. */
const char *inject_describe(const struct inject_calls *calls, char text[128]);

#endif
