/* Mail servers that are slow, endless, broken or refuse: what it costs, and whom the verdict condemns. RFC 5321. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/hostile.h"
#include "tests/support/smtp_peer.h"

#define X64   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X1024 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64
#define X8192 X1024 X1024 X1024 X1024 X1024 X1024 X1024 X1024
#define MAIL  "'type':'email','from':'auth@example.com','to':'bob@example.com'"

enum { STOP_MS = 3000 };

TestSuite(smtp, .timeout = 60);

struct row {
	const char *name;
	enum smtp_stage stage;
	const char *says;
	int held_ms; /* 0: it ends at once */
	const char *outcome, *reason;
	enum hostile_verdict verdict;
};

#define TIMES_OUT HOSTILE_TIMEOUT_MS, "timeout", "time-out", HOSTILE_RETRIED
#define BREAKS	  0, "connect", NULL, HOSTILE_RETRIED
#define TOO_LARGE 0, "retryable", "reply beyond the limit", HOSTILE_PARKED
#define AGAIN(c)  0, "retryable", "SMTP " c, HOSTILE_RETRIED
#define TARGET(c) 0, "retryable", "SMTP " c, HOSTILE_PARKED
#define EFFECT(c) 0, "permanent", "SMTP " c, HOSTILE_DEAD
#define DELIVERED 0, "ok", NULL, HOSTILE_DELIVERED
#define MALFORMED 0, "retryable", NULL, HOSTILE_RETRIED

