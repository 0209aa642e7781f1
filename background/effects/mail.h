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

/* Adds Subject: as it is if it is plain ASCII, else in encoded-words. Errors as request_add_header. */
int mail_add_subject(struct request *request, const char *subject) MUST_CHECK;

/* "Fri, 02 Jan 2026 03:04:05 +0000" */
enum { MAIL_DATE_SIZE = 40 };
void mail_date(char ret_date[MAIL_DATE_SIZE], int64_t ms);

#endif
