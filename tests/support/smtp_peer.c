#include "tests/support/smtp_peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/support/harness.h"
#include "tests/support/links.h"

enum { LINE_MAX_BYTES = 4096, DRIP_MS = 20, MESSAGE_MAX = 4 << 20 };

struct smtp_peer {
	struct links *links;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	struct smtp_script scripts[SMTP_PEER_SCRIPTS];
	size_t script_count;
	size_t next_script;
	int64_t connections;
	size_t stages[SMTP_STAGES];
	size_t count;
	struct smtp_mail *mails;
};

struct session {
	struct smtp_peer *peer;
	struct link *link;
	struct smtp_script script;
	struct smtp_mail mail;
	char bytes[8192];
	size_t len;
	size_t used;
};

static const char *const normal[SMTP_STAGES] = {
	[SMTP_GREETING] = "220 peer.example ESMTP",
	[SMTP_EHLO] = "250-peer.example\r\n250 8BITMIME",
	[SMTP_MAIL] = "250 2.1.0 sender noted",
	[SMTP_RCPT] = "250 2.1.5 recipient noted",
	[SMTP_DATA] = "354 end with a dot",
	[SMTP_END_OF_DATA] = "250 2.0.0 accepted",
};

/* One line without its CR LF; false: the client has left, or we stop. */
static bool line_read(struct session *s, char line[LINE_MAX_BYTES], size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		if (s->used == s->len) {
			ssize_t n = link_read(s->link, s->bytes, sizeof(s->bytes));

			if (n <= 0)
				return false;
			s->len = (size_t)n;
			s->used = 0;
		}
		line[len] = s->bytes[s->used++];
		if (line[len] == '\n')
			break;
		if (++len == LINE_MAX_BYTES)
			return false;
	}
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	*ret_len = len;
	return true;
}

static bool say(struct session *s, const char *text)
{
	return link_write(s->link, text, strlen(text)) && link_write(s->link, "\r\n", 2);
}

/* What is going to be said at a stage: one of the texts, never NULL. */
static const char *stage_text(const struct session *s, enum smtp_stage stage)
{
	const char *scripted = s->script.replies[stage];

	return scripted == NULL ? normal[stage] : scripted;
}

/* Until the client leaves. False: it is none of these. */
static bool say_without_end(struct session *s, const char *text, const char *usual)
{
	static const char line[] = "-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
	const size_t x_len = sizeof(line) - 4;

	if (strcmp(text, SMTP_PEER_DRIP) == 0) {
		for (bool on = link_write(s->link, usual, 4); on; on = link_write(s->link, "x", 1))
			if (!link_sleep(s->link, DRIP_MS))
				break;
	} else if (strcmp(text, SMTP_PEER_LINE) == 0) {
		for (bool on = link_write(s->link, usual, 4); on; on = link_write(s->link, line + 1, x_len))
			;
	} else if (strcmp(text, SMTP_PEER_ENDLESS) == 0) {
		while (link_write(s->link, usual, 3) && link_write(s->link, line, sizeof(line) - 1))
			;
	} else {
		return false;
	}
	return true;
}

/* Plays a stage. `ret_code` is the first digit of the reply. False: the connection ends. */
static bool stage_play(struct session *s, enum smtp_stage stage, int *ret_code)
{
	const char *text = stage_text(s, stage);

	pthread_mutex_lock(&s->peer->lock);
	s->peer->stages[stage]++;
	pthread_cond_broadcast(&s->peer->changed);
	pthread_mutex_unlock(&s->peer->lock);
	if (!link_sleep(s->link, s->script.delay_ms[stage]) || strcmp(text, SMTP_PEER_DROP) == 0)
		return false;
	if (strcmp(text, SMTP_PEER_STALL) == 0) {
		link_linger(s->link);
		return false;
	}
	if (say_without_end(s, text, normal[stage]))
		return false;
	*ret_code = text[0] - '0';
	return say(s, text);
}

