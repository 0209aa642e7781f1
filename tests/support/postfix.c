/*
 * `postfix start` would do more than is wanted here, and leave a daemon that belongs to nobody. Its master runs in the
 * foreground just as well (-d), under a guard that dies with the test.
 */
#include "tests/support/postfix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scratch.h"

#define MASTER "/usr/lib/postfix/sbin/master"

enum { POLL_MS = 20, PATH_SIZE = 256, MAILBOX_UID = 65534 };

struct postfix {
	struct scratch scratch;
	char config[PATH_SIZE], mailbox[PATH_SIZE], log[PATH_SIZE];
	int port;
	pid_t pid;
};

static const char main_cf[] = "compatibility_level = 3.6\n"
			      "queue_directory = %1$s/queue\n"
			      "data_directory = %1$s/data\n"
			      "mail_owner = postfix\n"
			      "setgid_group = postdrop\n"
			      "command_directory = /usr/sbin\n"
			      "daemon_directory = /usr/lib/postfix/sbin\n"
			      "inet_interfaces = loopback-only\n"
			      "inet_protocols = ipv4\n"
			      "myhostname = mail.example.com\n"
			      "mydestination =\n"
			      "alias_maps =\n"
			      "disable_dns_lookups = yes\n"
			      "smtpd_peername_lookup = no\n"
			      "mynetworks = 127.0.0.0/8\n"
			      "virtual_mailbox_domains = example.com, example.net\n"
			      "virtual_mailbox_base = %1$s/mail\n"
			      "virtual_mailbox_maps = static:inbox/\n"
			      "virtual_minimum_uid = 100\n"
			      "virtual_uid_maps = static:%2$d\n"
			      "virtual_gid_maps = static:%2$d\n"
			      "smtpd_recipient_restrictions = check_recipient_access "
			      "inline:{{" POSTFIX_NOBODY " = 550 5.1.1 no such user}}, permit_mynetworks, reject\n"
			      "maillog_file = %1$s/log\n"
			      "maillog_file_prefixes = %1$s\n";

static const char master_cf[] = "127.0.0.1:%d inet n - n - - smtpd\n"
				"cleanup unix n - n - 0 cleanup\n"
				"qmgr unix n - n 300 1 qmgr\n"
				"rewrite unix - - n - - trivial-rewrite\n"
				"bounce unix - - n - 0 bounce\n"
				"defer unix - - n - 0 bounce\n"
				"trace unix - - n - 0 bounce\n"
				"proxymap unix - - n - - proxymap\n"
				"virtual unix - n n - - virtual\n"
				"error unix - - n - - error\n"
				"retry unix - - n - - error\n"
				"anvil unix - - n - 1 anvil\n"
				"postlog unix-dgram n - n - 1 postlogd\n";

const char *postfix_lacks(void)
{
	if (access(MASTER, X_OK) != 0 || !getpwnam("postfix"))
		return "postfix is not installed";
	return geteuid() == 0 ? NULL : "postfix runs as root only";
}

static void write_file(const char *folder, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void write_file(const char *folder, const char *name, const char *format, ...)
{
	char path[PATH_SIZE];
	va_list args;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (file == NULL)
		harness_fail("%s: %m", path);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	if (fclose(file) != 0)
		harness_fail("%s: %m", path);
}

static void make_folder(const char *base, const char *name, uid_t owner)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	if (mkdir(path, 0755) != 0 || chown(path, owner, (gid_t)-1) != 0)
		harness_fail("%s: %m", path);
}

