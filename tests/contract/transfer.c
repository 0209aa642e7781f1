/*
 * One handle for one transfer after another: each is as if the handle were new, whatever the one before was told, got
 * or came to.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/transfer.h"
#include "config/clock.h"
#include "tests/support/peer.h"
#include "tests/support/smtp_peer.h"

enum { TIMEOUT_MS = 3000 };

static CURLM *multi;
static struct transfer *transfer;
static struct peer *peer;
static char url[PEER_TEXT];
static struct effect_config config;

static void setup(void)
{
	clock_start();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	transfer = transfer_new();
	peer = peer_start(NULL, 0);
	config = (struct effect_config){
		.name = "bus", .timeout_ms = TIMEOUT_MS, .connect_timeout_ms = TIMEOUT_MS, .url = url};
	peer_url(peer, "/configured", url);
	cr_assert(multi != NULL && transfer != NULL);
}

static void teardown(void)
{
	transfer_free(transfer);
	curl_multi_cleanup(multi);
	peer_stop(peer);
}

TestSuite(transfer, .init = setup, .fini = teardown, .timeout = 30);

/* The request of the next transfer, with a header and a body. */
static struct request *make(const char *method, const char *header, const char *body)
{
	struct request *request = transfer_request(transfer);

	request->method = method;
	if (header)
		cr_assert_eq(request_add_header(request, "X-Own", header), 0);
	buf_append_text(&request->body, body);
	return request;
}

/* The texts of the reply live until transfer_clear. */
static struct reply run(const struct effect_config *of)
{
	struct reply reply = {.status = -1};
	CURLMsg *message = NULL;
	int running = 1, left;

	cr_assert_eq(transfer_begin(transfer, of, multi, &reply), 0);
	while (message == NULL) {
		cr_assert_eq(curl_multi_perform(multi, &running), CURLM_OK);
		message = curl_multi_info_read(multi, &left);
		if (message == NULL)
			(void)curl_multi_poll(multi, NULL, 0, 100, NULL);
	}
	cr_assert_eq(transfer_of(message->easy_handle), transfer);
	cr_assert_eq(transfer_owner(transfer), &reply);
	transfer_end(transfer, message->data.result, clock_now_ms(), &reply);
	return reply;
}

/* A plain one, with its checks: nothing is seen in it of what was before. */
static void run_plain(size_t number)
{
	char value[PEER_TEXT];

	make("POST", NULL, "{}");
	struct reply reply = run(&config);
	cr_assert_eq(reply.transport, TRANSPORT_REPLY, "%s", transfer_error(transfer));
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(reply.retry_after_ms, -1);
	cr_assert_str_eq(transfer_error(transfer), "");
	cr_assert_not(transfer_left_resolver(transfer));
	struct peer_request got = peer_request(peer, number);
	cr_assert_str_eq(got.method, "POST");
	cr_assert_str_eq(got.path, "/configured");
	cr_assert_str_eq(got.body, "{}");
	cr_assert_str_eq(peer_header(&got, "X-Own", value), "");
	cr_assert_str_eq(peer_header(&got, "Authorization", value), "");
	cr_assert_str_eq(peer_header(&got, "Expect", value), "");
	cr_assert_str_eq(peer_header(&got, "Content-Length", value), "2");
	transfer_clear(transfer);
}

Test(transfer, of_an_own_url_a_method_headers_and_a_body_nothing_stays)
{
	char own[PEER_TEXT], value[PEER_TEXT];

	run_plain(0);
	struct request *request = make("PATCH", "secret", "{\"longer\":\"than what comes next\"}");
	request->url = strdup(peer_url(peer, "/own?with=query", own));
	cr_assert_eq(request_add_header(request, "Authorization", "Bearer abc"), 0);
	cr_assert_eq(run(&config).status, 200);
	struct peer_request got = peer_request(peer, 1);
	cr_assert_str_eq(got.method, "PATCH");
	cr_assert_str_eq(got.path, "/own?with=query");
	cr_assert_str_eq(got.body, "{\"longer\":\"than what comes next\"}");
	cr_assert_str_eq(peer_header(&got, "X-Own", value), "secret");
	transfer_clear(transfer);
	run_plain(2);
	run_plain(3);
	cr_assert(peer_connections(peer) == 1, "one connection carries them all");
}