static void address_copy(const char *line, char address[SMTP_PEER_ADDRESS])
{
	const char *open = strchr(line, '<');
	const char *close = open == NULL ? NULL : strchr(open, '>');

	snprintf(address, SMTP_PEER_ADDRESS, "%.*s", close == NULL ? 0 : (int)(close - open - 1),
		close == NULL ? "" : open + 1);
}

static void mail_record(struct session *s, bool accepted)
{
	struct smtp_peer *peer = s->peer;

	s->mail.accepted = accepted;
	s->mail.arrived_us = harness_mono_us();
	pthread_mutex_lock(&peer->lock);
	if (peer->count < SMTP_PEER_MAILS)
		peer->mails[peer->count] = s->mail;
	else
		free(s->mail.message);
	peer->count++;
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	s->mail = (struct smtp_mail){.connection = s->mail.connection};
}

static bool data_read(struct session *s)
{
	char line[LINE_MAX_BYTES];
	size_t line_len;

	s->mail.message = calloc(1, MESSAGE_MAX + LINE_MAX_BYTES + 3);
	if (s->mail.message == NULL)
		harness_fail("out of memory");
	while (line_read(s, line, &line_len)) {
		const char *text = line[0] == '.' ? line + 1 : line;
		size_t text_len = line_len - (line[0] == '.');

		if (strcmp(line, ".") == 0) {
			char *fitted = realloc(s->mail.message, s->mail.message_len + 1);

			if (fitted != NULL)
				s->mail.message = fitted;
			return true;
		}
		if (s->mail.message_len > MESSAGE_MAX)
			return false;
		memcpy(s->mail.message + s->mail.message_len, text, text_len);
		memcpy(s->mail.message + s->mail.message_len + text_len, "\r\n", 2);
		s->mail.message_len += text_len + 2;
	}
	return false;
}

static bool data_play(struct session *s)
{
	bool accepted = stage_text(s, SMTP_END_OF_DATA)[0] == '2';
	int code;

	if (!stage_play(s, SMTP_DATA, &code))
		return false;
	if (code != 3)
		return true;
	if (!data_read(s))
		return false;
	mail_record(s, accepted);
	return stage_play(s, SMTP_END_OF_DATA, &code);
}

/* Whether the session goes on. */
static bool command(struct session *s, const char *line)
{
	int code;

	if (strncasecmp(line, "EHLO", 4) == 0 || strncasecmp(line, "HELO", 4) == 0)
		return stage_play(s, SMTP_EHLO, &code);
	if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
		s->mail.recipient_count = 0;
		address_copy(line, s->mail.sender);
		return stage_play(s, SMTP_MAIL, &code);
	}
	if (strncasecmp(line, "RCPT TO:", 8) == 0) {
		if (s->mail.recipient_count < SMTP_PEER_RECIPIENTS)
			address_copy(line, s->mail.recipients[s->mail.recipient_count++]);
		return stage_play(s, SMTP_RCPT, &code);
	}
	if (strcasecmp(line, "DATA") == 0)
		return data_play(s);
	if (strcasecmp(line, "RSET") == 0 || strncasecmp(line, "NOOP", 4) == 0)
		return say(s, "250 2.0.0 fine");
	if (strcasecmp(line, "QUIT") == 0) {
		if (s->script.stalls_at_quit)
			link_linger(s->link);
		say(s, "221 2.0.0 bye");
		return false;
	}
	return say(s, "502 5.5.1 unknown command");
}

static void serve(void *arg, struct link *link)
{
	struct smtp_peer *peer = arg;
	struct session *s = calloc(1, sizeof(*s));
	char line[LINE_MAX_BYTES];
	size_t len;
	int code;
	bool on;

	if (s == NULL)
		harness_fail("out of memory");
	s->peer = peer;
	s->link = link;
	pthread_mutex_lock(&peer->lock);
	s->mail.connection = ++peer->connections;
	s->script = peer->scripts[peer->next_script < peer->script_count ? peer->next_script : peer->script_count - 1];
	peer->next_script++;
	pthread_mutex_unlock(&peer->lock);
	on = stage_play(s, SMTP_GREETING, &code);
	while (on && line_read(s, line, &len))
		on = command(s, line);
	free(s->mail.message);
	free(s);
}

