/*
 * Headers of a mail (RFC 5322, RFC 2047) and the addresses of its envelope (RFC 5321).
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_MAIL_H
#define TOKENFIRST_BACKGROUND_EFFECTS_MAIL_H

#include <stdbool.h>

#include "background/effects/effect.h"

/*
 * Whether a mailbox may go on the wire, as it is, in an envelope and in a header: a dot-string (RFC 5321 4.1.2) of at
 * most 64 bytes, one '@', a domain of letters, digits and hyphens or an address literal in brackets, at most
 * LIMIT_EMAIL in all. So it has no CR, LF, space, comma or angle bracket. Quoted local parts are
 * refused, and so is all beyond ASCII, which would need SMTPUTF8 from every server on the way.
 */
bool mail_address_valid(const char *address);

/* What follows the '@' of a valid address. */
const char *mail_address_domain(const char *address);

/* A sender as it is configured: "name@host", or "Shop <name@host>". */
struct mailbox {
	char name[LIMIT_MAILBOX + 1]; /* UTF-8, without the quotes that it may have been written with; "": none */
	char address[LIMIT_EMAIL + 1];
};
/* false: the address is not valid, or the name holds a control byte. */
bool mail_mailbox_parse(const char *text, struct mailbox *ret_mailbox);

/* Adds From:, the name as atoms, a quoted string or encoded-words, as it needs. Errors as request_add_header. */
int mail_add_from(struct request *request, const struct mailbox *from) MUST_CHECK;

/* Adds Subject: as it is if it is plain ASCII, else in encoded-words. Errors as request_add_header. */
int mail_add_subject(struct request *request, const char *subject) MUST_CHECK;

/* "Fri, 02 Jan 2026 03:04:05 +0000" */
enum { MAIL_DATE_SIZE = 40 };
void mail_date(char ret_date[MAIL_DATE_SIZE], int64_t ms);

#endif
