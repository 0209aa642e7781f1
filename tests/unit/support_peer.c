/* The faulty peers themselves: a test that relies on a fault must be able to rely on the peer. */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/http_client.h"
#include "tests/support/peer.h"
#include "tests/support/smtp_peer.h"
#include "tests/support/wire.h"

/* One call to the peer; `timeout_ms` 0: the usual. */
static struct http_reply call(struct peer *peer, const char *body, int64_t timeout_ms)
{
	char url[PEER_TEXT];
	struct http_reply reply;

	http_do(&(struct http_call){.url = peer_url(peer, "/hook?x=1", url), .body = body, .timeout_ms = timeout_ms},
		&reply);
	return reply;
}

static int status_of(struct peer *peer, const char *body, int64_t timeout_ms)
{
	struct http_reply reply = call(peer, body, timeout_ms);
	int status = reply.status;

	http_reply_release(&reply);
	return status;
}

/* How the only step of a script ends a call: the status, or 0 and the reason. */
static int outcome_of(struct peer_step step, int64_t timeout_ms, char failure[256])
{
	struct peer *peer = peer_start(&step, 1);
	struct http_reply reply = call(peer, "{}", timeout_ms);
	int status = reply.status;

	snprintf(failure, 256, "%s", reply.failure);
	http_reply_release(&reply);
	peer_stop(peer);
	return status;
}

Test(wire, content_length)
{
	static const char text[] = "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:  3 \r\n\r\nabcGET";
	struct wire_frame frame;
	size_t whole = strlen(text) - 3;

	for (size_t len = 0; len < whole; len++)
		cr_assert_eq(wire_frame(text, len, WIRE_REQUEST, &frame), 0, "%zu bytes are not all", len);
	cr_assert_eq(wire_frame(text, strlen(text), WIRE_REQUEST, &frame), 1);
	cr_assert_eq(frame.total_len, whole);
}