void smtp_peer_script(struct smtp_peer *peer, const struct smtp_script *scripts, size_t count)
{
	if (count > SMTP_PEER_SCRIPTS)
		harness_fail("%zu SMTP scripts", count);
	pthread_mutex_lock(&peer->lock);
	memset(peer->scripts, 0, sizeof(peer->scripts));
	if (count > 0)
		memcpy(peer->scripts, scripts, count * sizeof(*scripts));
	peer->script_count = count == 0 ? 1 : count;
	peer->next_script = 0;
	pthread_mutex_unlock(&peer->lock);
}

struct smtp_peer *smtp_peer_start(const struct smtp_script *scripts, size_t count)
{
	struct smtp_peer *peer = calloc(1, sizeof(*peer));
	pthread_condattr_t monotonic;

	if (peer == NULL || (peer->mails = calloc(SMTP_PEER_MAILS, sizeof(*peer->mails))) == NULL)
		harness_fail("out of memory");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	smtp_peer_script(peer, scripts, count);
	peer->links = links_start(serve, peer);
	return peer;
}

void smtp_peer_stop(struct smtp_peer *peer)
{
	if (peer == NULL)
		return;
	links_stop(peer->links);
	for (size_t i = 0; i < peer->count && i < SMTP_PEER_MAILS; i++)
		free(peer->mails[i].message);
	free(peer->mails);
	pthread_cond_destroy(&peer->changed);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

int smtp_peer_port(const struct smtp_peer *peer)
{
	return links_port(peer->links);
}

const char *smtp_peer_url(const struct smtp_peer *peer, char url[SMTP_PEER_URL])
{
	snprintf(url, SMTP_PEER_URL, "smtp://127.0.0.1:%d", smtp_peer_port(peer));
	return url;
}

size_t smtp_peer_count(struct smtp_peer *peer)
{
	size_t count;

	pthread_mutex_lock(&peer->lock);
	count = peer->count;
	pthread_mutex_unlock(&peer->lock);
	return count;
}

int64_t smtp_peer_connections(struct smtp_peer *peer)
{
	return links_connections(peer->links);
}

size_t smtp_peer_commands(struct smtp_peer *peer, enum smtp_stage stage)
{
	size_t count;

	pthread_mutex_lock(&peer->lock);
	count = peer->stages[stage];
	pthread_mutex_unlock(&peer->lock);
	return count;
}

/* Waits for one of the counters that the lock guards. */
static bool counter_wait(struct smtp_peer *peer, const size_t *counter, size_t count, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;
	struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
	bool enough;

	pthread_mutex_lock(&peer->lock);
	while (*counter < count && harness_mono_us() < until_us)
		pthread_cond_timedwait(&peer->changed, &peer->lock, &until);
	enough = *counter >= count;
	pthread_mutex_unlock(&peer->lock);
	return enough;
}

bool smtp_peer_wait(struct smtp_peer *peer, size_t count, int64_t deadline_ms)
{
	return counter_wait(peer, &peer->count, count, deadline_ms);
}

bool smtp_peer_wait_stage(struct smtp_peer *peer, enum smtp_stage stage, size_t count, int64_t deadline_ms)
{
	return counter_wait(peer, &peer->stages[stage], count, deadline_ms);
}

struct smtp_mail smtp_peer_mail(struct smtp_peer *peer, size_t index)
{
	struct smtp_mail mail;

	pthread_mutex_lock(&peer->lock);
	if (index >= peer->count || index >= SMTP_PEER_MAILS)
		harness_fail("mail %zu of %zu is asked for", index, peer->count);
	mail = peer->mails[index];
	pthread_mutex_unlock(&peer->lock);
	return mail;
}