Test(transfer, of_a_reply_nothing_stays)
{
	struct peer_step steps[] = {
		{.status = 429, .headers = "Retry-After: 7\r\n", .body = "a long text of a refusal"},
		{.status = 200, .body = "x"}};

	peer_script(peer, steps, 2);
	make("POST", "one", "{\"a\":1}");
	struct reply reply = run(&config);
	cr_assert_eq(reply.status, 429);
	cr_assert_eq(reply.retry_after_ms, 7000);
	cr_assert_str_eq(reply.body, "a long text of a refusal");
	transfer_clear(transfer);
	make("POST", NULL, "{}");
	reply = run(&config);
	cr_assert_eq(reply.status, 200);
	cr_assert_eq(reply.retry_after_ms, -1);
	cr_assert_str_eq(reply.body, "x");
	cr_assert_eq(reply.body_len, 1);
	transfer_clear(transfer);
}

/* Each way to fail, and then one that works. On a new connection each: on an old one curl tries once more by itself. */
Test(transfer, of_a_failure_nothing_stays)
{
	static const enum peer_action bad[] = {PEER_RESET, PEER_CLOSE, PEER_CUT_BODY, PEER_ENDLESS_BODY, PEER_GARBAGE};
	size_t number = 0;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct peer_step steps[] = {{.action = bad[i]}, {.status = 200, .close = true}};

		peer_script(peer, steps, 2);
		make("PATCH", "one", "{\"a\":1}");
		struct reply reply = run(&config);
		cr_assert_neq(reply.transport, TRANSPORT_REPLY, "case %zu", i);
		transfer_clear(transfer);
		run_plain(++number);
		number++;
	}
}

Test(transfer, where_nobody_listens_no_status_of_before_is_told)
{
	struct effect_config nowhere = config;
	char closed[PEER_TEXT];
	struct peer *gone = peer_start(NULL, 0);

	peer_url(gone, "/", closed);
	peer_stop(gone);
	nowhere.url = closed;
	run_plain(0);
	make("POST", NULL, "{}");
	struct reply reply = run(&nowhere);
	cr_assert_eq(reply.transport, TRANSPORT_CONNECT);
	cr_assert_eq(reply.status, 0);
	cr_assert_eq(reply.body_len, 0);
	cr_assert_not(transfer_reused(transfer));
	cr_assert_not_null(strstr(transfer_error(transfer), "127.0.0.1"));
	transfer_clear(transfer);
	run_plain(1);
}

/* A handle may go from one target to another: then it has the options of the second, and none of the first. */
Test(transfer, another_configuration_counts_from_its_first_transfer_on)
{
	struct peer_step silent[] = {{.status = 200}, {.action = PEER_SILENT}};
	struct effect_config hasty = config;
	char other[PEER_TEXT];

	hasty.timeout_ms = 100;
	hasty.url = other;
	peer_url(peer, "/other", other);
	peer_script(peer, silent, 2);
	run_plain(0);
	make("POST", NULL, "{}");
	struct reply reply = run(&hasty);
	cr_assert_eq(reply.transport, TRANSPORT_TIMEOUT);
	cr_assert_str_eq(peer_request(peer, 1).path, "/other");
	transfer_clear(transfer);
	peer_script(peer, NULL, 0);
	run_plain(2);
}

Test(transfer, what_is_broken_off_leaves_nothing)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	int running, owner;

	peer_script(peer, silent, 1);
	make("PATCH", "one", "{\"a\":1}");
	cr_assert_eq(transfer_begin(transfer, &config, multi, &owner), 0);
	for (int i = 0; i < 100 && peer_count(peer) == 0; i++) {
		cr_assert_eq(curl_multi_perform(multi, &running), CURLM_OK);
		(void)curl_multi_poll(multi, NULL, 0, 20, NULL);
	}
	transfer_abort(transfer);
	transfer_clear(transfer);
	peer_script(peer, NULL, 0);
	run_plain(1);
}

/* The request of the next mail. */
static struct request *make_mail(const char *recipient, const char *subject, const char *text)
{
	struct request *request = transfer_request(transfer);

