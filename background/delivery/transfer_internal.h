/* What the two files of a transfer share: transfer.c, and transfer_mail.c for what is particular to mails. */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_INTERNAL_H
#define TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_INTERNAL_H

#include "background/delivery/transfer.h"

/* Of a reply that has several, which is none of its rights (RFC 9110 5.3), so many are looked at. */
enum { RETRY_AFTERS = 4, RETRY_AFTER_SIZE = 64 };

/* Connections of one mail handle: curl keeps at most five of them. */
enum { MAIL_SOCKETS = 8 };

struct transfer {
	CURL *easy;
	CURLM *multi; /* NULL: not under way */
	void *owner;
	struct request request;
	struct curl_slist *headers, *recipients;
	curl_mime *mime;
	struct buf reply;
	size_t received; /* bytes of headers and body */
	bool mail, too_large, after_recipient, leaving, reused;
	bool in_head; /* HTTP: a head has begun, and its empty line has not come */
	int64_t now_ms;
	bool left_resolver;
	char error[CURL_ERROR_SIZE];
	char retry_after[RETRY_AFTERS][RETRY_AFTER_SIZE];
	size_t retry_after_count;
	curl_socket_t sockets[MAIL_SOCKETS]; /* of a mail handle, open */
	size_t socket_count;
};

/* Envelope, body, authentication, and what is watched of the dialogue. ERR_MEMORY. */
int transfer_set_mail(struct transfer *transfer, const struct effect_config *config) MUST_CHECK;
/* Of all connections that the handle has open, as shutdown(2). */
void transfer_shut_sockets(struct transfer *transfer, int how);

#endif
