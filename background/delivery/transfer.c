#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "background/delivery/transfer_internal.h"
#include "config/limits.h"

struct transfer *transfer_new(void)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (transfer == NULL)
		return NULL;
	request_init(&transfer->request);
	buf_init_secret(&transfer->reply, LIMIT_REPLY); /* it may hold an access token */
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL) {
		transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

void transfer_free(struct transfer *transfer)
{
	if (transfer == NULL)
		return;
	transfer_abort(transfer);
	mail_sockets_shut(&transfer->sockets, SHUT_RD);
	transfer_clear(transfer);
	buf_release(&transfer->reply);
	if (transfer->easy != NULL)
		curl_easy_cleanup(transfer->easy);
	curl_url_cleanup(transfer->url);
	free(transfer);
}

struct request *transfer_request(struct transfer *transfer)
{
	return &transfer->request;
}

bool transfer_is_mail(const struct transfer *transfer)
{
	return transfer->request.recipient != NULL;
}

/* Counts what has come; false ends the transfer. */
static bool take_bytes(struct transfer *transfer, size_t len)
{
	transfer->received += len;
	if (transfer->received > LIMIT_REPLY)
		transfer->too_large = true;
	return !transfer->too_large;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count;
	if (!take_bytes(transfer, len))
		return 0;
	buf_append(&transfer->reply, bytes, len);
	return buf_error(&transfer->reply) == 0 ? len : 0;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count;
	if (!take_bytes(transfer, len))
		return 0;
	if (transfer->mail) {
		/* a reply a command: the last one is what the verdict is about, but not the farewell */
		if (transfer->leaving)
			return len;
		buf_reset(&transfer->reply);
		buf_append(&transfer->reply, bytes, len);
		return len;
	}
	if (len > 0)
		reply_head_line(&transfer->head, bytes, len);
	return len;
}

/* curl parses a URL for each transfer that is given one as text. What it can't parse it is given, to say why. */
static CURLU *parse_url(const char *text)
{
	CURLU *url = curl_url();
	if (url != NULL && curl_url_set(url, CURLUPART_URL, text, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == 0)
		return url;
	curl_url_cleanup(url);
	return NULL;
}

/* Counts failures of curl_easy_setopt: each can only be a lack of memory here. */
static int set_common(struct transfer *transfer, const struct effect_config *config)
{
	CURL *easy = transfer->easy;
	int failed = 0;
	failed += curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) != CURLE_OK;
	failed +=
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, transfer->mail ? "smtp,smtps" : "http,https") != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") != CURLE_OK; /* else it asks the environment each time */
	failed += curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
	/* a resolver that never answers must not be waited for when the transfer is given up */
	failed += curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)LIMIT_LOW_SPEED_S) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) != CURLE_OK;
	if (config->ca != NULL)
		failed += curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca) != CURLE_OK;
	/*
	 * With a folder of authorities beside the file curl reads all of them anew for each connection, 25 ms in which
	 * the worker does nothing else; those of a file alone it keeps with the multi handle
	 * (CURLOPT_CA_CACHE_TIMEOUT(3)).
	 */
	if (config->ca != NULL || curl_version_info(CURLVERSION_NOW)->cainfo != NULL)
		failed += curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK;
	return failed > 0 ? ERR_MEMORY : 0;
}

/* NULL: the configured one. */
static int set_url(struct transfer *transfer, const struct effect_config *config, const char *own)
{
	CURLU *parsed = own == NULL ? transfer->url : NULL; /* it goes before what CURLOPT_URL says */
	if (curl_easy_setopt(transfer->easy, CURLOPT_URL, own != NULL ? own : config->url) != CURLE_OK ||
		curl_easy_setopt(transfer->easy, CURLOPT_CURLU, parsed) != CURLE_OK)
		return ERR_MEMORY;
	transfer->elsewhere = own != NULL;
	return 0;
}

/* Nothing of what it was told before is left; its connection and what it knows of TLS sessions stay. */
static void unfit(struct transfer *transfer)
{
	curl_easy_reset(transfer->easy);
	curl_url_cleanup(transfer->url);
	transfer->url = NULL;
	transfer->fitted = NULL;
	transfer->elsewhere = false;
	transfer->method = NULL;
}

