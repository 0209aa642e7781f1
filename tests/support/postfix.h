/*
 * A real mail server for tests: a Postfix of our own, with its configuration, queue, log and mailbox in a temporary
 * folder, on a port of 127.0.0.1. Every address at example.com and example.net, but for one, leads to one mailbox.
 *
 * It needs root, since Postfix does: its parts run as its own user. It has a process group of its own, which ends with
 * it.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POSTFIX_H
#define TOKENFIRST_TESTS_SUPPORT_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one address there that is refused: 550 5.1.1 to its RCPT TO. */
#define POSTFIX_NOBODY "nobody@example.com"

enum { POSTFIX_URL = 64, POSTFIX_START_MS = 30000, POSTFIX_STOP_MS = 10000 };

/* Why there can be none here: "postfix is not installed"; NULL: there can. */
const char *postfix_lacks(void);

struct postfix;

/* Never NULL; returns when it takes connections. */
struct postfix *postfix_start(void);
void postfix_stop(struct postfix *postfix); /* NULL is fine; removes its folder */

/* "smtp://127.0.0.1:PORT"; gives `url` back. */
const char *postfix_url(const struct postfix *postfix, char url[POSTFIX_URL]);

/* The folder with one file for each mail that was delivered. */
const char *postfix_mailbox(const struct postfix *postfix);
/* Whether `count` mails are there before the deadline. */
bool postfix_wait(const struct postfix *postfix, size_t count, int64_t deadline_ms);

/* How often a text occurs in its log. */
size_t postfix_log_count(const struct postfix *postfix, const char *text);

#endif
