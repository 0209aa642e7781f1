/*
 * Restarts that no client notices: a socket that outlives the server (systemd's protocol, the test being the service
 * manager), and the end of a server that goes on serving while balancers take it out.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scene.h"

enum { THREADS = 8, ROUNDS = 3, BETWEEN = 300, PATIENCE_MS = 20000, REPLY_MAX = 4096, SETTLE_MS = 100 };

TestSuite(restart, .timeout = 120);

static const char *const alice[] = {"alice", NULL};

/* sd_listen_fds(3) wants the number of the process, which is known only in it. */
static const char *const activator[] = {"sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh", NULL};
static const char *const one_socket[] = {"LISTEN_FDS=1", NULL};
static const char *const two_sockets[] = {"LISTEN_FDS=2", "LISTEN_FDNAMES=ops:tokenfirst.socket", NULL};

static int listening(int *ret_port)
{
	int fd = harness_listen(0, ret_port);

	cr_assert_geq(fd, 0);
	return fd;
}

/* The scene, with the server on these sockets. */
static void activate(struct scene *scene, const int *sockets, size_t count, const char *const *environment)
{
	static struct server_options options;

	options = (struct server_options){.config = scene->config,
		.wrapper = activator,
		.environment = environment,
		.sockets = sockets,
		.socket_count = count};
	cr_assert_eq(server_stop(scene->server), 0);
	server_restart(scene->server, &options);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Every login that was answered with 200 has had its effect delivered, once. */
static void each_once(struct scene *scene, const struct crowd *crowd, size_t count)
{
	char(*sent)[API_ID] = calloc(count, sizeof(*sent));
	char(*owed)[API_ID] = calloc(count, sizeof(*owed));

	cr_assert(sent != NULL && owed != NULL);
	cr_assert_eq(peer_count(scene->peer), count, "%zu deliveries for %zu logins", peer_count(scene->peer), count);
	for (size_t i = 0; i < count; i++) {
		struct peer_request request = peer_request(scene->peer, i);
		char key[PEER_TEXT];

		snprintf(sent[i], API_ID, "%.40s", peer_header(&request, "Idempotency-Key", key));
		snprintf(owed[i], API_ID, "%.40s", scene_key(crowd_login(crowd, i), "bus", key));
	}
	qsort(sent, count, sizeof(*sent), compare);
	qsort(owed, count, sizeof(*owed), compare);
	for (size_t i = 0; i < count; i++)
		cr_assert_str_eq(sent[i], owed[i]);
	free(sent);
	free(owed);
}

Test(restart, nobody_is_refused_on_a_socket_that_stays)
{
	struct scene scene;
	struct crowd *crowd;
	int port, socket_fd = listening(&port);
	size_t answered = 0;

	scene_set(&scene, NULL, 0, "{'background':{'drain':'20s'}}");
	activate(&scene, &socket_fd, 1, one_socket);
	crowd = crowd_start(&(struct crowd_options){
		.server = scene.server, .usernames = alice, .password = SCENE_PASSWORD, .threads = THREADS});
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert(crowd_wait(crowd, answered + BETWEEN, PATIENCE_MS));
		cr_assert_eq(server_stop(scene.server), 0);
		/* those who come now wait, and are answered by the next one */
		harness_sleep_ms(SETTLE_MS);
		answered = crowd_count_status(crowd, 200);
		server_restart(scene.server, NULL);
	}
	cr_assert(crowd_wait(crowd, answered + BETWEEN, PATIENCE_MS));
	crowd_join(crowd);
	answered = crowd_count(crowd);
	cr_assert_lt(answered, CROWD_LOGINS);
	fprintf(stderr, "%d restarts under %d clients: %zu logins, %zu refused, cut or turned away\n", ROUNDS, THREADS,
		answered, answered - crowd_count_status(crowd, 200));
	cr_assert_eq(crowd_count_status(crowd, 0), 0, "connections were refused or cut");
	cr_assert_eq(crowd_count_status(crowd, 200), answered);
	cr_assert_eq(server_stop(scene.server), 0);
	each_once(&scene, crowd, answered);
	crowd_free(crowd);
	server_restart(scene.server, NULL);
	scene_clear(&scene);
	close(socket_fd);
}

