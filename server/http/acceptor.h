/*
 * One thread that accepts for all loops and gives each connection to the one with the fewest. Above http.connections it
 * accepts and closes at once, so that the client learns it now and not after a timeout.
 */
#ifndef TOKENFIRST_SERVER_HTTP_ACCEPTOR_H
#define TOKENFIRST_SERVER_HTTP_ACCEPTOR_H

#include "server/http/edge.h"
#include "server/http/loop.h"

struct acceptor;

struct acceptor_options {
	struct edge *edge;
	struct loop *const *loops; /* must live until acceptor_stop */
	size_t loop_count;
	int main_fd, ops_fd; /* listening; ops_fd -1: none. They stay the caller's */
};

int acceptor_start(const struct acceptor_options *options, struct acceptor **ret_acceptor) MUST_CHECK;

/* What the kernel has already accepted for us is still taken; then nothing more. NULL is fine; frees. */
void acceptor_stop(struct acceptor *acceptor);

#endif
