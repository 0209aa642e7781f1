/*
 * A receiver that says the bytes that it is told, whether or not they are any protocol, and does it as slowly, as
 * fast or for as long as it is told. What it holds in memory is a few KiB, whatever it sends.
 *
 *   struct hostile_peer *peer = hostile_peer_start(&(struct hostile_script){
 *       .start = HOSTILE_TEXT("HTTP/1.1 200 OK\r\nX-Drip: "), .again = HOSTILE_TEXT("x"), .interval_ms = 20});
 *
 * On each connection it reads one request first (a head, and whatever has come with it), says its piece, and ends.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_HOSTILE_PEER_H
#define TOKENFIRST_TESTS_SUPPORT_HOSTILE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hostile_text {
	const char *bytes;
	size_t len;
};
/* Of a string literal; NULs within it count. */
#define HOSTILE_TEXT(literal)                                                                                          \
	{                                                                                                              \
		.bytes = (literal), .len = sizeof(literal) - 1                                                         \
	}

enum hostile_end {
	HOSTILE_HOLD,  /* says nothing more, and waits until the client leaves */
	HOSTILE_CLOSE, /* closes in good order */
	HOSTILE_RESET, /* closes with a reset */
	HOSTILE_DEAF,  /* says nothing more, reads nothing more, and never closes */
};

struct hostile_script {
	struct hostile_text start;
	struct hostile_text again; /* said over and over after that; empty: nothing */
	int64_t times;		   /* how often; 0: without end */
	int64_t interval_ms;	   /* between any two bytes of `again`; 0: as fast as they are taken */
	enum hostile_end end;
	bool unread; /* acts at once, and leaves the request unread */
};

struct hostile_peer;

/* On 127.0.0.1, any port. The texts must outlive it. Never NULL. */
struct hostile_peer *hostile_peer_start(const struct hostile_script *script);
void hostile_peer_stop(struct hostile_peer *peer); /* NULL is fine; frees */

int hostile_peer_port(const struct hostile_peer *peer);
/* Any thread. */
int64_t hostile_peer_connections(struct hostile_peer *peer);
int64_t hostile_peer_said(struct hostile_peer *peer); /* bytes that it could get rid of, over all connections */

#endif