Test(restart, the_sockets_that_are_handed_over_go_before_the_configuration)
{
	struct scene scene;
	struct http_reply reply;
	int ports[2], sockets[2];
	char expected[64], url[SERVER_URL];
	json_t *line;

	sockets[0] = listening(&ports[0]);
	sockets[1] = listening(&ports[1]);
	scene_set(&scene, NULL, 0, "{'ops':{'listen':'127.0.0.1:0'}}");
	activate(&scene, sockets, 2, two_sockets);
	line = server_log_line(scene.server, "listening");
	snprintf(expected, sizeof(expected), "127.0.0.1:%d", ports[1]);
	cr_assert_str_eq(json_string_value(json_object_get(line, "address")), expected);
	snprintf(expected, sizeof(expected), "127.0.0.1:%d", ports[0]);
	cr_assert_str_eq(json_string_value(json_object_get(line, "ops_address")), expected);
	json_decref(line);
	api_get(scene.server, "/metrics", NULL, &reply);
	cr_assert_eq(reply.status, 404);
	http_reply_release(&reply);
	snprintf(url, sizeof(url), "http://%s/metrics", expected);
	http_do(&(struct http_call){.url = url}, &reply);
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	scene_clear(&scene);
	close(sockets[0]);
	close(sockets[1]);
}

/* What can't be used is said, instead of leaving those who connect to it waiting. */
static void is_refused(const char *const *environment, const int *sockets, size_t count, const char *why)
{
	char folder[] = "/tmp/tokenfirst-test-XXXXXX", setting[128], text[4096] = "";
	const char *words[] = {"serve", "--set", setting, "--set", "listen=127.0.0.1:0", NULL};
	struct program_options start = {.wrapper = activator,
		.arguments = words,
		.environment = environment,
		.sockets = sockets,
		.socket_count = count};
	int log[2];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(setting, sizeof(setting), "store=sqlite:%s/store.db", folder);
	cr_assert_eq(pipe(log), 0);
	start.in = start.out = start.err = log[1];
	cr_assert_eq(program_wait(program_start(&start), PATIENCE_MS), 1);
	close(log[1]);
	cr_assert_gt(read(log[0], text, sizeof(text) - 1), 0);
	close(log[0]);
	cr_expect_not_null(strstr(text, why), "%s", text);
	snprintf(text, sizeof(text), "rm -r '%s'", folder);
	cr_assert_eq(system(text), 0);
}

Test(restart, sockets_that_can_not_be_used_are_refused)
{
	static const char *const named_ops[] = {"LISTEN_FDS=1", "LISTEN_FDNAMES=ops", NULL};
	static const char *const unnamed[] = {"LISTEN_FDS=2", NULL};
	int port, sockets[2] = {listening(&port), listening(&port)};
	int not_listening = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);

	is_refused(one_socket, &not_listening, 1, "no listening TCP socket");
	is_refused(one_socket, &datagrams, 1, "no listening TCP socket");
	is_refused(named_ops, sockets, 1, "ops.listen is not set");
	is_refused(unnamed, sockets, 2, "2 sockets were handed over");
	close(sockets[0]);
	close(sockets[1]);
	close(not_listening);
	close(datagrams);
}

