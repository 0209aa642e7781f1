/*
 * The sockets of one mail handle, so that they can be shut from outside.
 *
 * curl ends an SMTP connection with QUIT and waits for the reply to it, up to two minutes, whatever the time-outs say
 * (smtp_disconnect in its lib/smtp.c): within a transfer that was refused, and in curl_easy_cleanup. With nothing to be
 * read any more it says QUIT and goes. Used by the thread that has the handle.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_MAIL_SOCKETS_H
#define TOKENFIRST_BACKGROUND_DELIVERY_MAIL_SOCKETS_H

#include <curl/curl.h>
#include <stddef.h>

#include "config/err.h"

enum { MAIL_SOCKETS = 8 }; /* curl keeps at most five connections of one handle */

struct mail_sockets {
	curl_socket_t open[MAIL_SOCKETS];
	size_t count;
};

/* From now on `easy` tells of its sockets; `sockets` must outlive it. ERR_MEMORY. */
int mail_sockets_watch(struct mail_sockets *sockets, CURL *easy) MUST_CHECK;
/* All of them: SHUT_RD, so that nothing is waited for, or SHUT_RDWR, so that none is used again. */
void mail_sockets_shut(const struct mail_sockets *sockets, int how);

#endif
