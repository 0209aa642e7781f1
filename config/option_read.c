/*
 * A value is read in two steps: to its JSON type, with {"env"} and {"file"} followed, then
 * to its field, with the row's range.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/file.h"
#include "config/option.h"
#include "config/units.h"

enum { SHOWN = 40 /* bytes of a refused value that a message repeats */ };

/* "must be …, not …", the value as it is written: a reference shows its name and not what it leads to. */
static void refuse(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	char wanted[LIMIT_CONFIG_MESSAGE / 2];
	char *shown = row->secret ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

	option_describe(row, wanted, sizeof wanted);
	if (shown)
		scope_error(scope, row->path, "must be %s, not %.*s%s", wanted, SHOWN, shown,
			strlen(shown) > SHOWN ? "…" : "");
	else
		scope_error(scope, row->path, "must be %s", wanted);
	free(shown);
}

/* The content of a {"file": …} less one newline at its end; NULL: reported. */
static char *read_secret(const struct option_scope *scope, const struct option *row, const char *path)
{
	struct buf content;
	char why[ERR_SYSTEM_TEXT_SIZE];
	char *text = NULL;

	buf_init(&content, LIMIT_SECRET_FILE);
	int err = file_read(path, &content);
	if (err == ERR_SYSTEM)
		scope_error(scope, row->path, "the file %s can't be read: %s", path, err_system_text(errno, why));
	else if (err == ERR_LIMIT)
		scope_error(scope, row->path, "the file %s is longer than 64 KiB", path);
	else if (!err && content.len != strlen(content.data))
		scope_error(scope, row->path, "the file %s contains a NUL", path);
	else if (!err) {
		if (content.len && content.data[content.len - 1] == '\n')
			content.data[--content.len] = '\0';
		text = buf_steal(&content);
	}
	if (err == ERR_MEMORY || (!err && !text && buf_error(&content)))
		scope->sources->no_memory = true;
	buf_release(&content);
	return text;
}

/* {"env": NAME} or {"file": PATH}, followed; NULL: reported. */
static char *follow(const struct option_scope *scope, const struct option *row, const json_t *reference)
{
	const char *name = json_string_value(json_object_get(reference, "env"));
	const char *path = json_string_value(json_object_get(reference, "file"));

	if (json_object_size(reference) != 1 || !(name || path)) {
		scope_error(scope, row->path, "must be a text, {\"env\": \"NAME\"} or {\"file\": \"PATH\"}");
		return NULL;
	}
	if (path)
		return read_secret(scope, row, path);
	const char *text = sources_environment(scope->sources, name);
	if (!text) {
		scope_error(scope, row->path, "the environment variable %s is not set", name);
		return NULL;
	}
	char *copy = strdup(text);
	if (!copy)
		scope->sources->no_memory = true;
	return copy;
}

/* Why a text can't be a value of this row; NULL: it can. */
static const char *text_fault(const struct option *row, const char *text)
{
	int64_t max = row->type == OPTION_TEXT ? row->max : LIMIT_CONFIG_TEXT;
	json_t *utf8 = json_string(text);
	bool valid = utf8;

	json_decref(utf8);
	if (!valid)
		return "must be UTF-8";
	if (!text[0] && !row->may_be_empty)
		return "must not be empty";
	if (strlen(text) > (size_t)max)
		return "is too long";
	/* a CR or LF would add a line to a request or to a mail's envelope */
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return "must not contain control characters such as line breaks";
	}
	return NULL;
}

/* A text, followed and checked, the caller's to free; NULL: reported. */
static char *read_text(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	char *text = NULL;

	if (json_is_string(value)) {
		text = strdup(json_string_value(value));
		if (!text)
			scope->sources->no_memory = true;
	} else if (json_is_object(value)) {
		text = follow(scope, row, value);
	} else {
		refuse(scope, row, value);
	}
	const char *fault = text ? text_fault(row, text) : NULL;
	if (fault) {
		scope_error(scope, row->path, "%s", fault);
		free(text);
		text = NULL;
	}
	return text;
}

static void *field(const struct option_scope *scope, const struct option *row)
{
	return (char *)scope->base + row->offset;
}

static void store_text(const struct option_scope *scope, const struct option *row, char *text)
{
	char **at = field(scope, row);

	free(*at);
	*at = text;
}

static void store_number(const struct option_scope *scope, const struct option *row, int64_t number)
{
	memcpy(field(scope, row), &number, sizeof number);
}

/* OPTION_WORD, OPTION_CHOICE */
static void read_word(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	unsigned int index = 0;
	char *text = read_text(scope, row, value);

	if (!text)
		return;
	while (row->words[index] && strcmp(row->words[index], text) != 0)
		index++;
	if (!row->words[index]) {
		refuse(scope, row, value);
		free(text);
	} else if (row->type == OPTION_WORD) {
		store_text(scope, row, text);
	} else {
		memcpy(field(scope, row), &index, sizeof index);
		free(text);
	}
}

/* OPTION_DURATION, OPTION_SIZE */
static void read_quantity(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	int64_t number = 0;
	char *text = read_text(scope, row, value);

	if (!text)
		return;
	int err = row->type == OPTION_SIZE ? units_parse_size(text, &number) : units_parse_duration(text, &number);
	if (err || number < row->min || number > row->max)
		refuse(scope, row, value);
	else
		store_number(scope, row, number);
	free(text);
}

static void read_list(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	const bool alone = row->lone && (json_is_string(value) || json_is_object(value));
	size_t count = alone ? 1 : json_array_size(value), used = 0;

	if (!count || count > (size_t)row->max) {
		refuse(scope, row, value);
		return;
	}
	char **list = calloc(count, sizeof *list);
	if (!list)
		scope->sources->no_memory = true;
	for (size_t i = 0; list && i < count; i++) {
		list[used] = read_text(scope, row, alone ? value : json_array_get(value, i));
		used += list[used] != NULL;
	}
	char ***at = field(scope, row);
	size_t *at_count = (size_t *)(void *)((char *)scope->base + row->count_offset);
	option_free_list(*at, *at_count);
	*at = list;
	*at_count = used;
}

bool option_objects(const struct option *row, const json_t *value)
{
	const size_t count = json_array_size(value);
	bool objects = count > 0 && count <= (size_t)row->max;

	for (size_t i = 0; i < count; i++)
		objects = objects && json_is_object(json_array_get(value, i));
	return objects;
}

void option_read(const struct option_scope *scope, const struct option *row, const json_t *value)
{
	bool truth = json_is_true(value);
	int64_t number = json_integer_value(value);
	char *text = NULL;

	switch (row->type) {
	case OPTION_TEXT:
		text = read_text(scope, row, value);
		if (text)
			store_text(scope, row, text);
		break;
	case OPTION_WORD:
	case OPTION_CHOICE:
		read_word(scope, row, value);
		break;
	case OPTION_DURATION:
	case OPTION_SIZE:
		read_quantity(scope, row, value);
		break;
	case OPTION_NUMBER:
		if (json_is_integer(value) && number >= row->min && number <= row->max)
			store_number(scope, row, number);
		else
			refuse(scope, row, value);
		break;
	case OPTION_BOOL:
		if (json_is_boolean(value))
			memcpy(field(scope, row), &truth, sizeof truth);
		else
			refuse(scope, row, value);
		break;
	case OPTION_LIST:
		read_list(scope, row, value);
		break;
	case OPTION_MAP:
		if (!json_is_object(value))
			refuse(scope, row, value);
		break;
	case OPTION_OBJECTS:
		if (!option_objects(row, value))
			refuse(scope, row, value);
		break;
	}
}
