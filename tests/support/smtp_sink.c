/*
 * smtp_sink: an SMTP receiver (RFC 5321) for load tests.
 *
 *   smtp_sink --port N [--latency-ms N] [--dir FOLDER] [--quiet]
 *
 * Accepts every mail; the latency lies before the reply to the end of the data, as with a server that writes
 * it to disk or scans it. Commands may be pipelined. With --dir each mail is kept as FOLDER/N.eml, dots undone.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/support/harness.h"
#include "tests/support/sink.h"

enum { SMTP_LINE_MAX = 4096 };

struct smtp_sink {
	const char *folder;
	int64_t mails;
	int64_t mail_bytes;
	int64_t connections;
};

/* One connection. */
struct smtp_state {
	bool mail;
	int recipients;
	bool data;
};

static void say(struct sink_reply *reply, const char *text)
{
	reply->len = (size_t)snprintf(reply->text, sizeof(reply->text), "%s\r\n", text);
}

static void smtp_open(void *arg, void *state, struct sink_reply *reply)
{
	(void)arg;
	(void)state;
	say(reply, "220 sink.example ESMTP");
}

static void mail_keep(const struct smtp_sink *sink, const char *text, size_t len)
{
	char path[4096];
	const char *end = text + len;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%" PRId64 ".eml", sink->folder, sink->mails);
	out = fopen(path, "we");
	if (out == NULL)
		harness_quit("can't write %s", path);
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		const char *stop = eol == NULL ? end : eol + 1;

		if (*text == '.')
			text++;
		fwrite(text, 1, (size_t)(stop - text), out);
		text = stop;
	}
	fclose(out);
}

static ssize_t data_take(
	struct smtp_sink *sink, struct smtp_state *state, const char *bytes, size_t len, struct sink_reply *reply)
{
	static const char end_of_data[] = "\r\n.\r\n";
	const char *end = bytes;
	size_t text_len = 0;
	size_t used = 3;

	if (len < 3)
		return 0;
	if (memcmp(bytes, ".\r\n", 3) != 0) {
		end = memmem(bytes, len, end_of_data, sizeof(end_of_data) - 1);
		if (end == NULL)
			return 0;
		text_len = (size_t)(end - bytes) + 2;
		used = text_len + 3;
	}
	sink->mails++;
	sink->mail_bytes += (int64_t)text_len;
	if (sink->folder != NULL)
		mail_keep(sink, bytes, text_len);
	*state = (struct smtp_state){0};
	say(reply, "250 2.0.0 accepted");
	reply->delayed = true;
	return (ssize_t)used;
}

static bool verb_is(const char *line, size_t len, const char *verb)
{
	return len >= strlen(verb) && strncasecmp(line, verb, strlen(verb)) == 0;
}

static void command(struct smtp_state *state, const char *line, size_t len, struct sink_reply *reply)
{
	if (verb_is(line, len, "EHLO")) {
		*state = (struct smtp_state){0};
		say(reply, "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 16000000\r\n250 8BITMIME");
	} else if (verb_is(line, len, "HELO")) {
		*state = (struct smtp_state){0};
		say(reply, "250 sink.example");
	} else if (verb_is(line, len, "MAIL FROM:")) {
		say(reply, state->mail ? "503 5.5.1 one sender is enough" : "250 2.1.0 sender noted");
		state->mail = true;
	} else if (verb_is(line, len, "RCPT TO:")) {
		say(reply, state->mail ? "250 2.1.5 recipient noted" : "503 5.5.1 MAIL first");
		state->recipients += state->mail;
	} else if (verb_is(line, len, "DATA")) {
		state->data = state->recipients > 0;
		say(reply, state->data ? "354 end with a dot" : "503 5.5.1 RCPT first");
	} else if (verb_is(line, len, "RSET")) {
		*state = (struct smtp_state){0};
		say(reply, "250 2.0.0 forgotten");
	} else if (verb_is(line, len, "NOOP")) {
		say(reply, "250 2.0.0 here");
	} else if (verb_is(line, len, "QUIT")) {
		say(reply, "221 2.0.0 bye");
		reply->close = true;
	} else {
		say(reply, "502 5.5.1 unknown command");
	}
}

static ssize_t smtp_take(void *arg, void *state, const char *bytes, size_t len, struct sink_reply *reply)
{
	struct smtp_state *smtp = state;
	const char *eol;

	if (smtp->data)
		return data_take(arg, smtp, bytes, len, reply);
	eol = memchr(bytes, '\n', len);
	if (eol == NULL)
		return len > SMTP_LINE_MAX ? -1 : 0;
	command(smtp, bytes, (size_t)(eol - bytes), reply);
	return eol - bytes + 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"port", required_argument, NULL, 'p'},
		{"latency-ms", required_argument, NULL, 'l'},
		{"dir", required_argument, NULL, 'd'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	static const struct sink_protocol protocol = {
		.state_size = sizeof(struct smtp_state), .open = smtp_open, .take = smtp_take};
	struct smtp_sink sink = {0};
	struct sink_options run = {.protocol = &protocol, .arg = &sink, .connections = &sink.connections};
	int quiet = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			run.port = (int)harness_number("port", optarg, 0, 65535);
		else if (c == 'l')
			run.delay_ms = harness_number("latency-ms", optarg, 0, 600000);
		else if (c == 'd')
			sink.folder = optarg;
		else if (c == 'q')
			quiet = 1;
		else
			return 2;
	}
	sink_run(&run);
	if (!quiet)
		printf("mails %" PRId64 ", connections %" PRId64 ", bytes %" PRId64 "\n", sink.mails, sink.connections,
			sink.mail_bytes);
	return 0;
}
