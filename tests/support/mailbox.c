#include "tests/support/mailbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/support/harness.h"

enum { POLL_MS = 5, WAIT_MS = 10000 };

static const char url_characters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%";

static bool is_for(const struct smtp_mail *mail, const char *address)
{
	if (!mail->accepted)
		return false;
	for (size_t i = 0; i < mail->recipient_count; i++) {
		if (strcasecmp(mail->recipients[i], address) == 0)
			return true;
	}
	return false;
}

size_t mailbox_count(struct smtp_peer *peer, const char *address)
{
	size_t mails = smtp_peer_count(peer), count = 0;

	for (size_t i = 0; i < mails && i < SMTP_PEER_MAILS; i++) {
		struct smtp_mail mail = smtp_peer_mail(peer, i);

		count += is_for(&mail, address);
	}
	return count;
}

bool mailbox_wait(struct smtp_peer *peer, const char *address, size_t count, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	while (mailbox_count(peer, address) < count) {
		if (harness_mono_us() >= until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
	return true;
}

static int digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at == NULL ? -1 : (int)(at - digits);
}

/* RFC 2045 6.7, in place: soft line breaks and =XX. What is none stays as it is. */
static void undo_quoted_printable(char *text)
{
	char *to = text;

	while (*text != '\0') {
		if (strncmp(text, "=\r\n", 3) == 0) {
			text += 3;
		} else if (*text == '=' && digit(text[1]) >= 0 && digit(text[2]) >= 0) {
			*to++ = (char)(digit(text[1]) << 4 | digit(text[2]));
			text += 3;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool has_subject(const char *message, const char *subject)
{
	const char *line = strstr(message, "Subject: ");
	const char *end = line == NULL ? NULL : strstr(line, "\r\n");
	const char *found = line == NULL ? NULL : strstr(line, subject);

	return found != NULL && end != NULL && found < end;
}

char *mailbox_latest(struct smtp_peer *peer, const char *address, const char *subject)
{
	size_t mails = smtp_peer_count(peer);

	for (size_t i = mails < SMTP_PEER_MAILS ? mails : SMTP_PEER_MAILS; i > 0; i--) {
		struct smtp_mail mail = smtp_peer_mail(peer, i - 1);
		char *text;

		if (!is_for(&mail, address) || (subject != NULL && !has_subject(mail.message, subject)))
			continue;
		text = strdup(mail.message);
		if (text == NULL)
			harness_fail("out of memory");
		undo_quoted_printable(text);
		return text;
	}
	return NULL;
}

char *mailbox_await(struct smtp_peer *peer, const char *address, const char *subject, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;

	for (;;) {
		char *text = mailbox_latest(peer, address, subject);

		if (text != NULL || harness_mono_us() >= until_us)
			return text;
		harness_sleep_ms(POLL_MS);
	}
}

bool mailbox_url(struct smtp_peer *peer, const char *address, const char *subject, char ret_url[MAILBOX_URL])
{
	char *text = mailbox_await(peer, address, subject, WAIT_MS);
	const char *mark = text == NULL ? NULL : strstr(text, "#token=");
	const char *start = mark;
	size_t len = 0;

	/* the link is on a line of its own, or in quotes: it begins behind what no URL has */
	while (start != NULL && start > text && strchr(url_characters, start[-1]) != NULL)
		start--;
	if (start != NULL)
		len = strspn(start, url_characters);
	if (len > 0 && len < MAILBOX_URL)
		snprintf(ret_url, MAILBOX_URL, "%.*s", (int)len, start);
	free(text);
	return len > 0 && len < MAILBOX_URL;
}

bool mailbox_token(struct smtp_peer *peer, const char *address, const char *subject, char ret_token[MAILBOX_TOKEN])
{
	char url[MAILBOX_URL];
	const char *token;

	if (!mailbox_url(peer, address, subject, url))
		return false;
	token = strstr(url, "#token=") + strlen("#token=");
	snprintf(ret_token, MAILBOX_TOKEN, "%s", token);
	return strlen(token) < MAILBOX_TOKEN;
}
