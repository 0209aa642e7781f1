/*
 * The order of the end: no new connections; draining, so connections that have been idle for a while are closed and
 * answers end theirs; wait until the last connection is gone. After the grace what is left is cut, so handlers see that
 * their clients are gone. A handler that still runs is waited for, whatever the grace says: its thread uses services
 * that the caller ends after http_stop, and it is bounded by the deadlines of those. Crews end before loops: then no
 * connection is suspended, which the engine insists on. They are freed after them, as a loop may still offer and be
 * refused.
 */
#include "server/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/buf.h"
#include "config/file.h"
#include "config/log.h"
#include "server/http/acceptor.h"
#include "server/http/crew.h"
#include "server/http/edge.h"
#include "server/http/inherited.h"
#include "server/http/listener.h"
#include "server/http/loop.h"

struct http {
	struct edge edge;
	int main_fd, ops_fd;
	char address[LISTENER_ADDRESS_SIZE], ops_address[LISTENER_ADDRESS_SIZE];
	struct acceptor *acceptor;
	size_t loop_count; /* of those that were started */
	struct loop **loops;
};

static int read_pem(const char *path, char **ret_text, char ret_why[256])
{
	struct buf text;

	buf_init(&text, LIMIT_TLS_FILE);
	int err = file_read(path, &text);
	if (!err) {
		*ret_text = buf_steal(&text);
		err = *ret_text ? 0 : ERR_MEMORY;
	}
	buf_release(&text);
	if (err)
		snprintf(ret_why, 256, "%s: %s", path, err_text(err));
	return err;
}

static int open_listener(const char *address, int given_fd, int *ret_fd, char *ret_bound, char ret_why[256])
{
	if (given_fd < 0)
		return listener_open(address, ret_fd, ret_bound, ret_why);
	int err = listener_adopt(given_fd, ret_bound, ret_why);
	if (!err)
		*ret_fd = given_fd;
	return err;
}

static int open_listeners(struct http *http, char *const *environment, char ret_why[256])
{
	const struct config *config = http->edge.config;
	struct inherited given;
	int err = inherited_find(environment, &given, ret_why);

	if (!err && given.ops_fd >= 0 && !config->ops.listen) {
		snprintf(ret_why, 256, "a socket for ops was handed over, but ops.listen is not set");
		err = ERR_INVALID;
	}
	if (!err && config->tls.certificate)
		err = read_pem(config->tls.certificate, &http->edge.certificate, ret_why);
	if (!err && config->tls.certificate)
		err = read_pem(config->tls.key, &http->edge.key, ret_why);
	if (!err)
		err = open_listener(config->listen, given.main_fd, &http->main_fd, http->address, ret_why);
	if (!err && config->ops.listen)
		err = open_listener(config->ops.listen, given.ops_fd, &http->ops_fd, http->ops_address, ret_why);
	return err;
}

static int start_crews(struct http *http, const struct http_options *options, char ret_why[256])
{
	const struct crew_config *configs[CREW_COUNT] = {
		[CREW_LOGIN] = &options->config->requests.login, [CREW_OTHER] = &options->config->requests.other};
	int err = 0;

	for (enum crew_kind i = CREW_LOOP + 1; i < CREW_COUNT && !err; i++) {
		struct crew_options crew = {
			.edge = &http->edge, .kind = i, .config = configs[i], .open_reader = options->open_reader};
		err = crew_start(&crew, &http->edge.crews[i]);
	}
	if (err)
		snprintf(ret_why, 256, "request threads: %s", err_text(err));
	return err;
}

static int start_loops(struct http *http, char ret_why[256])
{
	size_t count = (size_t)http->edge.config->http.loops;
	int err = 0;

	http->loops = calloc(count, sizeof(*http->loops));
	if (!http->loops)
		err = ERR_MEMORY;
	while (!err && http->loop_count < count) {
		err = loop_start(&http->edge, &http->loops[http->loop_count]);
		if (!err)
			http->loop_count++;
	}
	if (err == ERR_INVALID && http->edge.certificate)
		snprintf(ret_why, 256, "certificate %s and key %s can't be used together",
			http->edge.config->tls.certificate, http->edge.config->tls.key);
	else if (err)
		snprintf(ret_why, 256, "event loop: %s", err_text(err));
	return err;
}

static int start_acceptor(struct http *http, char ret_why[256])
{
	struct acceptor_options options = {
		.edge = &http->edge,
		.loops = http->loops,
		.loop_count = http->loop_count,
		.main_fd = http->main_fd,
		.ops_fd = http->ops_fd,
	};
	int err = acceptor_start(&options, &http->acceptor);

	if (err)
		snprintf(ret_why, 256, "acceptor: %s", err_text(err));
	return err;
}

int http_start(const struct http_options *options, struct http **ret_http, char ret_why[256])
{
	struct http *http = calloc(1, sizeof(*http));
	int err = http ? edge_init(&http->edge, options) : ERR_MEMORY;

	if (err) {
		snprintf(ret_why, 256, "%s", err_text(err));
		free(http);
		return err;
	}
	http->main_fd = http->ops_fd = -1;
	err = open_listeners(http, options->environment, ret_why);
	if (!err)
		err = start_crews(http, options, ret_why);
	if (!err)
		err = start_loops(http, ret_why);
	if (!err)
		err = start_acceptor(http, ret_why);
	if (err) {
		http_stop(http, 0);
		return err;
	}
	*ret_http = http;
	return 0;
}

const char *http_address(const struct http *http)
{
	return http->address;
}

const char *http_ops_address(const struct http *http)
{
	return http->ops_address;
}

void http_announce_end(struct http *http)
{
	atomic_store(&http->edge.parting, true);
}

static void drain(struct http *http, int64_t grace_ms)
{
	http_announce_end(http);
	atomic_store(&http->edge.draining, true);
	for (size_t i = 0; i < http->loop_count; i++)
		loop_drain(http->loops[i]);
	int left = edge_wait_quiet(&http->edge, grace_ms);
	if (left > 0)
		log_write(LOG_WARN, "connections cut off at the end of the grace", LOG_INT("connections", left));
	for (size_t i = 0; i < http->loop_count; i++)
		loop_abort(http->loops[i]);
}

void http_stop(struct http *http, int64_t grace_ms)
{
	if (!http)
		return;
	acceptor_stop(http->acceptor);
	/* closed and not shut down: of a socket that was taken over, the descriptors of others live on */
	if (http->main_fd >= 0)
		close(http->main_fd);
	if (http->ops_fd >= 0)
		close(http->ops_fd);
	drain(http, grace_ms);
	for (int i = 0; i < CREW_COUNT; i++)
		crew_stop(http->edge.crews[i]);
	for (size_t i = 0; i < http->loop_count; i++)
		loop_stop(http->loops[i]);
	for (int i = 0; i < CREW_COUNT; i++)
		crew_free(http->edge.crews[i]);
	free(http->loops);
	edge_release(&http->edge);
	free(http);
}
