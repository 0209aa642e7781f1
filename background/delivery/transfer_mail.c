/* A transfer that is a mail: its envelope and body, and what has to be known of the dialogue. */
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "background/delivery/transfer_internal.h"

/* Which command an SMTP reply code answers is not in curl's result; it is in what was sent. */
static int on_debug(CURL *easy, curl_infotype type, char *bytes, size_t len, void *arg)
{
	struct transfer *transfer = arg;
	(void)easy;
	if (type != CURLINFO_HEADER_OUT || len < 4)
		return 0;
	if (strncasecmp(bytes, "RCPT", 4) == 0 || strncasecmp(bytes, "DATA", 4) == 0)
		transfer->after_recipient = true;
	/* after a refusal curl says QUIT on the same handle */
	transfer->leaving = strncasecmp(bytes, "QUIT", 4) == 0;
	if (transfer->leaving)
		mail_sockets_shut(&transfer->sockets, SHUT_RD);
	return 0;
}

int transfer_fit_mail(struct transfer *transfer, const struct effect_config *config)
{
	CURL *easy = transfer->easy;
	int failed = 0;
	failed += curl_easy_setopt(easy, CURLOPT_USE_SSL,
			  (long)(config->starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE)) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, on_debug) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_DEBUGDATA, transfer) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L) != CURLE_OK;
	failed += mail_sockets_watch(&transfer->sockets, easy) != 0;
	if (config->auth.type == AUTH_BASIC) {
		failed += curl_easy_setopt(easy, CURLOPT_USERNAME, config->auth.username) != CURLE_OK;
		failed += curl_easy_setopt(easy, CURLOPT_PASSWORD, config->auth.password) != CURLE_OK;
	}
	return failed > 0 ? ERR_MEMORY : 0;
}

static int add_part(curl_mime *alternatives, const struct buf *body, const char *type)
{
	/* curl would print the same, byte by byte, and takes what is given; it only reads it */
	static char text[] = "Content-Transfer-Encoding: quoted-printable";
	static struct curl_slist encoding = {.data = text};
	curl_mimepart *part = curl_mime_addpart(alternatives);
	if (part == NULL || curl_mime_data(part, body->data, body->len) != CURLE_OK ||
		curl_mime_type(part, type) != CURLE_OK || curl_mime_headers(part, &encoding, 0) != CURLE_OK ||
		curl_mime_encoder(part, "quoted-printable") != CURLE_OK)
		return ERR_MEMORY;
	return 0;
}

/*
 * The least preferred alternative first: RFC 2046 5.1.4. That they are alternatives is said by the mail's own
 * Content-Type (TRANSFER_MAIL_TYPE), to which curl adds the boundary, so that there is one multipart, not one within
 * another.
 *
 * It is made anew for each mail, for its boundary, which curl draws at random as it is made: who has got a mail knows
 * that mail's, and where it stayed the same, a value of his could end a part of somebody else's mail.
 */
static int set_mime(struct transfer *transfer)
{
	const struct request *request = &transfer->request;
	int err = ERR_MEMORY;

	transfer->mime = curl_mime_init(transfer->easy);
	if (transfer->mime == NULL)
		return err;
	err = add_part(transfer->mime, &request->text, "text/plain; charset=utf-8");
	if (err == 0 && request->html.len > 0)
		err = add_part(transfer->mime, &request->html, "text/html; charset=utf-8");
	if (err == 0 && curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, transfer->mime) != CURLE_OK)
		err = ERR_MEMORY;
	return err;
}

int transfer_set_mail(struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	transfer->recipient = (struct curl_slist){.data = transfer->request.recipient};
	if (curl_easy_setopt(easy, CURLOPT_MAIL_FROM, transfer->request.sender) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, &transfer->recipient) != CURLE_OK)
		return ERR_MEMORY;
	return set_mime(transfer);
}

void transfer_forget_mail(struct transfer *transfer)
{
	/* none can fail, as nothing is copied */
	(void)curl_easy_setopt(transfer->easy, CURLOPT_MAIL_FROM, NULL);
	(void)curl_easy_setopt(transfer->easy, CURLOPT_MAIL_RCPT, NULL);
	(void)curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, NULL);
}
