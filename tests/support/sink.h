/*
 * A receiver for load tests: one thread, one epoll, replies after a constant delay.
 *
 * A protocol (http_sink, smtp_sink) takes one message at a time and says what to reply. While a
 * connection's reply is due later, nothing more is taken from that connection, so pipelined messages are answered
 * in order. The delay costs no thread and no sleep: due replies wait in a queue, which is in order of time because
 * the delay is constant.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_SINK_H
#define TOKENFIRST_TESTS_SUPPORT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sink_connection;

enum {
	SINK_MESSAGE_MAX = 17 << 20, /* bytes of one message; a connection that sends more is closed */
	SINK_REPLY_MAX = 1024,	     /* bytes of one reply */
	SINK_CONNECTIONS = 8192,     /* open at once; more are closed at once */
};

/* What a protocol answers to one message. */
struct sink_reply {
	char text[SINK_REPLY_MAX];
	size_t len;   /* 0: nothing is replied, the next message is looked at */
	bool delayed; /* after the delay, not at once */
	bool close;   /* the connection ends after it */
};

struct sink_protocol {
	size_t state_size; /* of a connection's own state, which starts as zeroes */
	/* A connection is open; NULL: nothing to say. */
	void (*open)(void *arg, void *state, struct sink_reply *reply);
	/* Takes one message: the number of bytes that it used, 0: more are needed, below 0: close. */
	ssize_t (*take)(void *arg, void *state, const char *bytes, size_t len, struct sink_reply *reply);
};

struct sink_options {
	const struct sink_protocol *protocol;
	void *arg;
	int port; /* 0: any; "listening 127.0.0.1:PORT" is printed in any case */
	int64_t delay_ms;
	int64_t *connections; /* counted here if not NULL */
};

/* Runs until SIGTERM or SIGINT. */
void sink_run(const struct sink_options *options);

#endif