static int connected(const struct scene *scene)
{
	char url[SERVER_URL];
	unsigned int port = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	cr_assert_eq(sscanf(server_url(scene->server, "", url), "http://127.0.0.1:%u", &port), 1);
	to.sin_port = htons((uint16_t)port);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/*
 * Sends a request and reads to the end of the connection, or, with `one`, one reply. "" and -1 for a connection that is
 * cut.
 */
static ssize_t talk(int fd, bool one, char text[REPLY_MAX])
{
	static const char request[] = "GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n";
	size_t used = 0;
	ssize_t got;

	text[0] = '\0';
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return -1;
	do {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		cr_assert_eq(poll(&readable, 1, PATIENCE_MS), 1);
		got = recv(fd, text + used, REPLY_MAX - 1 - used, 0);
		used += got > 0 ? (size_t)got : 0;
		text[used] = '\0';
	} while (got > 0 && !(one && strstr(text, "]}")));
	return got < 0 ? -1 : (ssize_t)used;
}

/* A client that has connected, or been answered, just before the signal, and sends its request just after it. */
Test(restart, who_came_just_before_the_end_is_served)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	char text[REPLY_MAX];
	int fresh, kept;

	scene_set(&scene, silent, 1, "{'background':{'drain':'20s'}}");
	kept = connected(&scene);
	cr_assert_gt(talk(kept, true, text), 0);
	fresh = connected(&scene);
	server_signal(scene.server, SIGTERM);
	cr_assert(server_log_wait(scene.server, "draining", 1, SCENE_WAIT_MS));
	harness_sleep_ms(SETTLE_MS);
	cr_expect_gt(talk(fresh, false, text), 0, "a new connection was cut");
	cr_expect_eq(strncmp(text, "HTTP/1.1 503 ", 13), 0, "%s", text);
	cr_expect_not_null(strstr(text, "draining"));
	cr_expect_not_null(strstr(text, "Connection: close"));
	cr_expect_gt(talk(kept, false, text), 0, "a connection in use was cut");
	cr_expect_not_null(strstr(text, "Connection: close"));
	close(fresh);
	close(kept);
	cr_assert_eq(server_wait(scene.server, SERVER_STOP_MS), 0);
	scene_clear(&scene);
}

/* One that says nothing for a while is closed, so that it can't stretch the drain. */
Test(restart, an_idle_connection_does_not_hold_up_the_end)
{
	struct scene scene;
	int idle;
	int64_t began_us;

	scene_set(&scene, NULL, 0, "{'background':{'drain':'50s'}}");
	idle = connected(&scene);
	began_us = harness_mono_us();
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_lt(harness_mono_us() - began_us, 10 * 1000 * 1000);
	close(idle);
	scene_clear(&scene);
}

Test(restart, a_server_on_its_way_out_serves_until_balancers_have_noticed)
{
	struct scene scene;
	struct api_login login;
	struct http_reply reply;
	char text[REPLY_MAX];
	int64_t began_us;
	int kept;

	scene_set(&scene, NULL, 0, "{'background':{'drain':'20s','drain_delay':'3s'}}");
	kept = connected(&scene);
	cr_assert_gt(talk(kept, true, text), 0);
	cr_expect_null(strstr(text, "Connection: close"));
	began_us = harness_mono_us();
	server_signal(scene.server, SIGTERM);
	cr_assert(server_log_wait(scene.server, "draining", 1, SCENE_WAIT_MS));
	harness_sleep_ms(SETTLE_MS);
	api_get(scene.server, "/health/ready", NULL, &reply);
	cr_expect_eq(reply.status, 503);
	cr_expect_not_null(strstr(reply.body, "draining"));
	http_reply_release(&reply);
	login = scene_login(&scene); /* on a connection of its own */
	cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
	cr_expect_gt(talk(kept, false, text), 0);
	cr_expect_not_null(strstr(text, "Connection: close"), "its client comes back elsewhere");
	close(kept);
	cr_assert_eq(server_wait(scene.server, SERVER_STOP_MS), 0);
	cr_expect_geq(harness_mono_us() - began_us, 3 * 1000 * 1000);
	server_restart(scene.server, NULL);

	/* a second signal does not wait for it */
	began_us = harness_mono_us();
	server_signal(scene.server, SIGTERM);
	cr_assert(server_log_wait(scene.server, "draining", 1, SCENE_WAIT_MS));
	harness_sleep_ms(SETTLE_MS);
	server_signal(scene.server, SIGTERM);
	cr_assert_eq(server_wait(scene.server, SERVER_STOP_MS), 1);
	cr_expect_lt(harness_mono_us() - began_us, 2500 * 1000);
	scene_clear(&scene);
}