	request->sender = strdup("auth@example.com");
	request->recipient = strdup(recipient);
	cr_assert_eq(request_add_header(request, "Subject", subject), 0);
	buf_append_text(&request->text, text);
	return request;
}

static struct reply send_mail(const struct effect_config *of)
{
	const atomic_bool stop = false;
	struct reply reply;

	cr_assert_eq(transfer_begin(transfer, of, NULL, NULL), 0);
	transfer_end(transfer, transfer_perform(transfer, &stop), clock_now_ms(), &reply);
	return reply;
}

static void mail(const struct effect_config *of, const char *recipient, const char *subject, const char *text)
{
	make_mail(recipient, subject, text);
	cr_assert_eq(send_mail(of).status, 250);
	transfer_clear(transfer);
}

static struct smtp_peer *open_office(char url_of[SMTP_PEER_URL], struct effect_config *ret_config)
{
	struct smtp_peer *server = smtp_peer_start(NULL, 0);

	*ret_config = config;
	ret_config->url = (char *)(uintptr_t)smtp_peer_url(server, url_of);
	return server;
}

/* Of a message's own head: what follows "boundary=". */
static const char *boundary(const char *message, char ret_boundary[PEER_TEXT])
{
	const char *at = strstr(message, "Content-Type: multipart/alternative; boundary=");
	size_t len;

	cr_assert_not_null(at);
	cr_assert_lt(at, strstr(message, "\r\n\r\n"));
	at = strchr(at, '=') + 1;
	len = strcspn(at, "\r");
	cr_assert(len > 20 && len < PEER_TEXT);
	memcpy(ret_boundary, at, len);
	ret_boundary[len] = '\0';
	return ret_boundary;
}

static size_t occurrences(const char *text, const char *what)
{
	size_t count = 0;

	for (text = strstr(text, what); text; text = strstr(text + 1, what))
		count++;
	return count;
}

Test(transfer, a_mail_is_one_multipart_of_alternatives)
{
	char mail_url[SMTP_PEER_URL], between[PEER_TEXT];
	struct effect_config of;
	struct smtp_peer *server = open_office(mail_url, &of);
	struct request *request = make_mail("alice@example.com", "Hello", "as text = \xc3\xa4");

	buf_append_text(&request->html, "<p>as HTML");
	cr_assert_eq(send_mail(&of).status, 250);
	transfer_clear(transfer);
	const char *message = smtp_peer_mail(server, 0).message, *text = strstr(message, "as text =3D =C3=A4\r\n"),
		   *html = strstr(message, "<p>as HTML\r\n");
	boundary(message, between);
	cr_assert(text != NULL && html != NULL && text < html, "%s", message);
	cr_assert_eq(occurrences(message, between), 4, "its name, before each part, and at the end: %s", message);
	cr_assert_eq(occurrences(message, "multipart/"), 1);
	cr_assert_eq(occurrences(message, "Mime-Version: 1.0\r\n"), 1);
	cr_assert_eq(occurrences(message, "Content-Type: text/plain; charset=utf-8\r\n"), 1);
	cr_assert_eq(occurrences(message, "Content-Type: text/html; charset=utf-8\r\n"), 1);
	cr_assert_eq(occurrences(message, "Content-Transfer-Encoding: quoted-printable\r\n"), 2);
	smtp_peer_stop(server);
}

