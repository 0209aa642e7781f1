/*
 * A scripted SMTP receiver for tests (RFC 5321): what it says at each stage is told by a script, and it remembers the
 * envelopes and the mails as they came.
 *
 * Script i is for the i-th connection; the last one repeats for ever. A zeroed script accepts everything. Within a
 * connection a stage gives the same reply every time, so that a reused connection behaves alike.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_SMTP_PEER_H
#define TOKENFIRST_TESTS_SUPPORT_SMTP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SMTP_PEER_SCRIPTS = 32,
	SMTP_PEER_MAILS = 10000, /* remembered; later ones are counted only */
	SMTP_PEER_RECIPIENTS = 16,
	SMTP_PEER_ADDRESS = 512,
	SMTP_PEER_URL = 64,
};

enum smtp_stage { SMTP_GREETING, SMTP_EHLO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_END_OF_DATA, SMTP_STAGES };

/* NULL: the normal reply. Else the reply without its CR LF ("550 5.1.1 no such user"), or one of these: */
#define SMTP_PEER_DROP	"drop"	/* closes the connection without a word */
#define SMTP_PEER_STALL "stall" /* says nothing more until the client leaves */
/* These have the code of the normal reply, and no end: */
#define SMTP_PEER_DRIP	  "drip"    /* one line, a byte each 20 ms */
#define SMTP_PEER_LINE	  "line"    /* one line, as fast as it is read */
#define SMTP_PEER_ENDLESS "endless" /* lines that say that one more comes, as fast as they are read */

struct smtp_script {
	const char *replies[SMTP_STAGES];
	int64_t delay_ms[SMTP_STAGES];
	bool stalls_at_quit; /* no reply to QUIT, and the connection stays open */
};

struct smtp_mail {
	char sender[SMTP_PEER_ADDRESS]; /* what stood between the angle brackets */
	char recipients[SMTP_PEER_RECIPIENTS][SMTP_PEER_ADDRESS];
	size_t recipient_count; /* all RCPT commands, whatever was replied */
	char *message;		/* dots undone, NUL-terminated */
	size_t message_len;
	bool accepted; /* the reply to the end of data was 2xx */
	int64_t arrived_us;
	int64_t connection; /* from 1 */
};

struct smtp_peer;

/* `count` 0: everything is accepted. Texts must outlive the peer. Never NULL. */
struct smtp_peer *smtp_peer_start(const struct smtp_script *scripts, size_t count);
void smtp_peer_stop(struct smtp_peer *peer); /* NULL is fine; frees */
/* New scripts for connections from now on. */
void smtp_peer_script(struct smtp_peer *peer, const struct smtp_script *scripts, size_t count);

int smtp_peer_port(const struct smtp_peer *peer);
/* "smtp://127.0.0.1:PORT"; gives `url` back. */
const char *smtp_peer_url(const struct smtp_peer *peer, char url[SMTP_PEER_URL]);

/* Any thread. Mails count when their data ended, refused ones included. */
size_t smtp_peer_count(struct smtp_peer *peer);
int64_t smtp_peer_connections(struct smtp_peer *peer);
size_t smtp_peer_commands(struct smtp_peer *peer, enum smtp_stage stage); /* how often it came to that stage */
bool smtp_peer_wait(struct smtp_peer *peer, size_t count, int64_t deadline_ms);
/* Waits for a stage instead: for mails that are refused before their data. */
bool smtp_peer_wait_stage(struct smtp_peer *peer, enum smtp_stage stage, size_t count, int64_t deadline_ms);
/* A copy of the record; `message` lives until smtp_peer_stop. Fails when there is none such. */
struct smtp_mail smtp_peer_mail(struct smtp_peer *peer, size_t index);

#endif
