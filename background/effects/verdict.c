/*
 * What a reply means: the one table for HTTP, SMTP and failures of transport.
 *
 * A verdict condemns the right thing. The effect, if the same request would be refused again while others pass:
 * dead at once. The target, if every request would be refused: effects wait for someone to mend it, so
 * that one expired key does not dead-letter everything. Nothing, if time may mend it: tried again.
 *
 * Rows are looked at in order; the first that fits holds.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "background/effects/effect.h"
#include "config/utf8.h"

/* What a Retry-After is about: the request, or all that we send there. */
enum extent { ONE, ALL };

struct http_rule {
	int from, to; /* status */
	enum verdict_kind kind;
	enum extent retry_after;
	const char *note;
};

/* clang-format off */

/*
 * 409: whoever keeps Idempotency-Key (draft-ietf-httpapi-idempotency-key-header 2.7) answers so while it still works on
 * an attempt that we gave up waiting for. A dead letter then would be wrong if that one fails; other conflicts end at
 * max_attempts.
 */
/* Statuses: RFC 9110 15, RFC 4918 11 (422 to 424), RFC 6585 (428 to 431), RFC 7725 (451), RFC 8470 (425). */
static const struct http_rule http_rules[] = {
	{200, 299, VERDICT_OK,     ONE, ""},
	{300, 399, VERDICT_TARGET, ONE, "redirects are not followed"}, /* a credential goes where it was configured to go */
	{401, 401, VERDICT_TARGET, ONE, "credentials missing or refused"},
	{402, 402, VERDICT_RETRY,  ONE, "payment required"}, /* in use for quotas that fill up again */
	{403, 403, VERDICT_TARGET, ONE, "not permitted"},
	{404, 404, VERDICT_TARGET, ONE, "no such URL"}, /* the URL is the same for all */
	{405, 405, VERDICT_TARGET, ONE, "this URL takes no such requests"}, /* and all of ours are alike */
	{407, 407, VERDICT_TARGET, ONE, "a proxy wants credentials"},
	{408, 408, VERDICT_RETRY,  ONE, ""},
	{409, 409, VERDICT_RETRY,  ONE, "in conflict with what the receiver has"}, /* perhaps our earlier attempt, see below */
	{410, 410, VERDICT_GONE,   ONE, "gone for good"},
	{415, 415, VERDICT_TARGET, ONE, "this URL takes no such content"},
	{421, 421, VERDICT_RETRY,  ONE, ""}, /* the wrong connection, not the wrong request */
	{423, 423, VERDICT_RETRY,  ONE, "locked"},
	{424, 424, VERDICT_RETRY,  ONE, ""},
	{425, 425, VERDICT_RETRY,  ONE, ""},
	{426, 426, VERDICT_TARGET, ONE, "another protocol is wanted"},
	{429, 429, VERDICT_RETRY,  ALL, "too many requests"},
	{451, 451, VERDICT_TARGET, ONE, "not available for legal reasons"},
	/* 400, 406, 411 to 418, 422, 428, 431 and those not given out yet: about this request */
	{400, 499, VERDICT_DEAD,   ONE, "refused"},
	{503, 503, VERDICT_RETRY,  ALL, ""},
	{500, 599, VERDICT_RETRY,  ONE, ""},
	/* 1xx, and what is none */
	{INT_MIN, INT_MAX, VERDICT_RETRY, ONE, "not a final status"},
};

enum smtp_stage { ANY_STAGE, BEFORE_RECIPIENT, AFTER_RECIPIENT };

struct smtp_rule {
	enum smtp_stage stage; /* what the code answered */
	int from, to;	       /* reply code */
	int subject; /* of the enhanced status code, class.SUBJECT.detail (RFC 3463); -1: any, or none given */
	int detail;  /* -1: any */
	enum verdict_kind kind;
	const char *note; /* "": the peer's own words */
};

/*
 * Codes: RFC 5321 4.2.3, RFC 1870 (552), RFC 4954 (authentication), RFC 7504 (521, 556). Subjects of RFC 3463: 1
 * address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 security and policy; details by the IANA registry
 * of them.
 *
 * The class of the reply decides whether it is for good: RFC 3463 wants a full mailbox (X.2.2) to be a persistent
 * transient failure, 452 or 4.2.2; a server that says 552 5.2.2 all the same is taken at its word.
 */
