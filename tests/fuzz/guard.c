/*
 * The header guard: a head in one buffer, parsed as libmicrohttpd does it, leniently: NULs in the place of colons and line ends.
 * What the guard lets through is then read by a strict reader of the bytes as they were sent, and has to be the same.
 */
#include "server/http/guard.h"

#include <ctype.h>
#include <strings.h>

#include "config/limits.h"
#include "tests/fuzz/fuzz.h"

struct head {
	char *sent; /* as it came */
	char *text; /* as the parser leaves it */
	size_t len;
	char *method, *target, *version, *end;
	size_t target_len;
	struct guard_header lines[LIMIT_HTTP_HEADERS + 1];
	size_t count;
};

/* The end of a line, its line end cut off; NULL: there is none. */
static char *cut_line(char *from, char *to)
{
	char *feed = from < to ? memchr(from, '\n', (size_t)(to - from)) : NULL;

	if (feed == NULL)
		return NULL;
	*feed = '\0';
	if (feed > from && feed[-1] == '\r')
		feed[-1] = '\0';
	return feed + 1;
}

static char *skip(char *text)
{
	return text + strspn(text, " \t");
}

static bool parse_request_line(struct head *head, char *line)
{
	char *blank = strchr(line, ' '), *last;

	if (blank == NULL)
		return false;
	*blank = '\0';
	head->method = line;
	head->target = skip(blank + 1);
	last = strrchr(head->target, ' ');
	if (last == NULL)
		return false;
	head->version = last + 1;
	*last = '\0';
	head->target_len = (size_t)(last - head->target);
	return true;
}

static bool parse(struct head *head)
{
	char *end = head->text + head->len, *line = head->text, *next = cut_line(line, end);

	if (next == NULL || !parse_request_line(head, line))
		return false;
	for (line = next; (next = cut_line(line, end)) != NULL && *line != '\0'; line = next) {
		char *colon = strchr(line, ':'), *value;

		if (head->count > LIMIT_HTTP_HEADERS)
			return false;
		if (colon == NULL)
			return false;
		*colon = '\0';
		value = skip(colon + 1);
		head->lines[head->count++] = (struct guard_header){line, strlen(line), value, strlen(value)};
	}
	head->end = next;
	return next != NULL;
}

/* Behind the line end that `at` leads to over what guard_lines_intact can't tell from it: a NUL in the place of a CR, and blanks. */
static const char *behind_line(const struct head *head, const char *at)
{
	const char *end = head->sent + head->len;

	while (at < end && (*at == '\0' || strchr(" \t\r", *at) != NULL))
		at++;
	fuzz_require(at < end && *at == '\n', "a value ends with its line");
	return at + 1;
}

/* The strict reading: name, colon, value, line end, and nothing else, of each line. */
static void require_strict(const struct head *head)
{
	const char *at = head->sent + (head->lines[0].name - head->text);

	for (size_t i = 0; i < head->count; i++) {
		const struct guard_header *line = &head->lines[i];

		fuzz_require(strncmp(at, line->name, line->name_len) == 0 && at[line->name_len] == ':',
			"a name is followed by its colon");
		at += line->name_len + 1;
		at += strspn(at, " \t");
		fuzz_require(strncmp(at, line->value, line->value_len) == 0, "the value is the one that was sent");
		at = behind_line(head, at + line->value_len);
	}
	(void)behind_line(head, at); /* an empty line ends the head */
}

static size_t count_of(const struct head *head, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < head->count; i++)
		count += strcasecmp(head->lines[i].name, name) == 0;
	return count;
}

static void require_framing(const struct head *head, const struct guard_body *body)
{
	size_t lengths = count_of(head, "Content-Length"), codings = count_of(head, "Transfer-Encoding");

	fuzz_require(count_of(head, "Host") == 1, "one Host");
	fuzz_require(lengths + codings <= 1, "one way to say the length");
	fuzz_require(body->has_length == (lengths == 1) && body->chunked == (codings == 1), "it is told");
	fuzz_require(body->length >= 0 && (body->has_length || body->length == 0), "a length is no less than 0");
	for (size_t i = 0; i < head->count && body->has_length; i++) {
		char *end = NULL;

		if (strcasecmp(head->lines[i].name, "Content-Length") == 0)
			fuzz_require(strtoll(head->lines[i].value, &end, 10) == body->length && *end == '\0',
				"the length is the one that was sent");
	}
}

static void require_target(const char *target)
{
	const char *query = target + strcspn(target, "?");

	fuzz_require(*target == '/' && !fuzz_has_control(target) && strchr(target, ' ') == NULL, "a target is a path");
	fuzz_require(query - target <= LIMIT_HTTP_PATH, "a path is no longer than it may be");
	for (const char *c = target; c < query; c++)
		fuzz_require(*c != '%' || (isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2])),
			"an escape of the path is whole");
	fuzz_require(strstr(target, "%00") == NULL, "no escaped NUL");
}

static void try_head(struct head *head)
{
	struct guard_body body = {0};
	bool passes;

	if (!parse(head))
		return;
	passes = guard_target(head->target).status == 0;
	if (passes)
		require_target(head->target);
	passes &= guard_method(head->method).status == 0 && guard_headers(head->lines, head->count, &body).status == 0;
	if (!passes || !guard_lines_intact(head->lines, head->count, head->end) ||
		!guard_request_line_intact(
			head->method, head->target, head->target_len, head->version, head->lines[0].name))
		return;
	require_framing(head, &body);
	require_strict(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char *text = malloc(size + 1);
	struct head head = {.len = size, .text = text};
	char *value;

	if (text == NULL)
		abort();
	head.sent = malloc(size + 1);
	if (head.sent == NULL)
		abort();
	memcpy(text, data, size);
	memcpy(head.sent, data, size);
	text[size] = head.sent[size] = '\0';
	try_head(&head);
	value = fuzz_text(&input, '\n', NULL);
	(void)guard_is_json(value);
	(void)guard_is_form(value);
	if (guard_request_id(value))
		fuzz_require(
			guard_is_token(value, strlen(value)) && strlen(value) <= LIMIT_REQUEST_ID, "an id is a token");
	free(value);
	free(head.sent);
	free(text);
	return 0;
}
