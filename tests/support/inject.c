#include "tests/support/inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scratch.h"

#define CALLS "pwrite64,fdatasync,fsync,ftruncate,rename,unlink"

enum { ATTACH_MS = 10000, STRUCK_MS = 500, LINE = 512, WORD = 160 };

static const char *const names[] = {"pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "unlink"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

struct inject {
	pid_t strace;
	int err; /* open as long as it may say something */
	struct scratch scratch;
	char file[256];
};

bool inject_possible(void)
{
	FILE *scope = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int value = 0;

	if (scope != NULL && fscanf(scope, "%d", &value) != 1)
		value = 0;
	if (scope != NULL)
		fclose(scope);
	if (geteuid() == 0 ? value < 3 : value == 0)
		return true;
	fprintf(stderr, "a running process can't be traced here: kernel.yama.ptrace_scope is %d\n", value);
	return false;
}

static bool named(const char *path, const char *name)
{
	char text[32] = "";
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return false;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, name) == 0;
}

static pid_t find_thread(const char *folder, const char *name)
{
	char path[384];
	struct dirent *entry;
	pid_t found = 0;

	DIR *dir = opendir(folder);
	if (dir == NULL)
		harness_fail("%s: %m", folder);
	while (found == 0 && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s/comm", folder, entry->d_name);
		if (entry->d_name[0] != '.' && named(path, name))
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(dir);
	return found;
}

pid_t inject_thread(pid_t process, const char *name)
{
	int64_t until_us = harness_mono_us() + ATTACH_MS * 1000;
	char folder[64];
	pid_t found;

	snprintf(folder, sizeof(folder), "/proc/%d/task", process);
	/* a thread gives itself its name, once it runs */
	while ((found = find_thread(folder, name)) == 0 && harness_mono_us() < until_us)
		harness_sleep_ms(1);
	if (found == 0)
		harness_fail("no thread %s", name);
	return found;
}

/* No --seccomp-bpf, with which nothing is injected; the lone `-s 0` keeps what is written out of the file. */
static const char *const *words(const char *file, const struct inject_fault *fault)
{
	static const char *list[INJECT_WORDS];
	static char fault_word[WORD], file_word[256];
	size_t count = 0;

	snprintf(file_word, sizeof(file_word), "%s", file);
	list[count++] = "strace";
	list[count++] = "-s0";
	list[count++] = "-o";
	list[count++] = file_word;
	list[count++] = "-etrace=" CALLS;
	if (fault != NULL && fault->what != NULL) {
		snprintf(fault_word, sizeof(fault_word), "-einject=%s:%s:when=%zu%s", fault->call, fault->what,
			fault->number, fault->from_then_on ? "+" : "");
		list[count++] = fault_word;
	}
	list[count] = NULL;
	return list;
}

const char *const *inject_wrapper(const char *file, const struct inject_fault *fault)
{
	return words(file, fault);
}

/* Runs in the child. */
_Noreturn static void become(const char *const *list, pid_t thread, int err, pid_t parent)
{
	char *all[INJECT_WORDS + 3];
	char number[16];
	size_t count = 0;

	prctl(PR_SET_PDEATHSIG, SIGINT); /* it then lets the process go */
	if (getppid() != parent || dup2(err, 2) < 0)
		_exit(127);
	while (list[count] != NULL) {
		all[count] = (char *)list[count];
		count++;
	}
	snprintf(number, sizeof(number), "%d", thread);
	all[count++] = "-p";
	all[count++] = number;
	all[count] = NULL;
	execvp(all[0], all);
	_exit(127);
}

/* Until it says "attached". */
static void await_attached(int fd)
{
	int64_t until_us = harness_mono_us() + ATTACH_MS * 1000;
	char text[LINE] = "";
	size_t len = 0;

	while (strstr(text, "attached") == NULL) {
		ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);
		if (got <= 0 || harness_mono_us() > until_us)
			harness_fail("strace does not attach: %s", text);
		len += (size_t)got;
		text[len] = '\0';
	}
}

struct inject *inject_attach(pid_t thread, const struct inject_fault *fault)
{
	struct inject *inject = calloc(1, sizeof(*inject));
	pid_t parent = getpid();
	int err[2];

	if (inject == NULL || pipe2(err, O_CLOEXEC) < 0)
		harness_fail("strace: %m");
	scratch_make(&inject->scratch);
	snprintf(inject->file, sizeof(inject->file), "%s/calls", inject->scratch.folder);
	const char *const *list = words(inject->file, fault);
	inject->strace = fork();
	if (inject->strace == 0)
		become(list, thread, err[1], parent);
	if (inject->strace < 0)
		harness_fail("fork: %m");
	close(err[1]);
	await_attached(err[0]);
	inject->err = err[0];
	return inject;
}

bool inject_struck(const struct inject *inject)
{
	int64_t until_us = harness_mono_us() + STRUCK_MS * 1000;
	struct inject_calls calls;

	/* it writes a line when the call has ended, which may be a moment after all else has */
	do {
		inject_read(inject->file, &calls);
	} while (calls.injected == 0 && !calls.killed && harness_mono_us() < until_us);
	return calls.injected > 0 || calls.killed;
}

void inject_detach(struct inject *inject, struct inject_calls *ret_calls)
{
	int status = 0;

	kill(inject->strace, SIGINT);
	while (waitpid(inject->strace, &status, 0) < 0 && errno == EINTR) {
	}
	close(inject->err);
	inject_read(inject->file, ret_calls);
	scratch_remove(&inject->scratch);
	free(inject);
}

void inject_read(const char *file, struct inject_calls *ret_calls)
{
	char line[LINE];
	FILE *lines = fopen(file, "re");

	if (lines == NULL)
		harness_fail("%s: %m", file);
	*ret_calls = (struct inject_calls){.count = 0};
	while (fgets(line, sizeof(line), lines) != NULL) {
		size_t len = strcspn(line, "(");

		ret_calls->killed |= strstr(line, "+++ killed by SIGKILL") != NULL;
		ret_calls->injected += strstr(line, "(INJECTED)") != NULL;
		for (size_t i = 0; i < NAMES; i++) {
			if (strncmp(line, names[i], len) != 0 || names[i][len] != '\0')
				continue;
			if (ret_calls->count == INJECT_CALLS)
				harness_fail("more than %d calls", INJECT_CALLS);
			ret_calls->names[ret_calls->count++] = names[i];
		}
	}
	fclose(lines);
}

struct inject_fault inject_at(const struct inject_calls *calls, size_t index, const char *what)
{
	struct inject_fault fault = {.what = what, .call = calls->names[index]};

	for (size_t i = 0; i <= index; i++)
		fault.number += calls->names[i] == calls->names[index];
	return fault;
}

const char *inject_describe(const struct inject_calls *calls, char text[128])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < NAMES; i++) {
		size_t count = 0;

		for (size_t c = 0; c < calls->count; c++)
			count += calls->names[c] == names[i];
		if (count > 0 && len < 100)
			len += (size_t)snprintf(
				text + len, 128 - len, "%s%zu %s", len > 0 ? ", " : "", count, names[i]);
	}
	return text;
}