/* The options that are the same for all that goes to one target are set once. */
static int fit(struct transfer *transfer, const struct effect_config *config)
{
	if (transfer->fitted == config)
		return 0;
	unfit(transfer);
	transfer->url = parse_url(config->url);
	int err = set_common(transfer, config);
	if (err == 0 && transfer->mail)
		err = transfer_fit_mail(transfer, config);
	if (err == 0)
		err = set_url(transfer, config, NULL);
	if (err == 0)
		transfer->fitted = config;
	return err;
}

/* The lines themselves stay the request's. */
static int set_headers(struct transfer *transfer)
{
	static char no_round_trip[] = "Expect:"; /* before the body: what we send is small */
	static char mail_type[] = TRANSFER_MAIL_TYPE;
	const struct request *request = &transfer->request;
	struct curl_slist *lines = transfer->lines;
	size_t count = 0;
	for (; count < request->header_count; count++)
		lines[count] = (struct curl_slist){.data = request->headers[count], .next = &lines[count + 1]};
	lines[count] = (struct curl_slist){.data = transfer->mail ? mail_type : no_round_trip};
	return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, lines) == CURLE_OK ? 0 : ERR_MEMORY;
}

static int set_method(struct transfer *transfer, const char *method)
{
	const char *other = strcmp(method, "POST") != 0 ? method : NULL;
	if (other == transfer->method)
		return 0;
	if (curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, other) != CURLE_OK)
		return ERR_MEMORY;
	transfer->method = other;
	return 0;
}

static int set_http(struct transfer *transfer, const struct effect_config *config)
{
	CURL *easy = transfer->easy;
	const struct request *request = &transfer->request;
	int err = set_method(transfer, request->method);
	if (err == 0 && (request->url != NULL || transfer->elsewhere))
		err = set_url(transfer, config, request->url);
	if (err == 0 &&
		(curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) != CURLE_OK ||
			curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data) != CURLE_OK))
		err = ERR_MEMORY;
	return err;
}

int transfer_begin(struct transfer *transfer, const struct effect_config *config, CURLM *multi, void *owner)
{
	transfer->mail = transfer_is_mail(transfer);
	transfer->owner = owner;
	int err = fit(transfer, config);
	if (err == 0)
		err = set_headers(transfer);
	if (err == 0)
		err = transfer->mail ? transfer_set_mail(transfer) : set_http(transfer, config);
	if (err == 0 && multi != NULL && curl_multi_add_handle(multi, transfer->easy) != CURLM_OK)
		err = ERR_MEMORY;
	if (err == 0)
		transfer->multi = multi;
	else
		transfer->fitted = NULL; /* who knows what it was told */
	return err;
}

static int on_progress(void *arg, curl_off_t total_down, curl_off_t down, curl_off_t total_up, curl_off_t up)
{
	const atomic_bool *stop = arg;
	(void)total_down, (void)down, (void)total_up, (void)up;
	return atomic_load(stop) ? 1 : 0;
}

CURLcode transfer_perform(struct transfer *transfer, const atomic_bool *stop)
{
	CURL *easy = transfer->easy;
	if (atomic_load(stop))
		return CURLE_ABORTED_BY_CALLBACK;
	/* curl takes data for its callbacks as void *, without const */
	if (curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_XFERINFODATA, (void *)(uintptr_t)stop) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) != CURLE_OK)
		return CURLE_OUT_OF_MEMORY;
	return curl_easy_perform(easy);
}

struct transfer *transfer_of(CURL *easy)
{
	char *transfer = NULL;
	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	return (struct transfer *)(void *)transfer;
}

void *transfer_owner(const struct transfer *transfer)
{
	return transfer->owner;
}

