/* What the two files of a transfer share: transfer.c, and transfer_mail.c for what is particular to mails. */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_INTERNAL_H
#define TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_INTERNAL_H

#include "background/delivery/mail_sockets.h"
#include "background/delivery/reply_head.h"
#include "background/delivery/transfer.h"

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
	int64_t now_ms;
	bool left_resolver;
	char error[CURL_ERROR_SIZE];
	struct reply_head head;
	struct mail_sockets sockets; /* of a mail handle */
};

/* Envelope, body, authentication, and what is watched of the dialogue. ERR_MEMORY. */
int transfer_set_mail(struct transfer *transfer, const struct effect_config *config) MUST_CHECK;

#endif
