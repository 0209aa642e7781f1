/*
 * A listening socket, a thread, and an eventfd that ends it. The command itself runs on the committer's thread in a
 * commit job, or in as many as it takes if it is about the pool, so what is answered as done is on disk.
 */
#include "server/ops/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"
#include "server/app.h"
#include "server/ops/command.h"
#include "server/ops/control_wire.h"

enum { CONTROL_BACKLOG = 8, CONTROL_REST_MS = 100 };

struct control {
	struct app *app;
	struct sockaddr_un address;
	int listener;
	int stop; /* an eventfd, readable once it is time to end */
	bool bound, started;
	pthread_t thread;
};

struct job {
	const struct command *command;
	const json_t *arguments;
	json_t *reply;
};

static int run_job(struct db *db, void *arg)
{
	struct job *job = arg;

	json_decref(job->reply); /* of an earlier run, if there was one */
	job->reply = NULL;
	return job->command->run(db, job->arguments, &job->reply);
}

/* A look is no news, and of pauses the pool tells itself: one line for one change. */
static void log_done(const struct command *command, const json_t *arguments, const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "rows");
	const bool look = json_is_true(json_object_get(arguments, "dry_run"));
	const bool part = json_is_true(json_object_get(reply, "part")); /* of something whose end is told */
	const enum log_level level = look || part || (command->live && !rows) ? LOG_DEBUG : LOG_INFO;

	if (rows)
		log_write(level, "command done", LOG_STR("command", command->name),
			LOG_INT("rows", json_integer_value(rows)));
	else
		log_write(level, "command done", LOG_STR("command", command->name));
}

/* The answer to a request as an object; NULL: no memory. */
static json_t *execute(struct control *control, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	const json_t *arguments = json_object_get(request, "arguments");
	struct job job = {.command = name ? command_find(name) : NULL, .arguments = arguments};
	int err;

	if (!job.command || !json_is_object(arguments) || json_object_size(request) != 2)
		err = ERR_INVALID;
	else if (job.command->live)
		err = job.command->live(control->app, arguments, &job.reply);
	else
		err = committer_run(control->app->committer, run_job, &job);
	if (err) {
		json_decref(job.reply);
		log_write(LOG_WARN, "command failed", LOG_STR("command", job.command ? name : "unknown"),
			LOG_STR("error", err_text(err)));
		return json_pack("{s:i, s:s}", "error", err, "message", err_text(err));
	}
	log_done(job.command, arguments, job.reply);
	return json_pack("{s:o}", "reply", job.reply);
}

static void serve(struct control *control, int fd)
{
	json_t *request = NULL, *answer = NULL;
	int err = control_read(fd, control->stop, clock_mono_us() + (int64_t)LIMIT_CONTROL_READ_MS * 1000, &request);

	if (!err)
		answer = execute(control, request);
	else if (err == ERR_INVALID || err == ERR_LIMIT)
		answer = json_pack("{s:i, s:s}", "error", err, "message", err_text(err));
	if (answer) {
		/* whoever has left does not learn what came of the command; the log knows */
		err = control_write(fd, -1, clock_mono_us() + (int64_t)LIMIT_CONTROL_MS * 1000, answer);
		if (err)
			log_write(LOG_WARN, "a command's reply could not be sent", LOG_STR("error", err_text(err)));
	}
	json_decref(answer);
	json_decref(request);
}

static void *control_thread(void *arg)
{
	struct control *control = arg;
	struct pollfd fds[2] = {{.fd = control->stop, .events = POLLIN}, {.fd = control->listener, .events = POLLIN}};

	pthread_setname_np(pthread_self(), "control");
	for (;;) {
		int ready = poll(fds, 2, -1), fd;

		if (ready < 0 && errno != EINTR)
			log_write(LOG_ERROR, "commands can't be waited for",
				LOG_STR("error", err_system_text(errno, (char[ERR_SYSTEM_TEXT_SIZE]){0})));
		if (ready > 0 && fds[0].revents)
			return NULL;
		if (ready <= 0)
			continue;
		fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			serve(control, fd);
			close(fd);
		} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			/* no descriptors: the connection stays in the backlog, so rest before looking again */
			(void)poll(fds, 1, CONTROL_REST_MS);
		}
	}
}

static int bind_socket(struct control *control)
{
	const struct sockaddr *address = (const struct sockaddr *)&control->address;

	if (unlink(control->address.sun_path) && errno != ENOENT)
		return ERR_SYSTEM;
	/*
	 * the mode of the socket's descriptor becomes that of its file, so there is no moment at which others may
	 * connect
	 */
	if (fchmod(control->listener, 0600) || bind(control->listener, address, sizeof(control->address)))
		return ERR_SYSTEM;
	control->bound = true;
	return listen(control->listener, CONTROL_BACKLOG) ? ERR_SYSTEM : 0;
}

int control_start(struct app *app, struct control **ret_control)
{
	struct control *control = calloc(1, sizeof(*control));
	int err, keep;

	if (!control)
		return ERR_MEMORY;
	control->app = app;
	control->stop = eventfd(0, EFD_CLOEXEC);
	control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = control_address(store_socket_path(app->store), &control->address);
	if (!err && (control->stop < 0 || control->listener < 0))
		err = ERR_SYSTEM;
	if (!err)
		err = bind_socket(control);
	if (!err) {
		errno = pthread_create(&control->thread, NULL, control_thread, control);
		if (errno)
			err = ERR_SYSTEM;
		else
			control->started = true;
	}
	if (err) {
		keep = errno;
		control_stop(control);
		errno = keep;
		return err;
	}
	*ret_control = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	if (control->started) {
		/* can't fail: the counter is 0 and its descriptor is ours */
		(void)eventfd_write(control->stop, 1);
		pthread_join(control->thread, NULL);
	}
	if (control->bound)
		(void)unlink(control->address.sun_path);
	if (control->listener >= 0)
		close(control->listener);
	if (control->stop >= 0)
		close(control->stop);
	free(control);
}