/* Nor the boundary: who knew that of another's mail could end a part of it with a value of his own. */
Test(transfer, of_a_mail_nothing_is_in_the_next_one_on_the_same_connection)
{
	char mail_url[SMTP_PEER_URL], first_boundary[PEER_TEXT], second_boundary[PEER_TEXT];
	struct effect_config of;
	struct smtp_peer *server = open_office(mail_url, &of);
	struct request *request = make_mail("alice@example.com", "for Alice", "her link, and a long text with it");

	buf_append_text(&request->html, "<p>her link</p>");
	cr_assert_eq(request_add_header(request, "List-Unsubscribe", "<mailto:alice-leaves@example.com>"), 0);
	free(request->sender);
	request->sender = strdup("alice-only@example.com");
	cr_assert_eq(send_mail(&of).status, 250);
	transfer_clear(transfer);
	mail(&of, "bob@example.com", "for Bob", "his link");
	struct smtp_mail first = smtp_peer_mail(server, 0), second = smtp_peer_mail(server, 1);
	cr_assert_str_eq(first.sender, "alice-only@example.com");
	cr_assert_not_null(strstr(first.message, "List-Unsubscribe"));
	cr_assert_eq(second.recipient_count, 1);
	cr_assert_str_eq(second.recipients[0], "bob@example.com");
	cr_assert_str_eq(second.sender, "auth@example.com");
	cr_assert_null(strstr(second.message, "Alice"));
	cr_assert_null(strstr(second.message, "her link"));
	cr_assert_null(strstr(second.message, "List-Unsubscribe"));
	cr_assert_null(strstr(second.message, "text/html"));
	cr_assert_not_null(strstr(second.message, "his link"));
	cr_assert_neq(strcmp(boundary(first.message, first_boundary), boundary(second.message, second_boundary)), 0);
	cr_assert_eq(smtp_peer_connections(server), 1);
	smtp_peer_stop(server);
}

Test(transfer, of_a_refused_mail_nothing_is_in_the_next_one)
{
	const struct smtp_script scripts[] = {{.replies[SMTP_RCPT] = "550 5.1.1 no such user"},
		{.replies[SMTP_END_OF_DATA] = "554 5.6.0 not this one"}, {.replies[SMTP_GREETING] = "421 4.3.2 later"},
		{.replies = {NULL}}};
	static const int statuses[] = {550, 554, 421};
	char mail_url[SMTP_PEER_URL];
	struct effect_config of;
	struct smtp_peer *server = open_office(mail_url, &of);

	smtp_peer_script(server, scripts, sizeof scripts / sizeof *scripts);
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		make_mail("alice@example.com", "for Alice", "her link");
		struct reply reply = send_mail(&of);
		cr_assert_eq(reply.status, statuses[i], "case %zu: %d", i, reply.status);
		cr_assert_eq(reply.smtp_after_recipient, statuses[i] != 421);
		transfer_clear(transfer);
	}
	mail(&of, "bob@example.com", "for Bob", "his link");
	struct smtp_mail last = smtp_peer_mail(server, smtp_peer_count(server) - 1);
	cr_assert_str_eq(last.recipients[0], "bob@example.com");
	cr_assert_eq(last.recipient_count, 1);
	cr_assert_null(strstr(last.message, "Alice"));
	smtp_peer_stop(server);
}

Test(transfer, where_no_mail_server_listens_no_reply_of_before_is_told)
{
	char mail_url[SMTP_PEER_URL], closed[SMTP_PEER_URL];
	struct effect_config of, nowhere;
	struct smtp_peer *server = open_office(mail_url, &of), *gone = open_office(closed, &nowhere);

	smtp_peer_stop(gone);
	mail(&of, "alice@example.com", "for Alice", "her link");
	make_mail("alice@example.com", "for Alice", "her link");
	struct reply reply = send_mail(&nowhere);
	cr_assert_eq(reply.transport, TRANSPORT_CONNECT);
	cr_assert_eq(reply.status, 0);
	cr_assert_eq(reply.body_len, 0);
	cr_assert_not(reply.smtp_after_recipient);
	cr_assert_not(transfer_reused(transfer));
	transfer_clear(transfer);
	mail(&of, "bob@example.com", "for Bob", "his link");
	cr_assert_eq(smtp_peer_count(server), 2);
	smtp_peer_stop(server);
}

Test(transfer, mails_and_requests_have_nothing_of_each_other)
{
	char mail_url[SMTP_PEER_URL];
	struct effect_config of;
	struct smtp_peer *server = open_office(mail_url, &of);

	mail(&of, "alice@example.com", "for Alice", "her link");
	run_plain(0);
	mail(&of, "bob@example.com", "for Bob", "his link");
	run_plain(1);
	cr_assert_str_eq(smtp_peer_mail(server, 1).recipients[0], "bob@example.com");
	cr_assert_eq(smtp_peer_mail(server, 1).recipient_count, 1);
	smtp_peer_stop(server);
}
