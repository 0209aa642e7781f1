#include "tests/support/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"

extern char **environ;

static char found_path[PATH_MAX];
static pthread_once_t found_once = PTHREAD_ONCE_INIT;

static void find(void)
{
	const char *named = getenv("SERVER_UNDER_TEST");

	if (realpath(named == NULL ? "build/tokenfirst" : named, found_path) == NULL || access(found_path, X_OK) != 0)
		harness_fail("%s: %s (build it, or name it in SERVER_UNDER_TEST)",
			named == NULL ? "build/tokenfirst" : named, strerror(errno));
}

const char *program_path(void)
{
	pthread_once(&found_once, find);
	return found_path;
}

/* Appends a NULL-terminated list; what does not fit is our bug. */
static size_t append(const char **list, size_t count, size_t max, const char *const *more)
{
	for (; more != NULL && *more != NULL; more++) {
		if (count + 1 >= max)
			harness_fail("more than %zu words for a child", max);
		list[count++] = *more;
	}
	list[count] = NULL;
	return count;
}

/* By way of higher numbers, since one may stand where another has to go. */
static bool place_sockets(const struct program_options *o)
{
	int high[PROGRAM_SOCKETS];

	for (size_t i = 0; i < o->socket_count; i++) {
		high[i] = fcntl(o->sockets[i], F_DUPFD_CLOEXEC, 3 + PROGRAM_SOCKETS);
		if (high[i] < 0)
			return false;
	}
	for (size_t i = 0; i < o->socket_count; i++) {
		if (dup2(high[i], 3 + (int)i) < 0)
			return false;
	}
	return true;
}

/* Runs in the child between fork and exec: system calls only. */
_Noreturn static void become(const struct program_options *o, char **arguments, char **environment, pid_t parent)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127); /* it died before we asked to die with it */
	if ((o->dns == NULL || black_hole_enter(o->dns) == 0) && (o->folder == NULL || chdir(o->folder) == 0) &&
		dup2(o->in, 0) >= 0 && dup2(o->out, 1) >= 0 && dup2(o->err, 2) >= 0 && place_sockets(o)) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvpe(arguments[0], arguments, environment);
	}
	_exit(127);
}

pid_t program_start(const struct program_options *o)
{
	size_t ours = 0;
	const char *words[PROGRAM_ARGUMENTS] = {NULL};
	const char *const program[] = {program_path(), NULL};
	const char **environment;
	size_t count;
	pid_t parent = getpid();
	pid_t pid;

	while (environ[ours] != NULL)
		ours++;
	if (o->socket_count > PROGRAM_SOCKETS)
		harness_fail("more than %d sockets for a child", PROGRAM_SOCKETS);
	environment = calloc(ours + PROGRAM_ENVIRONMENT + 1, sizeof(*environment));
	if (environment == NULL)
		harness_fail("out of memory");
	/* the first of two equal names counts, so the added ones come first */
	count = append(environment, 0, PROGRAM_ENVIRONMENT, o->environment);
	memcpy(environment + count, environ, ours * sizeof(*environ));
	count = append(words, 0, PROGRAM_ARGUMENTS, o->wrapper);
	count = append(words, count, PROGRAM_ARGUMENTS, program);
	append(words, count, PROGRAM_ARGUMENTS, o->arguments);
	pid = fork();
	if (pid == 0)
		become(o, (char **)words, (char **)environment, parent);
	if (pid < 0)
		harness_fail("fork: %s", strerror(errno));
	setpgid(pid, pid); /* in both, so that it holds whoever runs first */
	free(environment);
	return pid;
}

int program_wait(pid_t pid, int64_t deadline_ms)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;
	int64_t rest_us;
	int status = 0;
	int count = 0;

	if (ended.fd < 0)
		harness_fail("pidfd_open: %s", strerror(errno));
	while (count <= 0 && (rest_us = until_us - harness_mono_us()) > 0)
		count = poll(&ended, 1, (int)((rest_us + 999) / 1000));
	close(ended.fd);
	if (count <= 0) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
		harness_fail("the program did not end within %lld ms", (long long)deadline_ms);
	}
	if (waitpid(pid, &status, 0) != pid)
		harness_fail("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The content of a memory file. */
static char *content(int fd)
{
	struct stat about;
	char *text;
	size_t size;

	if (fstat(fd, &about) < 0)
		harness_fail("fstat: %s", strerror(errno));
	size = about.st_size > PROGRAM_OUTPUT ? PROGRAM_OUTPUT : (size_t)about.st_size;
	text = calloc(1, size + 1);
	if (text == NULL || pread(fd, text, size, 0) != (ssize_t)size)
		harness_fail("the output can't be read back");
	return text;
}

/* Files in memory and not pipes: they can't fill up, so nothing waits for a reader. */
void program_run(const char *const *arguments, const char *input, const char *folder, struct program_result *ret_result)
{
	struct program_options options = {.arguments = arguments, .folder = folder};
	size_t len = input == NULL ? 0 : strlen(input);

	options.in = memfd_create("in", MFD_CLOEXEC);
	options.out = memfd_create("out", MFD_CLOEXEC);
	options.err = memfd_create("err", MFD_CLOEXEC);
	if (options.in < 0 || options.out < 0 || options.err < 0 ||
		pwrite(options.in, input == NULL ? "" : input, len, 0) != (ssize_t)len)
		harness_fail("memfd: %s", strerror(errno));
	ret_result->exit_code = program_wait(program_start(&options), PROGRAM_DEADLINE_MS);
	ret_result->out = content(options.out);
	ret_result->err = content(options.err);
	close(options.in);
	close(options.out);
	close(options.err);
}

void program_result_release(struct program_result *result)
{
	free(result->out);
	free(result->err);
}
