#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/limits.h"
#include "server/ops/control.h"
#include "server/ops/control_wire.h"

/* A connected socket, or the error. */
static int connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un address;
	int fd;
	int err = control_address(path, &address);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		/* no file, a file that nobody listens at, or a full backlog: all of them may pass */
		err = errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN ? ERR_CLOSED : ERR_SYSTEM;
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int read_answer(int fd, int *ret_result, json_t **ret_reply)
{
	json_t *answer = NULL, *reply, *error;
	int err = control_read(fd, -1, clock_mono_us() + (int64_t)LIMIT_CONTROL_REPLY_MS * 1000, &answer);

	if (err)
		return ERR_TIMEOUT;
	reply = json_object_get(answer, "reply");
	error = json_object_get(answer, "error");
	if (reply) {
		*ret_reply = json_incref(reply);
		*ret_result = 0;
	} else if (json_is_integer(error) && json_integer_value(error) < 0) {
		*ret_result = (int)json_integer_value(error);
	} else {
		err = ERR_TIMEOUT;
	}
	json_decref(answer);
	return err;
}

int control_send(
	const char *socket_path, const char *command, const json_t *arguments, int *ret_result, json_t **ret_reply)
{
	json_t *request = NULL;
	int fd = -1;
	int err = connect_to(socket_path, &fd);

	if (err)
		return err;
	request = json_pack("{s:s, s:O}", "command", command, "arguments", arguments);
	if (!request)
		err = ERR_MEMORY;
	if (!err) {
		err = control_write(fd, -1, clock_mono_us() + (int64_t)LIMIT_CONTROL_MS * 1000, request);
		/* without its end of line a command is not run */
		if (err == ERR_TIMEOUT)
			err = ERR_CLOSED;
	}
	if (!err)
		err = read_answer(fd, ret_result, ret_reply);
	json_decref(request);
	close(fd);
	return err;
}