Test(wire, chunks)
{
	char text[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: "
		      "v\r\n\r\n+";
	struct wire_frame frame;
	size_t whole = strlen(text) - 1;

	for (size_t len = 0; len < whole; len++)
		cr_assert_eq(wire_frame(text, len, WIRE_REQUEST, &frame), 0, "%zu bytes are not all", len);
	cr_assert_eq(wire_frame(text, strlen(text), WIRE_REQUEST, &frame), 1);
	cr_assert_eq(frame.total_len, whole);
	cr_assert_eq(wire_unchunk(text + frame.head_len, frame.total_len - frame.head_len), 13);
	cr_assert_eq(memcmp(text + frame.head_len, "abc0123456789", 13), 0);
}

Test(wire, no_http)
{
	struct wire_frame frame;

	cr_assert_eq(wire_frame("SSH-2.0-x y z\r\n\r\n", 17, WIRE_REPLY, &frame), -1);
	cr_assert_eq(wire_frame("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 38, WIRE_REPLY, &frame), -1);
}

Test(peer, records_what_it_got)
{
	struct peer *peer = peer_start(NULL, 0);
	char url[PEER_TEXT];
	char value[PEER_TEXT];
	const char *const headers[] = {"X-Test: one", NULL};
	int64_t before_us = harness_mono_us();
	struct http_reply reply;
	struct peer_request request;

	http_do(
		&(struct http_call){
			.method = "PUT", .url = peer_url(peer, "/a?b", url), .headers = headers, .body = "{\"c\":1}"},
		&reply);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(peer_count(peer), 1);
	request = peer_request(peer, 0);
	cr_assert_str_eq(request.method, "PUT");
	cr_assert_str_eq(request.path, "/a?b");
	cr_assert_str_eq(request.body, "{\"c\":1}");
	cr_assert_str_eq(peer_header(&request, "x-TEST", value), "one");
	cr_assert_str_eq(peer_header(&request, "X-Tes", value), "");
	cr_assert(request.arrived_us >= before_us && request.arrived_us <= harness_mono_us());
	http_reply_release(&reply);
	peer_stop(peer);
}

Test(peer, plays_its_script_in_order)
{
	static const struct peer_step steps[] = {
		{.status = 500}, {.status = 429, .headers = "Retry-After: 2\r\n"}, {.status = 201}};
	struct peer *peer = peer_start(steps, 3);
	char value[HTTP_HEADER_MAX];
	struct http_reply reply;

	cr_assert_eq(status_of(peer, "{}", 0), 500);
	reply = call(peer, "{}", 0);
	cr_assert_eq(reply.status, 429);
	cr_assert_str_eq(http_reply_header(&reply, "Retry-After", value), "2");
	http_reply_release(&reply);
	cr_assert_eq(status_of(peer, "{}", 0), 201);
	cr_assert_eq(status_of(peer, "{}", 0), 201);
	peer_script(peer, (struct peer_step[]){{.status = 410}}, 1);
	cr_assert_eq(status_of(peer, "{}", 0), 410);
	cr_assert_eq(peer_count(peer), 5);
	peer_stop(peer);
}

static size_t swallow(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

Test(peer, faults)
{
	static const struct {
		struct peer_step step;
		CURLcode code;
	} faults[] = {
		{{.action = PEER_RESET}, CURLE_RECV_ERROR},
		{{.action = PEER_CLOSE}, CURLE_GOT_NOTHING},
		{{.action = PEER_SILENT}, CURLE_OPERATION_TIMEDOUT},
		{{.action = PEER_DRIP_HEADERS, .interval_ms = 20}, CURLE_OPERATION_TIMEDOUT},
		{{.action = PEER_DRIP_BODY, .interval_ms = 20}, CURLE_OPERATION_TIMEDOUT},
		{{.action = PEER_CUT_BODY}, CURLE_PARTIAL_FILE},
		{{.delay_ms = 5000}, CURLE_OPERATION_TIMEDOUT},
		{{.action = PEER_RESET, .before_request = true}, CURLE_RECV_ERROR},
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct peer *peer = peer_start(&faults[i].step, 1);
		CURL *easy = curl_easy_init();
		char url[PEER_TEXT];
		CURLcode code;

		curl_easy_setopt(easy, CURLOPT_URL, peer_url(peer, "/", url));
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 200L);
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
		code = curl_easy_perform(easy);
		/* a reset may strike while the request is still being sent */
		if (code == CURLE_SEND_ERROR)
			code = CURLE_RECV_ERROR;
		cr_assert_eq(code, faults[i].code, "fault %zu: %s", i, curl_easy_strerror(code));
		curl_easy_cleanup(easy);
		peer_stop(peer);
	}
}

Test(peer, endless_body)
{
	char failure[256];

	cr_assert_eq(outcome_of((struct peer_step){.action = PEER_ENDLESS_BODY}, 5000, failure), 0);
	cr_assert(strstr(failure, "writ") != NULL, "the client's own limit ends it: %s", failure);
}

Test(peer, garbage)
{
	char failure[256];

	cr_assert_eq(outcome_of((struct peer_step){.action = PEER_GARBAGE}, 1000, failure), 0);
	cr_assert(strstr(failure, "HTTP/0.9") != NULL, "%s", failure);
}

Test(peer, wait_ends_at_its_deadline)
{
	struct peer *peer = peer_start(NULL, 0);
	int64_t start_us = harness_mono_us();

	cr_assert_not(peer_wait(peer, 1, 50));
	cr_assert(harness_mono_us() - start_us >= 50000);
	cr_assert_eq(status_of(peer, "{}", 0), 200);
	cr_assert(peer_wait(peer, 1, 0));
	peer_stop(peer);
}

Test(peer, closed_port_refuses)
{
	char url[64];
	struct http_reply reply;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", closed_port());
	http_do(&(struct http_call){.url = url}, &reply);
	cr_assert_eq(reply.status, 0);
	cr_assert(strstr(reply.failure, "Failed to connect") != NULL || strstr(reply.failure, "refused") != NULL, "%s",
		reply.failure);
	http_reply_release(&reply);
}

struct mail_text {
	const char *at;
};

static size_t mail_read(char *bytes, size_t size, size_t count, void *arg)
{
	struct mail_text *text = arg;
	size_t len = strlen(text->at);

	len = len < size * count ? len : size * count;
	memcpy(bytes, text->at, len);
	text->at += len;
	return len;
}

/* Sends a mail to one or two recipients: libcurl's result, and the last reply code. */
static CURLcode mail_send(struct smtp_peer *peer, const char *to, const char *to_too, long *ret_reply)
{
	struct mail_text text = {"Subject: x\r\n\r\n.dot\r\nend\r\n"};
	struct curl_slist *recipients = curl_slist_append(NULL, to);
	CURL *easy = curl_easy_init();
	char url[SMTP_PEER_URL];
	CURLcode code;

	if (to_too != NULL)
		recipients = curl_slist_append(recipients, to_too);
	curl_easy_setopt(easy, CURLOPT_URL, smtp_peer_url(peer, url));
	curl_easy_setopt(easy, CURLOPT_MAIL_FROM, "auth@example.com");
	curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, mail_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, &text);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 500L);
	code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_reply);
	curl_easy_cleanup(easy);
	curl_slist_free_all(recipients);
	return code;
}

