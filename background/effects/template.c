/*
 * One scanner cuts a template into pieces, text and names in turn; checking and expanding are two walks
 * over the same pieces, so that what the check lets through can be expanded.
 */
#include "background/effects/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/link.h"
#include "background/effects/payload.h"
#include "config/clock.h"

/* What events named "user.…" carry (event.h), and what every event has. */
static const char *const known_names[] = {
	"event.id",
	"event.type",
	"event.subject",
	"event.time",
	"user.id",
	"user.username",
	"user.email",
	"request.id",
	"request.ip",
	"request.user_agent",
};

/* What mails add for events with a link: email.c. */
static const char *const link_names[] = {"link.url", "link.token", "link.expires"};

enum { KNOWN_COUNT = sizeof known_names / sizeof *known_names, LINK_COUNT = sizeof link_names / sizeof *link_names };

struct piece {
	const char *start;
	size_t len;
	bool name;
};

enum { VALUE_SIZE = 64 };

int template_path(const char *folder, const char *event_type, const char *suffix, char ret_path[TEMPLATE_PATH_SIZE])
{
	int len;

	/* the type may come from a request: it names a file of this folder, or nothing */
	if (*event_type == '.' || strchr(event_type, '/'))
		return ERR_NOT_FOUND;
	len = snprintf(ret_path, TEMPLATE_PATH_SIZE, "%s/%s%s", folder, event_type, suffix);
	return len < 0 || len >= TEMPLATE_PATH_SIZE ? ERR_LIMIT : 0;
}

int template_read(const char *folder, const char *event_type, const char *suffix, char **ret_text)
{
	char path[TEMPLATE_PATH_SIZE];
	char *text = NULL, *fitting;
	FILE *file = NULL;
	json_t *utf8 = NULL;
	size_t len;
	int err = template_path(folder, event_type, suffix, path);

	if (err)
		return err;
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
	err = ERR_MEMORY;
	text = malloc(LIMIT_TEMPLATE + 2);
	if (!text)
		goto done;
	len = fread(text, 1, LIMIT_TEMPLATE + 1, file);
	err = ferror(file) ? ERR_SYSTEM : 0;
	if (!err && len > LIMIT_TEMPLATE)
		err = ERR_LIMIT;
	if (err)
		goto done;
	text[len] = '\0';
	utf8 = json_stringn(text, len); /* refuses what is no UTF-8 */
	if (!utf8 || strlen(text) != len)
		err = ERR_INVALID;
	fitting = realloc(text, len + 1); /* it is kept for long */
	text = fitting ? fitting : text;
done:
	json_decref(utf8);
	fclose(file);
	if (err)
		free(text);
	else
		*ret_text = text;
	return err;
}

static bool name_valid(const char *name, size_t len)
{
	static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

	return len > 0 && strspn(name, characters) >= len && name[0] != '.' && name[len - 1] != '.' &&
	       !memmem(name, len, "..", 2);
}

/* 1 and the next piece, 0 at the end, ERR_INVALID where the text breaks the grammar. Spaces beside a name are fine. */
static int next_piece(const char **cursor, struct piece *ret_piece)
{
	const char *start = *cursor, *open = strstr(start, "{{"), *close;

	if (*start == '\0')
		return 0;
	if (open != start) {
		*cursor = open ? open : start + strlen(start);
		*ret_piece = (struct piece){.start = start, .len = (size_t)(*cursor - start)};
		return 1;
	}
	close = strstr(start, "}}");
	if (!close)
		return ERR_INVALID;
	*cursor = close + 2;
	for (start += 2; *start == ' '; start++)
		;
	while (close > start && close[-1] == ' ')
		close--;
	if (close <= start || !name_valid(start, (size_t)(close - start)))
		return ERR_INVALID;
	*ret_piece = (struct piece){.start = start, .len = (size_t)(close - start), .name = true};
	return 1;
}

static bool is_name(const struct piece *piece, const char *name)
{
	return strlen(name) == piece->len && memcmp(piece->start, name, piece->len) == 0;
}

static bool one_of(const struct piece *piece, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_name(piece, names[i]))
			return true;
	}
	return false;
}

static bool known(const struct piece *piece)
{
	return one_of(piece, known_names, KNOWN_COUNT);
}

static bool names_link(const struct piece *piece)
{
	return one_of(piece, link_names, LINK_COUNT);
}

bool template_name(const char *text, const char **ret_name, size_t *ret_len)
{
	struct piece piece;

	if (next_piece(&text, &piece) != 1 || !piece.name || *text != '\0')
		return false;
	*ret_name = piece.start;
	*ret_len = piece.len;
	return true;
}