static const struct smtp_rule smtp_rules[] = {
	{ANY_STAGE,        200, 299, -1, -1, VERDICT_OK,     ""},
	{ANY_STAGE,        400, 499, -1, -1, VERDICT_RETRY,  ""}, /* 421 and 454 too */
	/* greeting, EHLO, STARTTLS, AUTH, MAIL: the same for all, but for the size that MAIL says */
	{ANY_STAGE,        500, 599,  3,  4, VERDICT_DEAD,   ""}, /* too big for the system: this message */
	{BEFORE_RECIPIENT, 552, 552, -1, -1, VERDICT_DEAD,   ""}, /* the same without an enhanced code */
	{BEFORE_RECIPIENT, 500, 599, -1, -1, VERDICT_TARGET, ""},
	/* with an enhanced status code */
	{AFTER_RECIPIENT,  500, 599,  1,  7, VERDICT_TARGET, ""}, /* bad sender's mailbox: it is in the configuration */
	{AFTER_RECIPIENT,  500, 599,  1,  8, VERDICT_TARGET, ""}, /* bad sender's domain */
	{AFTER_RECIPIENT,  500, 599,  1, -1, VERDICT_DEAD,   ""}, /* address: no such mailbox, domain, bad syntax */
	{AFTER_RECIPIENT,  500, 599,  2, -1, VERDICT_DEAD,   ""}, /* mailbox: disabled, full, message too long for it */
	{AFTER_RECIPIENT,  500, 599,  3, -1, VERDICT_TARGET, ""}, /* the mail system: full, not accepting, misconfigured */
	{AFTER_RECIPIENT,  500, 599,  4, -1, VERDICT_DEAD,   ""}, /* no route to the recipient's domain, a loop on the way */
	{AFTER_RECIPIENT,  500, 599,  6, -1, VERDICT_DEAD,   ""}, /* content */
	{AFTER_RECIPIENT,  500, 599,  7,  2, VERDICT_DEAD,   ""}, /* this mailing list does not take our mails */
	{AFTER_RECIPIENT,  500, 599,  7, 17, VERDICT_DEAD,   ""}, /* the mailbox has another owner now (RFC 7293) */
	{AFTER_RECIPIENT,  500, 599,  7, 18, VERDICT_DEAD,   ""}, /* and so its domain */
	{AFTER_RECIPIENT,  500, 599,  7, -1, VERDICT_TARGET, ""}, /* security or policy: relaying denied, we are listed */
	/* without one, or X.0.X, X.5.X: by the reply code */
	{AFTER_RECIPIENT,  500, 500, -1, -1, VERDICT_TARGET, ""}, /* command not known: it does not speak as we do */
	{AFTER_RECIPIENT,  502, 504, -1, -1, VERDICT_TARGET, ""},
	{AFTER_RECIPIENT,  521, 525, -1, -1, VERDICT_TARGET, ""}, /* accepts no mail, wants encryption, our account is disabled */
	{AFTER_RECIPIENT,  530, 538, -1, -1, VERDICT_TARGET, ""}, /* authentication or STARTTLS wanted first, or refused */
	{AFTER_RECIPIENT,  555, 555, -1, -1, VERDICT_TARGET, ""}, /* parameters of MAIL or RCPT not known */
	{AFTER_RECIPIENT,  500, 599, -1, -1, VERDICT_DEAD,   ""}, /* 501, 550 to 554, 556: this recipient, or this message */
	{ANY_STAGE,        INT_MIN, INT_MAX, -1, -1, VERDICT_RETRY,  "not a final reply"},
};

/* clang-format on */

struct transport_rule {
	enum verdict_kind kind;
	enum outcome outcome;
	const char *reason;
};

static const struct transport_rule transport_rules[] = {
	[TRANSPORT_TIMEOUT] = {VERDICT_RETRY, OUTCOME_TIMEOUT, "time-out"},
	[TRANSPORT_CONNECT] = {VERDICT_RETRY, OUTCOME_CONNECT, "no connection, or it broke before the reply"},
	[TRANSPORT_TLS] = {VERDICT_RETRY, OUTCOME_TLS, "TLS handshake failed"},
	[TRANSPORT_DNS] = {VERDICT_RETRY, OUTCOME_DNS, "host name not resolved"},
	/* An API never answers a small POST with so much: the URL leads somewhere else, and what was sent has
	   perhaps been taken, so it is not repeated as often as max_attempts allows. */
	[TRANSPORT_TOO_LARGE] = {VERDICT_TARGET, OUTCOME_RETRYABLE, "reply beyond the limit: is this the right URL?"},
	[TRANSPORT_MALFORMED] = {VERDICT_RETRY, OUTCOME_RETRYABLE, "reply that breaks the protocol"},
	[TRANSPORT_CERTIFICATE] = {VERDICT_TARGET, OUTCOME_TLS, "TLS certificate not trusted, or TLS not offered"},
};