Test(smtp_peer, records_the_mail)
{
	struct smtp_peer *peer = smtp_peer_start(NULL, 0);
	struct smtp_mail mail;
	long reply;

	cr_assert_eq(mail_send(peer, "alice@example.com", "bob@example.com", &reply), CURLE_OK);
	cr_assert(smtp_peer_wait(peer, 1, 1000));
	mail = smtp_peer_mail(peer, 0);
	cr_assert_str_eq(mail.sender, "auth@example.com");
	cr_assert_eq(mail.recipient_count, 2);
	cr_assert_str_eq(mail.recipients[0], "alice@example.com");
	cr_assert_str_eq(mail.recipients[1], "bob@example.com");
	cr_assert_str_eq(mail.message, "Subject: x\r\n\r\n.dot\r\nend\r\n");
	cr_assert(mail.accepted);
	smtp_peer_stop(peer);
}

Test(smtp_peer, refuses_as_told)
{
	static const struct smtp_script scripts[] = {
		{.replies[SMTP_RCPT] = "550 5.1.1 no such user"},
		{.replies[SMTP_END_OF_DATA] = "451 4.3.0 later"},
		{.replies[SMTP_GREETING] = SMTP_PEER_DROP},
		{.replies[SMTP_MAIL] = SMTP_PEER_STALL},
		{.delay_ms[SMTP_GREETING] = 20},
	};
	struct smtp_peer *peer = smtp_peer_start(scripts, 5);
	long reply;

	cr_assert_eq(mail_send(peer, "alice@example.com", NULL, &reply), CURLE_SEND_ERROR);
	cr_assert_eq(reply, 550);
	cr_assert_eq(smtp_peer_count(peer), 0);
	cr_assert_neq(mail_send(peer, "alice@example.com", NULL, &reply), CURLE_OK);
	cr_assert_eq(reply, 451);
	cr_assert_not(smtp_peer_mail(peer, 0).accepted);
	cr_assert_neq(mail_send(peer, "alice@example.com", NULL, &reply), CURLE_OK);
	cr_assert_eq(mail_send(peer, "alice@example.com", NULL, &reply), CURLE_OPERATION_TIMEDOUT);
	cr_assert(smtp_peer_wait_stage(peer, SMTP_MAIL, 3, 1000));
	cr_assert_eq(mail_send(peer, "alice@example.com", NULL, &reply), CURLE_OK);
	cr_assert_eq(smtp_peer_connections(peer), 5);
	smtp_peer_stop(peer);
}
