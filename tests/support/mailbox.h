/*
 * The mails that a scripted SMTP receiver has taken for one address, and the link in the latest: what a person does who
 * reads a mail and copies what it says.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_MAILBOX_H
#define TOKENFIRST_TESTS_SUPPORT_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/smtp_peer.h"

enum { MAILBOX_TOKEN = 64, MAILBOX_URL = 512 };

/* Mails to this address (in any case) that were accepted, those sent twice counted twice. */
size_t mailbox_count(struct smtp_peer *peer, const char *address);
/* Waits until there are so many. */
bool mailbox_wait(struct smtp_peer *peer, const char *address, size_t count, int64_t deadline_ms);
/*
 * The latest of them whose subject has this text (NULL: any), headers and all, its quoted-printable undone. Free it;
 * NULL: there is none.
 */
char *mailbox_latest(struct smtp_peer *peer, const char *address, const char *subject);
/* Waits for one. */
char *mailbox_await(struct smtp_peer *peer, const char *address, const char *subject, int64_t deadline_ms);

/*
 * Out of the latest such mail, awaited: the address of its link, and the token behind "#token=". False: there is none.
 */
bool mailbox_url(struct smtp_peer *peer, const char *address, const char *subject, char ret_url[MAILBOX_URL]);
bool mailbox_token(struct smtp_peer *peer, const char *address, const char *subject, char ret_token[MAILBOX_TOKEN]);

#endif
