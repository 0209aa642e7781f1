#include "server/ops/control_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "config/buf.h"
#include "config/clock.h"
#include "config/json_text.h"
#include "config/limits.h"

int control_address(const char *path, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof(address.sun_path))
		return ERR_LIMIT;
	memcpy(address.sun_path, path, len + 1);
	*ret_address = address;
	return 0;
}

/* 0: `fd` is ready. */
static int await(int fd, short events, int stop, int64_t deadline_us)
{
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = stop, .events = POLLIN}};

	for (;;) {
		int64_t left_us = deadline_us - clock_mono_us();
		int ready;

		if (left_us <= 0)
			return ERR_TIMEOUT;
		ready = poll(fds, 2, (int)(left_us / 1000) + 1);
		if (ready < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (ready > 0 && fds[1].revents)
			return ERR_CLOSED;
		if (ready > 0)
			return 0;
	}
}

static int read_line(int fd, int stop, int64_t deadline_us, struct buf *line)
{
	char bytes[4096];

	for (;;) {
		ssize_t got;
		int err = await(fd, POLLIN, stop, deadline_us);

		if (err)
			return err;
		got = recv(fd, bytes, sizeof(bytes), 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return ERR_CLOSED;
		buf_append(line, bytes, (size_t)got);
		err = buf_error(line);
		if (err)
			return err;
		/* one line is all that may come: what stands behind it is for the parser to refuse */
		if (memchr(bytes, '\n', (size_t)got))
			return 0;
	}
}

int control_read(int fd, int stop, int64_t deadline_us, json_t **ret_object)
{
	struct buf line;
	json_t *object = NULL;
	int err;

	buf_init(&line, LIMIT_CONTROL_LINE);
	err = read_line(fd, stop, deadline_us, &line);
	if (!err) {
		err = json_text_read(line.data, line.len, &object, NULL);
		if (!err && !json_is_object(object)) {
			json_decref(object);
			err = ERR_INVALID;
		} else if (!err) {
			*ret_object = object;
		}
	}
	buf_release(&line);
	return err;
}

static int append(const char *bytes, size_t len, void *arg)
{
	struct buf *line = arg;

	buf_append(line, bytes, len);
	return buf_error(line);
}

static int send_all(int fd, int stop, int64_t deadline_us, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent;
		int err = await(fd, POLLOUT, stop, deadline_us);

		if (err)
			return err;
		sent = send(fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (sent < 0)
			return ERR_CLOSED;
		bytes += sent;
		len -= (size_t)sent;
	}
	return 0;
}

int control_write(int fd, int stop, int64_t deadline_us, const json_t *object)
{
	struct buf line;
	int err;

	buf_init(&line, LIMIT_CONTROL_LINE);
	if (json_dump_callback(object, append, &line, JSON_COMPACT) && !buf_error(&line))
		err = ERR_MEMORY;
	else
		err = 0;
	buf_append_text(&line, "\n");
	if (!err)
		err = buf_error(&line);
	if (!err)
		err = send_all(fd, stop, deadline_us, line.data, line.len);
	buf_release(&line);
	return err;
}