static size_t line_of(const char *text, const char *at)
{
	size_t line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/* A piece of a template for this type; the data of others' events is theirs. */
static int check_piece(const struct piece *piece, const char *event_type, bool links, size_t line, struct buf *why)
{
	if (!piece->name || strncmp(event_type, "user.", 5) != 0 || known(piece))
		return 0;
	if (names_link(piece) && !links) {
		buf_printf(why, "line %zu: {{%.*s}} is possible only in the body of a mail to the user's own address",
			line, (int)piece->len, piece->start);
		return ERR_INVALID;
	}
	if (names_link(piece) && link_purpose_of(event_type))
		return 0;
	buf_printf(why, "line %zu: there is no {{%.*s}} in events of type %s", line, (int)piece->len, piece->start,
		event_type);
	return ERR_INVALID;
}

int template_check(const char *text, const char *event_type, bool links, struct buf *why)
{
	const char *cursor = text;
	struct piece piece;

	for (;;) {
		const char *start = cursor;
		const int more = next_piece(&cursor, &piece);

		if (more == 0)
			return 0;
		if (more < 0) {
			buf_printf(why, "line %zu: \"{{\" without a name and \"}}\"", line_of(text, start));
			return ERR_INVALID;
		}
		if (check_piece(&piece, event_type, links, line_of(text, start), why) != 0)
			return ERR_INVALID;
	}
}

/* What stands for a byte of a value, or of the text around it; NULL: the byte itself. */
static const char *escape(char c, enum template_form form)
{
	const bool html = form == TEMPLATE_HTML, chat = form == TEMPLATE_CHAT;

	if (c == '\n' && (html || form == TEMPLATE_TEXT))
		return "\r\n";
	if (c == '\r' && (html || form == TEMPLATE_TEXT))
		return "";
	if (chat && ((unsigned char)c < 0x20 || c == 0x7f))
		return " ";
	if ((html || chat) && c == '&')
		return "&amp;";
	if ((html || chat) && c == '<')
		return "&lt;";
	if ((html || chat) && c == '>')
		return "&gt;";
	if (html && c == '"')
		return "&quot;";
	return html && c == '\'' ? "&#39;" : NULL;
}

/* RFC 3986 2.3 */
static bool unreserved(char c)
{
	static const char others[] = "-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return c != '\0' && strchr(others, c) != NULL;
}

static void append_escaped(struct buf *out, char c, enum template_form form)
{
	const char *instead = escape(c, form);

	if (form == TEMPLATE_URL && !unreserved(c))
		buf_printf(out, "%%%02X", (unsigned char)c);
	else if (instead)
		buf_append_text(out, instead);
	else
		buf_append(out, &c, 1);
}

/* How many bytes from here on stand for themselves. */
static size_t plain_len(const char *text, size_t len, enum template_form form)
{
	size_t plain = 0;

	if (form == TEMPLATE_LINE)
		return len;
	/* of the templates' own text, by far the most */
	if (form == TEMPLATE_TEXT) {
		while (plain < len && text[plain] != '\n' && text[plain] != '\r')
			plain++;
		return plain;
	}
	while (plain < len && (form == TEMPLATE_URL ? unreserved(text[plain]) : !escape(text[plain], form)))
		plain++;
	return plain;
}

static void append(struct buf *out, const char *text, size_t len, enum template_form form)
{
	const char *end = text + len;

	while (text < end) {
		const size_t plain = plain_len(text, (size_t)(end - text), form);

		buf_append(out, text, plain);
		text += plain;
		if (text < end)
			append_escaped(out, *text++, form);
	}
}

/* For people: "2026-01-02 03:04:05 UTC". */
static void event_time(char ret_text[VALUE_SIZE], int64_t ms)
{
	static const char zone[] = " UTC";
	enum { TIME = 10, END = 19 };
	char rfc3339[RFC3339_SIZE];

	clock_rfc3339(rfc3339, ms);
	rfc3339[TIME] = ' ';
	memcpy(ret_text, rfc3339, END);
	memcpy(ret_text + END, zone, sizeof zone);
}

/* A value of the event itself, into `scratch` where it has to be made; NULL: not one of these. */
static const char *event_value(const struct piece *piece, const struct event *event, char scratch[VALUE_SIZE])
{
	if (is_name(piece, "event.id"))
		return event->id;
	if (is_name(piece, "event.type"))
		return event->type;
	if (is_name(piece, "event.subject"))
		return event->subject;
	if (!is_name(piece, "event.time"))
		return NULL;
	event_time(scratch, event->created_ms);
	return scratch;
}

static int append_value(const struct piece *piece, const struct event *event, const json_t *data,
	enum template_form form, struct buf *out, const char **ret_why)
{
	char scratch[VALUE_SIZE];
	const char *text = event_value(piece, event, scratch);
	const json_t *value;

	if (text) {
		append(out, text, strlen(text), form);
		return 0;
	}
	value = payload_find(data, piece->start, piece->len);
	if (json_is_null(value) || (!value && known(piece)))
		return 0;
	if (!value && names_link(piece)) {
		*ret_why = "the template names a link, which only the body of a mail to the user's own address has";
		return ERR_INVALID;
	}
	if (!value || json_is_object(value) || json_is_array(value)) {
		*ret_why = value ? "the template names an object or a list" : "the event lacks what the template names";
		return ERR_INVALID;
	}
	if (json_is_string(value)) {
		append(out, json_string_value(value), json_string_length(value), form);
		return 0;
	}
	/* a number, true or false: never longer than a few digits */
	const size_t len = json_dumpb(value, scratch, sizeof scratch, JSON_ENCODE_ANY | payload_flags(value));

	if (len > sizeof scratch)
		return ERR_LIMIT;
	append(out, scratch, len, form);
	return 0;
}

int template_expand(const char *text, const struct event *event, const json_t *data, enum template_form form,
	struct buf *out, const char **ret_why)
{
	const bool body = form == TEMPLATE_HTML || form == TEMPLATE_TEXT;
	const enum template_form literal = body ? TEMPLATE_TEXT : TEMPLATE_LINE; /* what we wrote is meant as it is */
	struct piece piece;
	int err, more;

	while ((more = next_piece(&text, &piece)) > 0) {
		err = 0;
		if (piece.name)
			err = append_value(&piece, event, data, form, out, ret_why);
		else
			append(out, piece.start, piece.len, literal);
		if (err)
			return err;
	}
	if (more < 0) {
		*ret_why = "the template has a \"{{\" without a name and \"}}\"";
		return ERR_INVALID;
	}
	return buf_error(out);
}
