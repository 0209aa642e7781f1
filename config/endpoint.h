/*
 * Addresses that a configuration names: URLs, listening addresses, mail addresses.
 * Each check returns NULL, or a static text that says what is wrong with it.
 */
#ifndef TOKENFIRST_CONFIG_ENDPOINT_H
#define TOKENFIRST_CONFIG_ENDPOINT_H

#include <stdbool.h>

enum url_kind {
	URL_PUBLIC, /* http, https; no query, so that paths can be appended */
	URL_HTTP,   /* http, https */
	URL_MAIL,   /* smtp, smtps; host and port only */
};

/* By curl's own URL parser. Credentials and fragments are refused in all of them. */
const char *url_fault(const char *url, enum url_kind kind);

/* As URL_HTTP, but http only to an address of this machine: a secret goes there (RFC 6749 3.2 wants TLS). */
const char *token_url_fault(const char *url);

/* scheme://host[:port] as a browser writes an origin (RFC 6454 6.2): http or https, no path, no capitals, no port that is its scheme's own. */
const char *origin_fault(const char *origin);

/* The scope of an OAuth token: words of printable ASCII without " and \, one blank between (RFC 6749 3.3). */
const char *scope_fault(const char *scope);

/* HOST:PORT or [IPv6]:PORT, port 0 to 65535. */
const char *listen_fault(const char *address);

/* name@host as it goes into an SMTP envelope: ASCII, no blank, bracket, comma or quote. */
const char *mail_address_fault(const char *address);

/* The same, or with a display name before it: "Shop <auth@example.com>". */
const char *mailbox_fault(const char *mailbox);

/* token of RFC 9110 5.6.2, and none of the headers that frame or route a request. */
const char *header_name_fault(const char *name);

#endif
