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

static int add_part(curl_mime *alternatives, const struct buf *body, const char *type)
{
	curl_mimepart *part = curl_mime_addpart(alternatives);
	if (part == NULL || curl_mime_data(part, body->data, body->len) != CURLE_OK ||
		curl_mime_type(part, type) != CURLE_OK || curl_mime_encoder(part, "quoted-printable") != CURLE_OK)
		return ERR_MEMORY;
	return 0;
}

/* The least preferred alternative first: RFC 2046 5.1.4. */
static int set_mime(struct transfer *transfer)
{
	curl_mime *alternatives = NULL;
	curl_mimepart *root;
	int err = ERR_MEMORY;

	transfer->mime = curl_mime_init(transfer->easy);
	alternatives = curl_mime_init(transfer->easy);
	if (transfer->mime == NULL || alternatives == NULL)
		goto done;
	err = add_part(alternatives, &transfer->request.text, "text/plain; charset=utf-8");
	if (err == 0 && transfer->request.html.len > 0)
		err = add_part(alternatives, &transfer->request.html, "text/html; charset=utf-8");
	if (err != 0)
		goto done;
	err = ERR_MEMORY;
	root = curl_mime_addpart(transfer->mime);
	if (root == NULL || curl_mime_subparts(root, alternatives) != CURLE_OK)
		goto done;
	alternatives = NULL; /* the root owns it now */
	if (curl_mime_type(root, "multipart/alternative") != CURLE_OK ||
		curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, transfer->mime) != CURLE_OK)
		goto done;
	err = 0;
done:
	curl_mime_free(alternatives);
	return err;
}

int transfer_set_mail(struct transfer *transfer, const struct effect_config *config)
{
	CURL *easy = transfer->easy;
	int failed = 0;
	transfer->recipients = curl_slist_append(NULL, transfer->request.recipient);
	failed += transfer->recipients == NULL;
	failed += curl_easy_setopt(easy, CURLOPT_MAIL_FROM, transfer->request.sender) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, transfer->recipients) != CURLE_OK;
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
	return failed > 0 ? ERR_MEMORY : set_mime(transfer);
}