static enum outcome outcome_of(enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_OK:
		return OUTCOME_OK;
	case VERDICT_DEAD:
		return OUTCOME_PERMANENT;
	case VERDICT_RETRY:
	case VERDICT_TARGET:
	case VERDICT_GONE:
		break;
	}
	return OUTCOME_RETRYABLE;
}

/*
 * What a peer said may hold anything; a reason goes into logs, into JSON and on terminals. Ends on a whole character.
 */
static void set_reason(struct verdict *verdict, const char *reason)
{
	size_t len = strnlen(reason, LIMIT_REASON - 1);

	while (reason[len] && len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++) {
		const unsigned char byte = (unsigned char)reason[i];

		verdict->reason[i] = byte < 0x20 || byte == 0x7f ? ' ' : reason[i];
	}
	while (len > 0 && verdict->reason[len - 1] == ' ')
		len--;
	verdict->reason[len] = '\0';
	utf8_mend(verdict->reason);
}

void verdict_own(enum verdict_kind kind, const char *reason, struct verdict *ret_verdict)
{
	*ret_verdict = (struct verdict){.kind = kind, .outcome = outcome_of(kind), .retry_after_ms = -1};
	set_reason(ret_verdict, reason);
}

static void judge_http(const struct reply *reply, struct verdict *ret_verdict)
{
	const struct http_rule *rule = http_rules;
	char reason[LIMIT_REASON];

	while (reply->status < rule->from || reply->status > rule->to)
		rule++;
	snprintf(reason, sizeof reason, "HTTP %d%s%s", reply->status, *rule->note ? ": " : "", rule->note);
	verdict_own(rule->kind, reason, ret_verdict);
	if (rule->kind == VERDICT_RETRY || rule->kind == VERDICT_TARGET)
		ret_verdict->retry_after_ms = reply->retry_after_ms;
	ret_verdict->pauses_target = rule->retry_after == ALL && reply->retry_after_ms > 0;
}

/* After the reply code, if the text begins with it: "550 5.1.1 no such user" or "550-5.1.1 …". */
static const char *after_code(const struct reply *reply)
{
	const char *text = reply->body;
	char code[8];
	const int len = snprintf(code, sizeof code, "%d", reply->status);

	if (len == 3 && strncmp(text, code, 3) == 0 && (text[3] == ' ' || text[3] == '-'))
		return text + 4;
	return text;
}

/* The enhanced status code, if there is one and its class agrees with the reply code (RFC 2034 4). */
static void enhanced_code(const struct reply *reply, int *ret_subject, int *ret_detail)
{
	int class, subject, detail;

	if (sscanf(after_code(reply), "%1d.%3d.%3d", &class, &subject, &detail) == 3 && class == reply->status / 100 &&
		subject >= 0 && detail >= 0) {
		*ret_subject = subject;
		*ret_detail = detail;
	}
}

static bool smtp_rule_fits(const struct smtp_rule *rule, const struct reply *reply, int subject, int detail)
{
	const enum smtp_stage stage = reply->smtp_after_recipient ? AFTER_RECIPIENT : BEFORE_RECIPIENT;

	return (rule->stage == ANY_STAGE || rule->stage == stage) && reply->status >= rule->from &&
	       reply->status <= rule->to && (rule->subject < 0 || rule->subject == subject) &&
	       (rule->detail < 0 || rule->detail == detail);
}

static void judge_smtp(const struct reply *reply, struct verdict *ret_verdict)
{
	const struct smtp_rule *rule = smtp_rules;
	int subject = -1, detail = -1;
	char reason[LIMIT_REASON];

	enhanced_code(reply, &subject, &detail);
	while (!smtp_rule_fits(rule, reply, subject, detail))
		rule++;
	snprintf(reason, sizeof reason, "SMTP %d %s", reply->status, *rule->note ? rule->note : after_code(reply));
	verdict_own(rule->kind, reason, ret_verdict);
}

void verdict_standard(const struct reply *reply, bool mail, struct verdict *ret_verdict)
{
	const struct transport_rule *rule;

	if (reply->transport == TRANSPORT_REPLY && mail) {
		judge_smtp(reply, ret_verdict);
	} else if (reply->transport == TRANSPORT_REPLY) {
		judge_http(reply, ret_verdict);
	} else {
		rule = &transport_rules[reply->transport];
		verdict_own(rule->kind, rule->reason, ret_verdict);
		ret_verdict->outcome = rule->outcome;
	}
}
