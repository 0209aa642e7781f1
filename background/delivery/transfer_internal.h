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
	struct curl_slist lines[REQUEST_HEADERS + 1]; /* the request's headers, and one of ours, as curl wants them */
	struct curl_slist recipient;		      /* of a mail; its text is the request's */
	curl_mime *mime;
	struct buf reply;
	size_t received; /* bytes of headers and body */
	bool mail, too_large, after_recipient, leaving, reused;
	int64_t now_ms;
	bool left_resolver;
	char error[CURL_ERROR_SIZE];
	struct reply_head head;
	struct mail_sockets sockets; /* of a mail handle */

	/* what the handle keeps from one transfer to the next */
	const struct effect_config *fitted; /* whose options it has; NULL: nobody's */
	CURLU *url;			    /* that configuration's, parsed; NULL: by curl, each time */
	bool elsewhere;			    /* its URL is the last request's own */
	const char *method;		    /* NULL: curl's own for a body, POST */
};

/* The header of a mail's that curl gives the boundary to: transfer_mail.c. */
#define TRANSFER_MAIL_TYPE "Content-Type: multipart/alternative"

/* What is the same for all mails to one target: authentication, and what is watched of the dialogue. ERR_MEMORY. */
int transfer_fit_mail(struct transfer *transfer, const struct effect_config *config) MUST_CHECK;
/* Envelope and body. ERR_MEMORY. */
int transfer_set_mail(struct transfer *transfer) MUST_CHECK;
/* The handle has nothing of them any more. */
void transfer_forget_mail(struct transfer *transfer);

#endif
