/*
 * curl makes the MIME structure and the bodies; the headers above them are ours, one line each. RFC 2047 wants a
 * line with encoded-words to be folded at 76 characters. A fold is a CR LF within a header value, and refusing
 * those everywhere, without exception, is worth more: long subjects stay on one line, which RFC 5322
 * allows up to 998 characters.
 */
#include "background/effects/mail.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/clock.h"

enum { LOCAL_MAX = 64, LABEL_MAX = 63 }; /* RFC 5321 4.5.3.1.1, RFC 1035 2.3.4 */

/* An encoded-word is at most 75 characters, "=?UTF-8?B?" and "?=" included: 60 of base64, 45 bytes. */
enum { WORD_BYTES = 45, WORD_TEXT = sodium_base64_ENCODED_LEN(WORD_BYTES, sodium_base64_VARIANT_ORIGINAL) };

static bool local_valid(const char *local, size_t len)
{
	static const char dot_string[] = "!#$%&'*+-/=?^_`{|}~."
					 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return len > 0 && len <= LOCAL_MAX && strspn(local, dot_string) == len;
}

/* "[127.0.0.1]", "[IPv6:::1]" */
static bool literal_valid(const char *domain)
{
	const size_t len = strlen(domain);

	return len >= 4 && domain[0] == '[' && domain[len - 1] == ']' &&
	       strspn(domain + 1, "0123456789abcdefABCDEFIPv.:") == len - 2;
}

static bool domain_valid(const char *domain)
{
	size_t label = 0;

	for (const char *c = domain; *c; c++) {
		const unsigned char byte = (unsigned char)*c;

		if (byte == '.' && label > 0 && c[-1] != '-')
			label = 0;
		else if ((byte < 0x80 && isalnum(byte)) || (byte == '-' && label > 0))
			label++;
		else
			return false;
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0 && domain[strlen(domain) - 1] != '-';
}

bool mail_address_valid(const char *address)
{
	const char *at = strchr(address, '@');

	if (!at || strlen(address) > LIMIT_EMAIL)
		return false;
	return local_valid(address, (size_t)(at - address)) && (domain_valid(at + 1) || literal_valid(at + 1));
}

const char *mail_address_domain(const char *address)
{
	return strchr(address, '@') + 1;
}

/* Text that looks like an encoded-word must be encoded too, or it would be decoded at the other end. */
static bool plain(const char *subject)
{
	for (const char *c = subject; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			return false;
	}
	return strstr(subject, "=?") == NULL;
}

/* Bytes of `text` that go into the next word: whole characters only (RFC 2047 5). */
static size_t word_len(const char *text)
{
	size_t len = strnlen(text, WORD_BYTES);

	while (text[len] && len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void encode(struct buf *out, const char *subject)
{
	char word[WORD_TEXT];

	while (*subject) {
		const size_t len = word_len(subject);

		sodium_bin2base64(
			word, sizeof word, (const unsigned char *)subject, len, sodium_base64_VARIANT_ORIGINAL);
		/* the space between two encoded-words is not shown */
		buf_printf(out, "%s=?UTF-8?B?%s?=", out->len > 0 ? " " : "", word);
		subject += len;
	}
}

/* Encoding would hide a line break from the check of header values. */
static bool one_line(const char *subject)
{
	for (const char *c = subject; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	return true;
}

/* The name, without blanks around it and the quotes that it may have (RFC 5322 3.2.4). */
static void copy_name(char ret_name[LIMIT_MAILBOX + 1], const char *text, size_t len)
{
	size_t used = 0;

	while (len > 0 && text[len - 1] == ' ')
		len--;
	for (; len > 0 && *text == ' '; text++)
		len--;
	const bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';

	for (size_t i = quoted ? 1 : 0; i < len - (quoted ? 1 : 0); i++) {
		if (quoted && text[i] == '\\' && i + 2 < len)
			i++;
		ret_name[used++] = text[i];
	}
	ret_name[used] = '\0';
}

bool mail_mailbox_parse(const char *text, struct mailbox *ret_mailbox)
{
	const size_t len = strlen(text);
	const char *open = strrchr(text, '<');
	const bool named = open && open != text && text[len - 1] == '>';
	const char *address = named ? open + 1 : text;
	const size_t address_len = named ? len - (size_t)(address - text) - 1 : len;
	struct mailbox mailbox = {.name = ""};

	if (address_len > LIMIT_EMAIL || len > LIMIT_MAILBOX || !one_line(text))
		return false;
	memcpy(mailbox.address, address, address_len);
	if (!mail_address_valid(mailbox.address))
		return false;
	if (named)
		copy_name(mailbox.name, text, (size_t)(open - text));
	*ret_mailbox = mailbox;
	return true;
}

/* RFC 5322 3.2.3; blanks are between atoms. */
static bool atoms(const char *name)
{
	static const char atext[] = "!#$%&'*+-/=?^_`{|}~ "
				    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return name[strspn(name, atext)] == '\0';
}

static void quote(struct buf *out, const char *name)
{
	buf_append(out, "\"", 1);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			buf_append(out, "\\", 1);
		buf_append(out, name, 1);
	}
	buf_append(out, "\"", 1);
}

int mail_add_from(struct request *request, const struct mailbox *from)
{
	struct buf value;
	int err;

	buf_init(&value, LIMIT_MAIL_LINE - strlen("From: "));
	if (!plain(from->name))
		encode(&value, from->name);
	else if (!atoms(from->name))
		quote(&value, from->name);
	else
		buf_append_text(&value, from->name);
	buf_printf(&value, *from->name ? " <%s>" : "%s", from->address);
	err = buf_error(&value);
	if (!err)
		err = request_add_header(request, "From", value.data);
	buf_release(&value);
	return err;
}

int mail_add_subject(struct request *request, const char *subject)
{
	struct buf value;
	int err;

	if (!one_line(subject))
		return ERR_INVALID;
	buf_init(&value, LIMIT_MAIL_LINE - strlen("Subject: "));
	if (plain(subject))
		buf_append_text(&value, subject);
	else
		encode(&value, subject);
	err = buf_error(&value);
	if (!err)
		err = request_add_header(request, "Subject", value.data);
	buf_release(&value);
	return err;
}

void mail_date(char ret_date[MAIL_DATE_SIZE], int64_t ms)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const time_t seconds = (time_t)(ms / 1000);
	char text[RFC3339_SIZE]; /* 2026-01-02T03:04:05.678Z */
	struct tm utc = {0};

	/* of what strftime could do: it asks for /etc/localtime each time */
	(void)gmtime_r(&seconds, &utc);
	clock_rfc3339(text, ms);
	memcpy(ret_date, "Day, 00 Mon 0000 00:00:00 +0000", sizeof "Day, 00 Mon 0000 00:00:00 +0000");
	memcpy(ret_date, days + (ptrdiff_t)3 * utc.tm_wday, 3);
	memcpy(ret_date + 5, text + 8, 2);
	memcpy(ret_date + 8, months + (ptrdiff_t)3 * utc.tm_mon, 3);
	memcpy(ret_date + 12, text, 4);
	memcpy(ret_date + 17, text + 11, 8);
}