/* Becomes the command; its output goes where the log is. */
_Noreturn static void become(const struct postfix *postfix, const char *const *words)
{
	const int out = open(postfix->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (out >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execv(words[0], (char *const *)(uintptr_t)words);
	_exit(127);
}

/*
 * Between us and the command, for a process that changes its user, as Postfix does, no longer dies with its parent. It
 * waits for the end of the command or for a SIGTERM, which also the end of the test sends, and takes the whole group
 * with it.
 */
_Noreturn static void guard(const struct postfix *postfix, const char *const *words, pid_t parent)
{
	const struct timespec patience = {.tv_sec = 2};
	sigset_t wanted, ended;
	int status = 127;
	pid_t pid;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	wanted = ended;
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || (pid = fork()) < 0)
		_exit(127);
	if (pid == 0) {
		sigprocmask(SIG_UNBLOCK, &wanted, NULL);
		become(postfix, words);
	}
	if (sigwaitinfo(&wanted, NULL) == SIGTERM) {
		kill(0, SIGTERM); /* blocked here, and heard by the others */
		(void)sigtimedwait(&ended, NULL, &patience);
		kill(0, SIGKILL);
	}
	(void)waitpid(pid, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

static pid_t run(const struct postfix *postfix, const char *const *words)
{
	const pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		harness_fail("fork: %m");
	if (pid == 0)
		guard(postfix, words, parent);
	setpgid(pid, pid); /* in both, so that it holds whoever runs first */
	return pid;
}

static bool answers(int port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const bool connected = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return connected;
}

size_t postfix_log_count(const struct postfix *postfix, const char *text)
{
	FILE *file = fopen(postfix->log, "re");
	char line[4096];
	size_t count = 0;

	if (file == NULL)
		harness_fail("%s: %m", postfix->log);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

struct postfix *postfix_start(void)
{
	struct postfix *postfix = calloc(1, sizeof(*postfix));
	const struct passwd *owner = getpwnam("postfix");
	int64_t until_us = harness_mono_us() + POSTFIX_START_MS * INT64_C(1000);

	bool up = false;

	if (postfix == NULL || owner == NULL)
		harness_fail("postfix: ask postfix_lacks() before");
	const uid_t uid = owner->pw_uid;

	scratch_make(&postfix->scratch);
	const char *folder = postfix->scratch.folder;

	/* its parts run as other users and must get in */
	if (chmod(folder, 0755) != 0)
		harness_fail("%s: %m", folder);
	snprintf(postfix->config, sizeof(postfix->config), "%s/etc", folder);
	snprintf(postfix->mailbox, sizeof(postfix->mailbox), "%s/mail/inbox/new", folder);
	snprintf(postfix->log, sizeof(postfix->log), "%s/log", folder);
	postfix->port = closed_port();
	make_folder(folder, "etc", 0);
	make_folder(folder, "queue", 0);
	make_folder(folder, "data", uid);
	make_folder(folder, "mail", MAILBOX_UID);
	write_file(postfix->config, "main.cf", main_cf, folder, MAILBOX_UID);
	write_file(postfix->config, "master.cf", master_cf, postfix->port);
	/* makes the folders of the queue */
	if (program_wait(run(postfix, (const char *const[]){"/usr/sbin/postfix", "-c", postfix->config, "check", NULL}),
		    POSTFIX_START_MS) != 0)
		harness_fail("postfix check fails");
	postfix->pid = run(postfix, (const char *const[]){MASTER, "-c", postfix->config, "-d", NULL});
	/* one connection succeeds, and is in the log when others may come */
	while (!(up = up || answers(postfix->port)) || postfix_log_count(postfix, " connect from ") == 0) {
		if (harness_mono_us() > until_us)
			harness_fail("postfix does not answer");
		harness_sleep_ms(POLL_MS);
	}
	return postfix;
}

void postfix_stop(struct postfix *postfix)
{
	if (postfix == NULL)
		return;
	kill(postfix->pid, SIGTERM);
	(void)program_wait(postfix->pid, POSTFIX_STOP_MS);
	scratch_remove(&postfix->scratch);
	free(postfix);
}

const char *postfix_url(const struct postfix *postfix, char url[POSTFIX_URL])
{
	snprintf(url, POSTFIX_URL, "smtp://127.0.0.1:%d", postfix->port);
	return url;
}

const char *postfix_mailbox(const struct postfix *postfix)
{
	return postfix->mailbox;
}

static size_t count_mails(const struct postfix *postfix)
{
	DIR *folder = opendir(postfix->mailbox);
	const struct dirent *entry;
	size_t count = 0;

	if (folder == NULL) {
		if (errno != ENOENT)
			harness_fail("%s: %m", postfix->mailbox);
		return 0;
	}
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

bool postfix_wait(const struct postfix *postfix, size_t count, int64_t deadline_ms)
{
	const int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	while (count_mails(postfix) < count) {
		if (harness_mono_us() > until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
	return true;
}
