/*
 * Commands to a running server, through the socket beside its store.
 *
 * The server owns the store, so a command line that has to write asks it to. The socket is AF_UNIX with mode 0600: who
 * may open it could open the store itself. One connection is one command, a line of JSON each way, both of at most
 * LIMIT_CONTROL_LINE bytes, the command within LIMIT_CONTROL_READ_MS and the reply within LIMIT_CONTROL_MS:
 *
 *   {"command":"user.disable","arguments":{"username":"alice"}}
 *   {"reply":{"id":"01J…","username":"alice"}}     or     {"error":-5,"message":"no such thing"}
 *
 * Passwords cross it as hashes only. One thread serves one connection after the other.
 */
#ifndef TOKENFIRST_SERVER_OPS_CONTROL_H
#define TOKENFIRST_SERVER_OPS_CONTROL_H

#include <jansson.h>

#include "config/err.h"

struct app;
struct control;

/*
 * Removes a socket that a dead server has left (the store's lock says that it is dead), binds and serves. ERR_LIMIT:
 * the path is longer than a socket's may be; ERR_SYSTEM: errno. Of `app` all that commands use is there already: all
 * but http.
 */
int control_start(struct app *app, struct control **ret_control) MUST_CHECK;
/*
 * Finishes the command that is being run, removes the socket. Before the pool drains and committer_stop. NULL is fine.
 */
void control_stop(struct control *control);

/*
 * The other end. 0: the server ran it, and `ret_result` is what the command returned; then, if that is 0,
 * `ret_reply` a new reference. ERR_CLOSED: nobody listens, nothing was sent. ERR_TIMEOUT: it was sent, and what came of
 * it is not known. ERR_INVALID, ERR_LIMIT, ERR_MEMORY, ERR_SYSTEM: nothing was run.
 */
int control_send(const char *socket_path, const char *command, const json_t *arguments, int *ret_result,
	json_t **ret_reply) MUST_CHECK;

#endif
