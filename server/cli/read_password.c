/*
 * Bytes are read with read(2) alone, into the caller's buffer: stdio would keep a copy. The terminal's echo is off only
 * while a line is read; signals that end or stop the process are held back so long, by a signalfd that is waited for
 * beside the terminal, and strike when the echo is on again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "server/cli/cli.h"
#include "server/password/password.h"

enum { LINE_SIZE = LIMIT_PASSWORD + 1 };

/*
 * One line without its end, in LINE_SIZE bytes with the NUL. Reads byte by byte, so that nothing behind the line
 * is taken from whoever reads next. `wake`: ends the wait with ERR_CLOSED once it is readable; -1: none.
 */
static int read_line(int fd, int wake, char *line)
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
	size_t len = 0;

	for (;;) {
		char byte;
		ssize_t got;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return ERR_SYSTEM;
		}
		if (fds[1].revents)
			return ERR_CLOSED;
		got = read(fd, &byte, 1);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return ERR_SYSTEM;
		if (got == 0 || byte == '\n')
			break;
		if (byte == '\0')
			return ERR_INVALID;
		if (len == LINE_SIZE - 1)
			return ERR_LIMIT;
		line[len++] = byte;
	}
	line[len] = '\0';
	return 0;
}

static int ask(int terminal, const char *prompt, char *line)
{
	struct termios before, silent;
	sigset_t held, old;
	int wake = -1, err;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGQUIT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGTSTP);
	if (tcgetattr(terminal, &before))
		return ERR_SYSTEM;
	pthread_sigmask(SIG_BLOCK, &held, &old);
	wake = signalfd(-1, &held, SFD_CLOEXEC);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* the echo goes before the prompt comes: who answers at once is neither shown nor flushed away */
	if (wake < 0 || tcsetattr(terminal, TCSAFLUSH, &silent) || write(terminal, prompt, strlen(prompt)) < 0)
		err = ERR_SYSTEM;
	else
		err = read_line(terminal, wake, line);
	(void)tcsetattr(terminal, TCSAFLUSH, &before);
	/* the user's own end of line was not shown */
	if (write(terminal, "\n", 1) < 0)
		err = err ? err : ERR_SYSTEM;
	if (wake >= 0)
		close(wake);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static const char *reason(int err)
{
	switch (err) {
	case ERR_CLOSED:
		return "interrupted";
	case ERR_LIMIT:
		return "the password is longer than 1024 bytes";
	case ERR_INVALID:
		return "the password has a NUL in it";
	default:
		return "the password can't be read";
	}
}

static int ask_twice(char *password, const char **ret_why)
{
	char again[LINE_SIZE] = "";
	int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	int err;

	if (terminal < 0) {
		*ret_why = "there is no terminal to ask for the password: use --password-stdin";
		return ERR_INVALID;
	}
	err = ask(terminal, "password: ", password);
	if (!err)
		err = ask(terminal, "the same again: ", again);
	close(terminal);
	if (err) {
		*ret_why = reason(err);
		err = ERR_INVALID;
	} else if (strcmp(password, again) != 0) {
		*ret_why = "the two passwords differ";
		err = ERR_INVALID;
	}
	sodium_memzero(again, sizeof(again));
	return err;
}

int cli_read_password(bool from_stdin, char *ret_password, const char **ret_why)
{
	char password[LINE_SIZE] = "";
	int err;

	if (!from_stdin) {
		err = ask_twice(password, ret_why);
	} else {
		err = read_line(STDIN_FILENO, -1, password);
		if (err) {
			*ret_why = reason(err);
			err = ERR_INVALID;
		}
	}
	if (!err)
		err = password_acceptable(password, ret_why);
	if (!err)
		memcpy(ret_password, password, sizeof(password));
	sodium_memzero(password, sizeof(password));
	return err;
}