static const struct row rows[] = {
	/* slow */
	{"a tarpit's greeting", SMTP_GREETING, SMTP_PEER_DRIP, TIMES_OUT},
	{"a tarpit at EHLO", SMTP_EHLO, SMTP_PEER_DRIP, TIMES_OUT},
	{"a tarpit at MAIL", SMTP_MAIL, SMTP_PEER_DRIP, TIMES_OUT},
	{"a tarpit at RCPT", SMTP_RCPT, SMTP_PEER_DRIP, TIMES_OUT},
	{"a tarpit at DATA", SMTP_DATA, SMTP_PEER_DRIP, TIMES_OUT},
	{"a tarpit after the data", SMTP_END_OF_DATA, SMTP_PEER_DRIP, TIMES_OUT},
	{"no greeting", SMTP_GREETING, SMTP_PEER_STALL, TIMES_OUT},
	{"no reply to EHLO", SMTP_EHLO, SMTP_PEER_STALL, TIMES_OUT},
	{"no reply to RCPT", SMTP_RCPT, SMTP_PEER_STALL, TIMES_OUT},
	{"no reply to the data", SMTP_END_OF_DATA, SMTP_PEER_STALL, TIMES_OUT},
	/* endless */
	{"a greeting of lines without end", SMTP_GREETING, SMTP_PEER_ENDLESS, TOO_LARGE},
	{"a greeting's line without end", SMTP_GREETING, SMTP_PEER_LINE, BREAKS},
	{"EHLO: lines without end", SMTP_EHLO, SMTP_PEER_ENDLESS, BREAKS},
	{"EHLO: a line without end", SMTP_EHLO, SMTP_PEER_LINE, BREAKS},
	{"RCPT: lines without end", SMTP_RCPT, SMTP_PEER_ENDLESS, TOO_LARGE},
	{"RCPT: a line without end", SMTP_RCPT, SMTP_PEER_LINE, BREAKS},
	{"data: lines without end", SMTP_END_OF_DATA, SMTP_PEER_ENDLESS, TOO_LARGE},
	{"data: a line without end", SMTP_END_OF_DATA, SMTP_PEER_LINE, BREAKS},
	/* it leaves */
	{"drops at the greeting", SMTP_GREETING, SMTP_PEER_DROP, BREAKS},
	{"drops at EHLO", SMTP_EHLO, SMTP_PEER_DROP, BREAKS},
	{"drops at MAIL", SMTP_MAIL, SMTP_PEER_DROP, BREAKS},
	{"drops at RCPT", SMTP_RCPT, SMTP_PEER_DROP, BREAKS},
	{"drops at DATA", SMTP_DATA, SMTP_PEER_DROP, BREAKS},
	{"drops after the data", SMTP_END_OF_DATA, SMTP_PEER_DROP, BREAKS},
	/* busy: RFC 5321 4.2.3, at any time */
	{"421 at the greeting", SMTP_GREETING, "421 4.3.2 busy", AGAIN("421")},
	{"421 at EHLO", SMTP_EHLO, "421 4.3.2 busy", AGAIN("421")},
	{"421 at MAIL", SMTP_MAIL, "421 4.3.2 busy", AGAIN("421")},
	{"421 at RCPT", SMTP_RCPT, "421 4.3.2 busy", AGAIN("421")},
	{"421 at DATA", SMTP_DATA, "421 4.3.2 busy", AGAIN("421")},
	{"421 after the data", SMTP_END_OF_DATA, "421 4.3.2 busy", AGAIN("421")},
	/* not now */
	{"451 at MAIL", SMTP_MAIL, "451 4.3.0 try later", AGAIN("451")},
	{"450 at RCPT", SMTP_RCPT, "450 4.2.0 greylisted", AGAIN("450")},
	{"452 at RCPT, full", SMTP_RCPT, "452 4.2.2 mailbox full", AGAIN("452")},
	{"451 at DATA", SMTP_DATA, "451 4.3.0 try later", AGAIN("451")},
	{"452 after the data", SMTP_END_OF_DATA, "452 4.3.1 disk full", AGAIN("452")},
	/* never: the target, before there is a recipient; then the effect, but for what is the same for all */
	{"554 at the greeting", SMTP_GREETING, "554 5.7.1 no service for you", TARGET("554")},
	{"502 at EHLO and HELO", SMTP_EHLO, "502 5.5.1 not known", TARGET("502")},
	{"550 at EHLO", SMTP_EHLO, "550 5.7.1 who are you", TARGET("550")},
	{"553 at MAIL", SMTP_MAIL, "553 5.1.7 bad sender", TARGET("553")},
	{"530 at MAIL", SMTP_MAIL, "530 5.7.0 authenticate first", TARGET("530")},
	{"550 at RCPT, no such user", SMTP_RCPT, "550 5.1.1 no such user", EFFECT("550")},
	{"550 at RCPT, bare", SMTP_RCPT, "550 no", EFFECT("550")},
	{"550 at RCPT, policy", SMTP_RCPT, "550 5.7.1 relaying denied", TARGET("550")},
	{"552 at RCPT, full", SMTP_RCPT, "552 5.2.2 mailbox full", EFFECT("552")},
	{"554 at DATA", SMTP_DATA, "554 5.6.0 no valid recipients", EFFECT("554")},
	{"550 after the data, content", SMTP_END_OF_DATA, "550 5.6.0 spam", EFFECT("550")},
	{"554 after the data, policy", SMTP_END_OF_DATA, "554 5.7.1 we are listed", TARGET("554")},
	{"552 after the data, too big", SMTP_END_OF_DATA, "552 5.3.4 too big", EFFECT("552")},
	/* codes that don't fit */
	{"a greeting 354", SMTP_GREETING, "354 go", MALFORMED},
	{"MAIL answered by 354", SMTP_MAIL, "354 go", BREAKS},
	{"RCPT answered by 354", SMTP_RCPT, "354 go", BREAKS},
	{"DATA answered by 250", SMTP_DATA, "250 2.0.0 fine", BREAKS},
	{"the data answered by 354", SMTP_END_OF_DATA, "354 go", MALFORMED},
	{"the data answered by 100", SMTP_END_OF_DATA, "100 hm", MALFORMED},
	{"the data answered by 999", SMTP_END_OF_DATA, "999 hm", MALFORMED},
	{"MAIL answered by 251", SMTP_MAIL, "251 will forward", DELIVERED},
	/* garbage */
	{"a greeting that is none", SMTP_GREETING, "hello\r\nis anybody there", TIMES_OUT},
	{"a greeting of HTTP", SMTP_GREETING, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n", TIMES_OUT},
	{"lines of garbage in a reply", SMTP_RCPT, "250-first\r\n\x01\x02garbage\r\n\r\n99\r\n250 last", DELIVERED},
	{"codes that differ: 250, then 550", SMTP_RCPT, "250-yes\r\n550 5.1.1 no", EFFECT("550")},
	{"a reply to EHLO of long lines", SMTP_EHLO, "250-" X1024 "\r\n250-" X1024 "\r\n250 " X1024, DELIVERED},
	{"a refusal in one very long line", SMTP_RCPT, "550 5.1.1 " X8192, EFFECT("550")},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

ParameterizedTestParameters(smtp, a_mail_server)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

ParameterizedTest(const size_t *index, smtp, a_mail_server)
{
	const struct row *row = &rows[*index];
	struct smtp_script script = {.replies = {NULL}};
	struct smtp_peer *peer;
	struct hostile_run run;
	char url[SMTP_PEER_URL], name[120];
	int64_t began_us;

	script.replies[row->stage] = row->says;
	peer = smtp_peer_start(&script, 1);
	snprintf(name, sizeof(name), "SMTP, %s", row->name);
	hostile_begin(&run, &(struct hostile_case){.name = name,
				    .url = smtp_peer_url(peer, url),
				    .more = "{" MAIL "}",
				    .held_ms = row->held_ms,
				    .least_ms = row->held_ms > 0 ? row->held_ms - HOSTILE_EARLY_MS : 0,
				    .outcome = row->outcome,
				    .reason = row->reason,
				    .verdict = row->verdict});
	if (row->verdict != HOSTILE_DELIVERED && row->stage != SMTP_END_OF_DATA)
		cr_assert_eq(smtp_peer_count(peer), 0, "%s: the mail went out", row->name);
	began_us = harness_mono_us();
	hostile_end(&run);
	cr_assert_lt(harness_mono_us() - began_us, STOP_MS * 1000, "%s: the stop waits for it", row->name);
	smtp_peer_stop(peer);
}

/* The farewell is not waited for: neither before the verdict of a refusal is known, nor at the stop. */
static void stalls_at_quit(const char *name, const char *at_rcpt, const char *outcome, enum hostile_verdict verdict)
{
	struct smtp_script script = {.replies[SMTP_RCPT] = at_rcpt, .stalls_at_quit = true};
	struct smtp_peer *peer = smtp_peer_start(&script, 1);
	struct hostile_run run;
	char url[SMTP_PEER_URL];
	int64_t began_us;

	hostile_begin(&run, &(struct hostile_case){.name = name,
				    .url = smtp_peer_url(peer, url),
				    .more = "{" MAIL "}",
				    .outcome = outcome,
				    .verdict = verdict});
	began_us = harness_mono_us();
	hostile_end(&run);
	cr_assert_lt(harness_mono_us() - began_us, STOP_MS * 1000, "the stop waits for a farewell");
	smtp_peer_stop(peer);
}

Test(smtp, delivered_and_no_farewell)
{
	stalls_at_quit("SMTP, delivered, and no reply to QUIT", NULL, "ok", HOSTILE_DELIVERED);
}

Test(smtp, refused_and_no_farewell)
{
	stalls_at_quit("SMTP, refused, and no reply to QUIT", "550 5.1.1 no such user", "permanent", HOSTILE_DEAD);
}

/* Without TLS where it is required nothing is said that others may not hear: no sender, no password. */
static void stripped(const char *name, const struct smtp_script *script, const char *outcome)
{
	struct smtp_peer *peer = smtp_peer_start(script, 1);
	struct hostile_run run;
	char url[SMTP_PEER_URL];

	hostile_begin(&run,
		&(struct hostile_case){.name = name,
			.url = smtp_peer_url(peer, url),
			.more = "{" MAIL ",'starttls':true,'auth':{'type':'basic','username':'u','password':'p'}}",
			.outcome = outcome,
			.verdict = HOSTILE_PARKED});
	cr_assert_eq(smtp_peer_commands(peer, SMTP_EHLO), 1);
	cr_assert_eq(smtp_peer_commands(peer, SMTP_MAIL), 0);
	hostile_end(&run);
	smtp_peer_stop(peer);
}

Test(smtp, starttls_is_not_offered)
{
	stripped("SMTP, STARTTLS is not offered", &(struct smtp_script){.replies = {NULL}}, "tls");
}

Test(smtp, login_is_offered_before_starttls)
{
	stripped("SMTP, AUTH is offered and STARTTLS is not",
		&(struct smtp_script){.replies[SMTP_EHLO] = "250-peer.example\r\n250 AUTH PLAIN LOGIN"}, "tls");
}

Test(smtp, starttls_is_offered_and_refused)
{
	stripped("SMTP, STARTTLS is offered and refused",
		&(struct smtp_script){.replies[SMTP_EHLO] = "250-peer.example\r\n250 STARTTLS"}, "retryable");
}

static void message_id(const struct smtp_mail *mail, char id[200])
{
	const char *found = strstr(mail->message, "Message-ID: ");

	cr_assert_not_null(found);
	snprintf(id, 200, "%.*s", (int)strcspn(found, "\r"), found);
}

/* Whether the mail was taken is not known: once more, and the Message-ID lets the receiver tell. */
Test(smtp, dropped_after_its_data_it_is_sent_again_as_the_same)
{
	struct smtp_script scripts[] = {{.replies[SMTP_END_OF_DATA] = SMTP_PEER_DROP}, {.replies = {NULL}}};
	struct smtp_peer *peer = smtp_peer_start(scripts, 2);
	struct delivery_scene scene;
	struct smtp_mail first, second;
	char url[SMTP_PEER_URL], id[ID_SIZE], first_id[200], second_id[200];

	delivery_scene_make(
		&scene, (struct delivery_effect[]){{.url = smtp_peer_url(peer, url), .more = "{" MAIL "}"}}, 1);
	cr_assert_eq(delivery_scene_event(&scene, id), 0);
	cr_assert(delivery_scene_await(&scene, id, "bus", "delivered"));
	cr_assert_eq(smtp_peer_count(peer), 2);
	first = smtp_peer_mail(peer, 0);
	second = smtp_peer_mail(peer, 1);
	message_id(&first, first_id);
	message_id(&second, second_id);
	cr_assert_str_eq(first_id, second_id);
	delivery_scene_remove(&scene);
	smtp_peer_stop(peer);
}

/* Log lines are JSON, one a line, in UTF-8, and none has a byte that a terminal would obey. */
static void check_log(const char *path)
{
	char line[LIMIT_LOG_LINE + 1];
	size_t lines = 0;
	FILE *in = fopen(path, "re");

	cr_assert_not_null(in);
	for (; fgets(line, sizeof(line), in) != NULL; lines++) {
		json_t *object = json_loads(line, 0, NULL);

		cr_assert_not_null(object, "no JSON: %s", line);
		json_decref(object);
		for (const char *c = line; *c != '\n'; c++)
			cr_assert((unsigned char)*c >= ' ' && *c != 0x7f, "a raw byte %d", *c);
	}
	fclose(in);
	cr_assert_gt(lines, 0);
}

Test(smtp, what_a_stranger_says_reaches_no_terminal)
{
	struct smtp_script script = {.replies[SMTP_RCPT] = "550 5.1.1 \x1b[2J\x07\x01\x7f\t no user \xe4\xff \xc2\x9b"
							   "31m \"quoted\" \\"};
	struct smtp_peer *peer = smtp_peer_start(&script, 1);
	struct hostile_run run;
	char url[SMTP_PEER_URL], path[] = "/tmp/tokenfirst-log-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC), saved = dup(STDERR_FILENO);

	cr_assert(fd >= 0 && saved >= 0);
	cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
	hostile_begin(&run, &(struct hostile_case){.name = "SMTP, control bytes in a refusal",
				    .url = smtp_peer_url(peer, url),
				    .more = "{" MAIL "}",
				    .outcome = "permanent",
				    .reason = "no user",
				    .verdict = HOSTILE_DEAD});
	for (const char *c = run.row.reason; *c != '\0'; c++)
		cr_assert((unsigned char)*c >= ' ' && *c != 0x7f);
	hostile_end(&run);
	cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
	check_log(path);
	smtp_peer_stop(peer);
	close(fd);
	close(saved);
	unlink(path);
}