static enum transport timeout_kind(CURL *easy)
{
	curl_off_t resolved_us = 0;
	(void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
	return resolved_us > 0 ? TRANSPORT_TIMEOUT : TRANSPORT_DNS;
}

/* curl keeps a header line until it is whole, and one beyond its own limit (100 KiB) comes as a lack of memory. */
static enum transport memory_kind(CURL *easy)
{
	curl_off_t ready_us = 0;
	(void)curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	return ready_us > 0 ? TRANSPORT_TOO_LARGE : TRANSPORT_CONNECT;
}

static enum transport transport_of(const struct transfer *transfer, CURLcode result)
{
	if (transfer->too_large)
		return TRANSPORT_TOO_LARGE;
	switch (result) {
	case CURLE_OK:
		/* a connection that is closed within the head is no error to curl, which has read a status */
		return transfer->head.open ? TRANSPORT_CONNECT : TRANSPORT_REPLY;
	case CURLE_OPERATION_TIMEDOUT:
		return timeout_kind(transfer->easy);
	case CURLE_COULDNT_RESOLVE_HOST:
		return TRANSPORT_DNS;
	case CURLE_OUT_OF_MEMORY:
		return memory_kind(transfer->easy);
#if LIBCURL_VERSION_NUM >= 0x080600
	case CURLE_TOO_LARGE: /* what later versions say instead */
		return TRANSPORT_TOO_LARGE;
#endif
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		return TRANSPORT_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_USE_SSL_FAILED:
		return TRANSPORT_CERTIFICATE;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 or a version that is none */
	case CURLE_BAD_CONTENT_ENCODING:
		return TRANSPORT_MALFORMED;
	default:
		return TRANSPORT_CONNECT;
	}
}

/* "Failed to connect to 127.0.0.1 port 9 after 2 ms: …": the time is known, and differs from attempt to attempt. */
static void cut_time(char *text)
{
	int end = 0;
	char *from = strstr(text, " after ");
	if (from != NULL && sscanf(from, " after %*u ms%n", &end) == 0 && end > 0)
		memmove(from, from + end, strlen(from + end) + 1);
}

void transfer_end(struct transfer *transfer, CURLcode result, int64_t now_ms, struct reply *ret_reply)
{
	long status = 0, connects = 0;
	curl_off_t ready_us = 0;
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
	/* no new connection, but one all the same: where none came to be, nothing was ever about to be sent */
	(void)curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	transfer->reused = connects == 0 && ready_us > 0;
	if (transfer->multi != NULL)
		(void)curl_multi_remove_handle(transfer->multi, transfer->easy);
	transfer->multi = NULL;

	if (result != CURLE_OK)
		transfer->fitted = NULL;
	/* curl keeps a connection whose last reply it gave up waiting for: that must not answer the next mail */
	if (result != CURLE_OK)
		mail_sockets_shut(&transfer->sockets, SHUT_RDWR);
	enum transport transport = transport_of(transfer, result);
	transfer->left_resolver = transport == TRANSPORT_DNS && result == CURLE_OPERATION_TIMEDOUT;
	cut_time(transfer->error);
	/* an SMTP refusal comes as one of several curl errors; its code says more */
	if (transfer->mail && status >= 400 && transport != TRANSPORT_TOO_LARGE)
		transport = TRANSPORT_REPLY;
	*ret_reply = (struct reply){
		.transport = transport,
		.status = (int)status,
		.retry_after_ms = reply_head_retry_after(&transfer->head, now_ms),
		.body = transfer->reply.data,
		.body_len = transfer->reply.len,
		.smtp_after_recipient = transfer->after_recipient,
	};
}

void transfer_abort(struct transfer *transfer)
{
	if (transfer->multi != NULL)
		(void)curl_multi_remove_handle(transfer->multi, transfer->easy);
	transfer->multi = NULL;
	transfer->fitted = NULL;
}

const char *transfer_error(const struct transfer *transfer)
{
	return transfer->error;
}

bool transfer_left_resolver(const struct transfer *transfer)
{
	return transfer->left_resolver;
}

bool transfer_reused(const struct transfer *transfer)
{
	return transfer->reused;
}

/* All of what did not end well; else what is this request's. */
static void forget(struct transfer *transfer)
{
	if (transfer->fitted == NULL) {
		unfit(transfer);
		return;
	}
	/* neither can fail, as nothing is copied */
	(void)curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
	if (transfer->mail)
		transfer_forget_mail(transfer);
	else
		(void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, NULL);
}

void transfer_clear(struct transfer *transfer)
{
	if (transfer->easy != NULL)
		forget(transfer); /* before what it points to is freed */
	curl_mime_free(transfer->mime);
	request_release(&transfer->request);
	request_init(&transfer->request);
	sodium_memzero(transfer->reply.data, transfer->reply.len);
	buf_reset(&transfer->reply);
	transfer->mime = NULL;
	transfer->owner = NULL;
	transfer->received = 0;
	transfer->mail = transfer->too_large = transfer->after_recipient = false;
	transfer->leaving = transfer->reused = transfer->left_resolver = false;
	transfer->error[0] = '\0';
	reply_head_reset(&transfer->head);
}
