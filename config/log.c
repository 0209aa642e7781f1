/*
 * A line is built in full, then written at once: write(2) of one line to a pipe, a
 * terminal or a file opened for appending is not torn by other threads' lines.
 * Nothing here can fail for the caller: a line that can't be built or written is
 * lost, and the program goes on.
 *
 * jansson does the escaping. It refuses text that is not UTF-8, which a peer's reply may
 * well be, so such bytes are replaced by '?' first.
 */
#include "config/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/buf.h"
#include "config/clock.h"
#include "config/limits.h"

static atomic_int least_level = LOG_INFO;
static atomic_int line_format = LOG_JSON;

static const char *level_text(enum log_level level)
{
	static const char *const texts[] = {"debug", "info", "warn", "error"};

	return texts[level];
}

/* Text of at most LIMIT_LOG_TEXT bytes as a JSON string, cut at a whole character; NULL without memory. */
static json_t *text_value(const char *text)
{
	char clean[LIMIT_LOG_TEXT + 1];
	size_t len = strnlen(text, LIMIT_LOG_TEXT);

	if (len == LIMIT_LOG_TEXT) {
		while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	}
	json_t *value = json_stringn(text, len);
	if (value)
		return value;
	for (size_t i = 0; i < len; i++)
		clean[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	return json_stringn(clean, len);
}

static json_t *line_object(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	char time[RFC3339_SIZE];
	json_t *line = json_object();

	clock_rfc3339(time, clock_wall_ms());
	(void)json_object_set_new(line, "time", json_string(time));
	(void)json_object_set_new(line, "level", json_string(level_text(level)));
	(void)json_object_set_new(line, "message", text_value(message));
	for (size_t i = 0; i < count; i++) {
		const struct log_field *field = &fields[i];
		if (field->name && field->is_number)
			(void)json_object_set_new(line, field->name, json_integer(field->number));
		else if (field->name && field->text)
			(void)json_object_set_new(line, field->name, text_value(field->text));
	}
	return line;
}

/*
 * `time level message name=value…`. Values are JSON texts in ASCII, so that neither a line break nor a terminal's
 * control characters get through.
 */
static void print_text(struct buf *out, json_t *line)
{
	const char *name = NULL;
	json_t *value = NULL;

	json_object_foreach(line, name, value)
	{
		if (!strcmp(name, "time") || !strcmp(name, "level")) {
			buf_printf(out, "%s ", json_string_value(value));
			continue;
		}
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		if (text && !strcmp(name, "message"))
			buf_append(out, text + 1, strlen(text) - 2);
		else if (text)
			buf_printf(out, " %s=%s", name, text);
		free(text);
	}
}

static void print_json(struct buf *out, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	if (text)
		buf_append_text(out, text);
	free(text);
}

/* One write: a rest after a short one would come out as a line of its own, so it is given up. */
static void write_line(const struct buf *line)
{
	ssize_t written = -1;

	do
		written = write(STDERR_FILENO, line->data, line->len);
	while (written < 0 && errno == EINTR);
}

void log_configure(enum log_level least, enum log_format format)
{
	atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
	atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	struct buf out;

	if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
		return;
	int saved_errno = errno; /* a caller may log first and look at errno after */
	bool text = atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_TEXT;
	buf_init(&out, LIMIT_LOG_LINE - 1);
	for (size_t kept = count;; kept--) {
		json_t *line = line_object(level, message, fields, kept);
		if (text)
			print_text(&out, line);
		else
			print_json(&out, line);
		json_decref(line);
		if (buf_error(&out) != ERR_LIMIT || kept == 0)
			break;
		buf_reset(&out); /* too long, all told: say less */
	}
	if (out.len && !buf_error(&out)) {
		out.max = LIMIT_LOG_LINE;
		buf_append_text(&out, "\n");
		write_line(&out);
	}
	buf_release(&out);
	errno = saved_errno;
}
