#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "background/effects/effect.h"

static struct verdict judge(struct reply reply, bool mail)
{
	struct verdict verdict;

	if (!reply.body)
		reply.body = "";
	reply.body_len = strlen(reply.body);
	if (reply.retry_after_ms == 0)
		reply.retry_after_ms = -1;
	memset(&verdict, 0x5a, sizeof verdict);
	verdict_standard(&reply, mail, &verdict);
	cr_assert_lt(strnlen(verdict.reason, LIMIT_REASON), LIMIT_REASON);
	return verdict;
}

struct http_case {
	int from, to;
	enum verdict_kind kind;
	enum outcome outcome;
};

static const struct http_case http_cases[] = {
	{0, 0, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{100, 199, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{200, 299, VERDICT_OK, OUTCOME_OK},
	{300, 399, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{400, 400, VERDICT_DEAD, OUTCOME_PERMANENT},
	{401, 401, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{402, 402, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{403, 405, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{406, 406, VERDICT_DEAD, OUTCOME_PERMANENT},
	{407, 407, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{408, 408, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{409, 409, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{410, 410, VERDICT_GONE, OUTCOME_RETRYABLE},
	{411, 414, VERDICT_DEAD, OUTCOME_PERMANENT},
	{415, 415, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{416, 420, VERDICT_DEAD, OUTCOME_PERMANENT},
	{421, 421, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{422, 422, VERDICT_DEAD, OUTCOME_PERMANENT},
	{423, 425, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{426, 426, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{427, 428, VERDICT_DEAD, OUTCOME_PERMANENT},
	{429, 429, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{430, 450, VERDICT_DEAD, OUTCOME_PERMANENT},
	{451, 451, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{452, 499, VERDICT_DEAD, OUTCOME_PERMANENT},
	{500, 599, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{600, 999, VERDICT_RETRY, OUTCOME_RETRYABLE},
};

Test(verdict, every_http_status)
{
	for (size_t i = 0; i < sizeof http_cases / sizeof *http_cases; i++) {
		for (int status = http_cases[i].from; status <= http_cases[i].to; status++) {
			struct verdict verdict = judge((struct reply){.status = status}, false);

			cr_assert_eq(verdict.kind, http_cases[i].kind, "HTTP %d: %d", status, (int)verdict.kind);
			cr_assert_eq(verdict.outcome, http_cases[i].outcome, "HTTP %d", status);
		}
	}
}

Test(verdict, reasons_are_for_people)
{
	cr_assert_str_eq(judge((struct reply){.status = 503}, false).reason, "HTTP 503");
	cr_assert_str_eq(
		judge((struct reply){.status = 401}, false).reason, "HTTP 401: credentials missing or refused");
	cr_assert_str_eq(judge((struct reply){.status = 550, .body = "550 no such user\r\n"}, true).reason,
		"SMTP 550 no such user");
	cr_assert_str_eq(
		judge((struct reply){.status = 550, .body = "no such user"}, true).reason, "SMTP 550 no such user");
	cr_assert_str_eq(judge((struct reply){.transport = TRANSPORT_TIMEOUT}, true).reason, "time-out");
}

Test(verdict, a_peers_control_bytes_never_reach_a_reason)
{
	struct verdict verdict = judge((struct reply){.status = 450, .body = "450 a\x1b[31mb\tc\r\nd\x7f"}, true);

	cr_assert_str_eq(verdict.reason, "SMTP 450 a [31mb c  d");
}

Test(verdict, a_reason_is_utf_8_whatever_the_peer_speaks)
{
	struct verdict verdict = judge((struct reply){.status = 450, .body = "450 sp\xe4ter, \xc3\xa4h"}, true);

	cr_assert_str_eq(verdict.reason, "SMTP 450 sp?ter, \xc3\xa4h");
}

Test(verdict, a_long_reason_is_cut_between_characters)
{
	char text[2 * LIMIT_REASON + 1];
	struct verdict verdict;

	for (size_t i = 0; i < LIMIT_REASON; i++)
		memcpy(text + 2 * i, "\xc3\xa4", 2);
	text[2 * LIMIT_REASON] = '\0';
	for (size_t shift = 0; shift < 2; shift++) {
		verdict_own(VERDICT_RETRY, text + 2 * shift, &verdict);
		cr_assert_eq(strlen(verdict.reason), 198);
		text[2] = 'x'; /* now an odd number of bytes fits */
		text[3] = 'x';
		verdict_own(VERDICT_RETRY, text + 3, &verdict);
		cr_assert_eq(strlen(verdict.reason), 199);
		memcpy(text + 2, "\xc3\xa4", 2);
	}
}

Test(verdict, retry_after_goes_with_what_comes_again)
{
	cr_assert_eq(judge((struct reply){.status = 503, .retry_after_ms = 7000}, false).retry_after_ms, 7000);
	cr_assert_eq(judge((struct reply){.status = 429, .retry_after_ms = 1}, false).retry_after_ms, 1);
	cr_assert_eq(judge((struct reply){.status = 403, .retry_after_ms = 7000}, false).retry_after_ms, 7000);
	cr_assert_eq(judge((struct reply){.status = 503}, false).retry_after_ms, -1);
	cr_assert_eq(judge((struct reply){.status = 400, .retry_after_ms = 7000}, false).retry_after_ms, -1);
	cr_assert_eq(judge((struct reply){.status = 200, .retry_after_ms = 7000}, false).retry_after_ms, -1);
}

/* 429 and 503 are about us, whatever the request; another Retry-After is about the request that it answers. */
Test(verdict, retry_after_of_429_and_503_pauses_the_target)
{
	for (int status = 0; status <= 999; status++) {
		const bool pauses = status == 429 || status == 503;
		struct verdict told = judge((struct reply){.status = status, .retry_after_ms = 1}, false);
		struct verdict untold = judge((struct reply){.status = status}, false);

		cr_assert_eq(told.pauses_target, pauses, "HTTP %d", status);
		cr_assert_not(untold.pauses_target, "HTTP %d", status);
	}
	for (int after = 0; after < 2; after++) {
		struct reply reply = {.status = 421, .retry_after_ms = 5, .smtp_after_recipient = after};

		cr_assert_not(judge(reply, true).pauses_target);
	}
	cr_assert_not(judge((struct reply){.transport = TRANSPORT_TIMEOUT, .status = 503, .retry_after_ms = 5}, false)
			      .pauses_target);
}

/* Words of ours that people search for. */
Test(verdict, reasons_of_statuses)
{
	static const struct {
		int status;
		const char *reason;
	} rows[] = {
		{302, "HTTP 302: redirects are not followed"},
		{400, "HTTP 400: refused"},
		{402, "HTTP 402: payment required"},
		{403, "HTTP 403: not permitted"},
		{404, "HTTP 404: no such URL"},
		{405, "HTTP 405: this URL takes no such requests"},
		{407, "HTTP 407: a proxy wants credentials"},
		{409, "HTTP 409: in conflict with what the receiver has"},
		{410, "HTTP 410: gone for good"},
		{415, "HTTP 415: this URL takes no such content"},
		{423, "HTTP 423: locked"},
		{426, "HTTP 426: another protocol is wanted"},
		{429, "HTTP 429: too many requests"},
		{451, "HTTP 451: not available for legal reasons"},
		{500, "HTTP 500"},
		{101, "HTTP 101: not a final status"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_assert_str_eq(judge((struct reply){.status = rows[i].status}, false).reason, rows[i].reason);
	cr_assert_str_eq(
		judge((struct reply){.status = 354, .body = "354 go"}, true).reason, "SMTP 354 not a final reply");
}

struct transport_case {
	enum transport transport;
	enum verdict_kind kind;
	enum outcome outcome;
};

static const struct transport_case transport_cases[] = {
	{TRANSPORT_TIMEOUT, VERDICT_RETRY, OUTCOME_TIMEOUT},
	{TRANSPORT_CONNECT, VERDICT_RETRY, OUTCOME_CONNECT},
	{TRANSPORT_TLS, VERDICT_RETRY, OUTCOME_TLS},
	{TRANSPORT_DNS, VERDICT_RETRY, OUTCOME_DNS},
	{TRANSPORT_TOO_LARGE, VERDICT_TARGET, OUTCOME_RETRYABLE},
	{TRANSPORT_MALFORMED, VERDICT_RETRY, OUTCOME_RETRYABLE},
	{TRANSPORT_CERTIFICATE, VERDICT_TARGET, OUTCOME_TLS},
};

Test(verdict, every_failure_of_transport_whatever_the_status)
{
	for (size_t i = 0; i < sizeof transport_cases / sizeof *transport_cases; i++) {
		const struct transport_case *c = &transport_cases[i];

		for (int mail = 0; mail < 2; mail++) {
			struct reply reply = {.transport = c->transport, .status = 200, .retry_after_ms = 5};
			struct verdict verdict = judge(reply, mail);

			cr_assert_eq(verdict.kind, c->kind, "transport %d", (int)c->transport);
			cr_assert_eq(verdict.outcome, c->outcome, "transport %d", (int)c->transport);
			cr_assert_eq(verdict.retry_after_ms, -1);
			cr_assert_gt(strlen(verdict.reason), 0);
		}
	}
}

struct smtp_case {
	int status;
	bool after;
	const char *text;
	enum verdict_kind kind;
};

static const struct smtp_case smtp_cases[] = {
	{0, false, "", VERDICT_RETRY},
	{354, true, "354 go ahead", VERDICT_RETRY},
	{250, true, "250 2.0.0 queued", VERDICT_OK},
	{250, false, "250 ok", VERDICT_OK},
	{421, false, "421 4.3.2 shutting down", VERDICT_RETRY},
	{421, true, "421 shutting down", VERDICT_RETRY},
	{450, true, "450 4.2.1 greylisted", VERDICT_RETRY},
	{400, false, "400 odd", VERDICT_RETRY},
	{499, true, "499 odd", VERDICT_RETRY},
	{452, false, "452 4.3.1 insufficient storage", VERDICT_RETRY},
	{452, true, "452 4.3.4 too big, for now", VERDICT_RETRY},
	{451, true, "451 4.7.1 policy, later", VERDICT_RETRY},
	{452, true, "452 4.2.2 mailbox full", VERDICT_RETRY},
	{454, false, "454 4.7.0 temporary authentication failure", VERDICT_RETRY},
	/* before the recipient: the same for all, so the target */
	{554, false, "554 no SMTP service here", VERDICT_TARGET},
	{550, false, "550 access denied to you", VERDICT_TARGET},
	{502, false, "502 5.5.1 EHLO?", VERDICT_TARGET},
	{530, false, "530 5.7.0 authentication required", VERDICT_TARGET},
	{534, false, "534 5.7.9 mechanism too weak", VERDICT_TARGET},
	{535, false, "535 5.7.8 credentials invalid", VERDICT_TARGET},
	{538, false, "538 5.7.11 encryption required", VERDICT_TARGET},
	{553, false, "553 5.1.8 sender's domain does not exist", VERDICT_TARGET},
	{550, false, "550 5.1.1 odd, but about us", VERDICT_TARGET},
	{552, false, "552 5.3.4 message too big", VERDICT_DEAD}, /* MAIL with SIZE= */
	{550, false, "550 5.3.4 message too big", VERDICT_DEAD},
	{552, false, "552 message size exceeds fixed maximum", VERDICT_DEAD},
	{551, false, "551 not you", VERDICT_TARGET},
	{553, false, "553 5.2.1 odd, but about us", VERDICT_TARGET},
	/* the recipient or the message: the effect */
	{550, true, "550 no such user", VERDICT_DEAD},
	{550, true, "550 5.1.1 no such user", VERDICT_DEAD},
	{550, true, "550-5.1.1 no such user", VERDICT_DEAD},
	{550, true, "5.1.1 no such user", VERDICT_DEAD},
	{551, true, "551 5.1.6 has moved", VERDICT_DEAD},
	{552, true, "552 exceeded storage", VERDICT_DEAD},
	{552, true, "552 5.2.2 mailbox full", VERDICT_DEAD},
	{552, true, "552 5.3.4 message too big", VERDICT_DEAD},
	{553, true, "553 mailbox name not allowed", VERDICT_DEAD},
	{554, true, "554 transaction failed", VERDICT_DEAD},
	{554, true, "554 5.6.0 content refused", VERDICT_DEAD},
	{550, true, "550 5.4.4 no route", VERDICT_DEAD},
	{501, true, "501 5.1.3 bad syntax of address", VERDICT_DEAD},
	{501, true, "501 syntax", VERDICT_DEAD},
	{554, true, "554 5.0.0 failed", VERDICT_DEAD},
	{556, true, "556 5.1.10 domain accepts no mail", VERDICT_DEAD},
	{550, true, "550 5.1.0 address", VERDICT_DEAD},
	{554, true, "554 5.3.4 message too big", VERDICT_DEAD},
	{521, true, "521 5.1.1 no such user", VERDICT_DEAD}, /* the enhanced code goes before the reply code */
	{521, true, "521 5.2.1 mailbox disabled", VERDICT_DEAD},
	{530, true, "530 5.4.6 a loop", VERDICT_DEAD},
	{503, true, "503 5.6.1 media not supported", VERDICT_DEAD},
	{550, true, "550 5.7.2 you may not post to this list", VERDICT_DEAD},
	{550, true, "550 5.7.17 the mailbox has another owner", VERDICT_DEAD},
	{550, true, "550 5.7.18 the domain has another owner", VERDICT_DEAD},
	{554, true, "554 5.5.0 by the reply code", VERDICT_DEAD},
	/* policy, authentication and the system, also when said after RCPT */
	{550, true, "550 5.7.1 relaying denied", VERDICT_TARGET},
	{554, true, "554 5.7.1 service unavailable; client blocked", VERDICT_TARGET},
	{530, true, "530 authentication required", VERDICT_TARGET},
	{534, true, "534 stronger mechanism", VERDICT_TARGET},
	{535, true, "535 no", VERDICT_TARGET},
	{538, true, "538 encryption", VERDICT_TARGET},
	{550, true, "550 5.1.7 bad sender's mailbox", VERDICT_TARGET},
	{550, true, "550 5.1.8 bad sender's domain", VERDICT_TARGET},
	{554, true, "554 5.3.2 not accepting mail", VERDICT_TARGET},
	{500, true, "500 what?", VERDICT_TARGET},
	{502, true, "502 not implemented", VERDICT_TARGET},
	{503, true, "503 5.5.1 bad sequence", VERDICT_TARGET},
	{504, true, "504 parameter not implemented", VERDICT_TARGET},
	{521, true, "521 accepts no mail", VERDICT_TARGET},
	{523, true, "523 encryption needed", VERDICT_TARGET},
	{525, true, "525 account disabled", VERDICT_TARGET},
	{520, true, "520 not given out", VERDICT_DEAD},
	{526, true, "526 not given out", VERDICT_DEAD},
	{529, true, "529 not given out", VERDICT_DEAD},
	{532, true, "532 password expired", VERDICT_TARGET},
	{539, true, "539 not given out", VERDICT_DEAD},
	{555, true, "555 parameters not recognized", VERDICT_TARGET},
	{550, true, "550 5.3.0 system", VERDICT_TARGET},
	{550, true, "550 5.7.0 policy", VERDICT_TARGET},
	{550, true, "550 5.7.16 priority", VERDICT_TARGET},
	{550, true, "550 5.7.19 beyond", VERDICT_TARGET},
	/* an enhanced code of another class is none (RFC 2034) */
	{550, true, "550 4.7.1 contradictory", VERDICT_DEAD},
	/* what looks like a code further on is text */
	{550, true, "550 see 5.7.1", VERDICT_DEAD},
};

Test(verdict, every_smtp_row)
{
	for (size_t i = 0; i < sizeof smtp_cases / sizeof *smtp_cases; i++) {
		const struct smtp_case *c = &smtp_cases[i];
		struct reply reply = {.status = c->status, .body = c->text, .smtp_after_recipient = c->after};
		struct verdict verdict = judge(reply, true);

		cr_assert_eq(verdict.kind, c->kind, "%s (%s): %d", c->text, c->after ? "after" : "before",
			(int)verdict.kind);
	}
}

struct smtp_range {
	int from, to;
	enum verdict_kind before, after;
};

/* No enhanced code, or one that leaves the word to the reply code. */
static const struct smtp_range plain_codes[] = {
	{0, 199, VERDICT_RETRY, VERDICT_RETRY},
	{200, 299, VERDICT_OK, VERDICT_OK},
	{300, 499, VERDICT_RETRY, VERDICT_RETRY},
	{500, 500, VERDICT_TARGET, VERDICT_TARGET},
	{501, 501, VERDICT_TARGET, VERDICT_DEAD},
	{502, 504, VERDICT_TARGET, VERDICT_TARGET},
	{505, 520, VERDICT_TARGET, VERDICT_DEAD},
	{521, 525, VERDICT_TARGET, VERDICT_TARGET},
	{526, 529, VERDICT_TARGET, VERDICT_DEAD},
	{530, 538, VERDICT_TARGET, VERDICT_TARGET},
	{539, 551, VERDICT_TARGET, VERDICT_DEAD},
	{552, 552, VERDICT_DEAD, VERDICT_DEAD},
	{553, 554, VERDICT_TARGET, VERDICT_DEAD},
	{555, 555, VERDICT_TARGET, VERDICT_TARGET},
	{556, 599, VERDICT_TARGET, VERDICT_DEAD},
	{600, 999, VERDICT_RETRY, VERDICT_RETRY},
};

Test(verdict, every_smtp_code_alone)
{
	static const char *const texts[] = {"", "5.0.0 text", "5.5.1 text"};

	for (size_t i = 0; i < sizeof plain_codes / sizeof *plain_codes; i++) {
		const struct smtp_range *range = &plain_codes[i];

		for (int status = range->from; status <= range->to; status++) {
			for (size_t k = 0; k < 3; k++) {
				struct reply reply = {.status = status, .body = texts[k]};

				cr_assert_eq(judge(reply, true).kind, range->before, "SMTP %d before", status);
				reply.smtp_after_recipient = true;
				cr_assert_eq(judge(reply, true).kind, range->after, "SMTP %d after", status);
			}
		}
	}
}

/* After the recipient the enhanced code says it, whatever reply code comes with it. */
Test(verdict, every_smtp_subject_with_every_code)
{
	static const struct {
		const char *text;
		enum verdict_kind kind;
	} rows[] = {
		{"5.1.1", VERDICT_DEAD},
		{"5.1.6", VERDICT_DEAD},
		{"5.1.7", VERDICT_TARGET},
		{"5.1.8", VERDICT_TARGET},
		{"5.1.9", VERDICT_DEAD},
		{"5.2.0", VERDICT_DEAD},
		{"5.2.2", VERDICT_DEAD},
		{"5.3.0", VERDICT_TARGET},
		{"5.3.2", VERDICT_TARGET},
		{"5.3.4", VERDICT_DEAD},
		{"5.3.5", VERDICT_TARGET},
		{"5.4.4", VERDICT_DEAD},
		{"5.6.0", VERDICT_DEAD},
		{"5.7.1", VERDICT_TARGET},
		{"5.7.2", VERDICT_DEAD},
		{"5.7.3", VERDICT_TARGET},
		{"5.7.16", VERDICT_TARGET},
		{"5.7.17", VERDICT_DEAD},
		{"5.7.18", VERDICT_DEAD},
		{"5.7.26", VERDICT_TARGET},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (int status = 500; status <= 599; status++) {
			struct reply reply = {.status = status, .body = rows[i].text, .smtp_after_recipient = true};

			cr_assert_eq(judge(reply, true).kind, rows[i].kind, "%d %s", status, rows[i].text);
		}
	}
	for (int status = 400; status <= 499; status++) {
		struct reply reply = {.status = status, .body = "4.7.1 later", .smtp_after_recipient = true};
		char reason[LIMIT_REASON];

		snprintf(reason, sizeof reason, "SMTP %d 4.7.1 later", status);
		cr_assert_str_eq(judge(reply, true).reason, reason);
	}
}

Test(verdict, all_smtp_codes_end)
{
	for (int status = 0; status <= 999; status++) {
		for (int after = 0; after < 2; after++) {
			struct verdict v = judge((struct reply){.status = status, .smtp_after_recipient = after}, true);

			cr_assert_eq(v.outcome == OUTCOME_PERMANENT, v.kind == VERDICT_DEAD, "SMTP %d", status);
			cr_assert_eq(v.outcome == OUTCOME_OK, status / 100 == 2, "SMTP %d", status);
		}
	}
}
