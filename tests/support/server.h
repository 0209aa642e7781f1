/*
 * The real server, in a temporary folder, on a port of its own choice, for tests that drive it from outside.
 *
 *   struct server *server = server_start(&(struct server_options){.config = "{\"effects\":{…}}"});
 *   server_add_user(server, "alice", "alice@example.com", "correct horse", false);
 *   … server_url(server, "/login", url) …
 *   cr_assert_eq(server_stop(server), 0);
 *   server_free(server);
 *
 * The configuration is completed where it says nothing: `listen` 127.0.0.1:0, `store` in the folder, password
 * parameters that cost next to nothing, a throttle that exempts 127.0.0.0/8, and the repository's templates for effects
 * of type email. The server's working directory is the folder. Whatever fails here fails the test, with the last lines
 * of the server's log.
 *
 * One thread uses a server, the one that started it; the server dies with it. Only the log is read by a thread of its
 * own.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_SERVER_H
#define TOKENFIRST_TESTS_SUPPORT_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SERVER_URL = 512,
	SERVER_START_MS = 10000, /* until it listens */
	SERVER_STOP_MS = 60000,	 /* from SIGTERM to its end */
};

struct server;

struct server_options {
	const char *config;		/* JSON text; NULL: "{}" */
	const char *const *settings;	/* "key=value" for --set, NULL-terminated; NULL: none */
	const char *const *environment; /* "NAME=value", NULL-terminated; NULL: none */
	const char *const *wrapper;	/* words before the program, as program.h; server_pid is then the wrapper's */
	const int *sockets;		/* that become its descriptors 3 and on; NULL: none */
	size_t socket_count;
	bool black_hole_dns; /* ask black_hole_possible() before */
};

/* Never NULL; returns when it listens. The texts in `options` must outlive it, for server_restart. */
struct server *server_start(const struct server_options *options);

pid_t server_pid(const struct server *server);
/* Built with one, it has terabytes of shadow and keeps what is freed for later: figures of its memory say nothing. */
bool server_has_sanitizer(const struct server *server);
const char *server_folder(const struct server *server);
const char *server_config_file(const struct server *server);
/* "http://127.0.0.1:PORT/path"; gives `url` back. */
const char *server_url(const struct server *server, const char *path, char url[SERVER_URL]);
/* DNS queries swallowed since the last call; 0 without black_hole_dns. */
size_t server_dns_queries(struct server *server);

/* By the command line, while it runs or not. `email` NULL: none. */
void server_add_user(struct server *server, const char *name, const char *email, const char *password, bool admin);
/* Any other command, with its own -c: the exit code; the output if `ret_out` is not NULL (free it). */
int server_command(struct server *server, const char *const *words, const char *input, char **ret_out);

/* SIGTERM, and its exit code (minus the signal). */
int server_stop(struct server *server);
/* Only the signal; server_wait gives the exit code. */
void server_signal(struct server *server, int signal);
int server_wait(struct server *server, int64_t deadline_ms);
/* SIGKILL, and waits for its end. */
void server_kill(struct server *server);
bool server_running(const struct server *server);
/* Starts it again on the same folder, after a stop or kill; `options` NULL: the same ones. The port may be another. */
void server_restart(struct server *server, const struct server_options *options);
/*
 * Stops it if it runs (its exit code must then be 0), checks that nothing of it remains, removes the folder. NULL is
 * fine.
 */
void server_free(struct server *server);

/*
 * The log since the last start. `message` is compared with the member "message" of each line.
 */
size_t server_log_count(struct server *server, const char *message);
/* Whether `count` such lines are there before the deadline. */
bool server_log_wait(struct server *server, const char *message, size_t count, int64_t deadline_ms);
/* The latest such line as an object to be json_decref'ed; NULL: none. */
json_t *server_log_line(struct server *server, const char *message);
/* Whether a text occurs anywhere in the log, earlier runs included: for secrets that must not. */
bool server_log_contains(struct server *server, const char *text);

#endif
