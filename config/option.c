/*
 * Rows, and what follows from them but for reading (option_read.c). A default and a text
 * from the command line become the JSON that a file would have held, so there is one way
 * in for all values.
 */
#include "config/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/units.h"

const struct option *option_find(const struct option_table *table, const char *path)
{
	for (size_t i = 0; i < table->count; i++) {
		if (!strcmp(table->rows[i].path, path))
			return &table->rows[i];
	}
	return NULL;
}

static bool said(const struct sources *sources, const char *prefix, const char *path, size_t len)
{
	char full[LIMIT_CONFIG_PATH];

	(void)snprintf(full, sizeof full, "%s%.*s", prefix, (int)len, path);
	return sources_find(sources, full) != NULL;
}

/* Whether `path` is the effect's business and not that of its target. */
static bool is_outer(const struct option_scope *scope, const char *path)
{
	const char *dot = strrchr(path, '.');

	if (!scope->outer || !path[0] || said(scope->sources, scope->prefix, path, strlen(path)))
		return false;
	/* what is missing belongs to the object that lacks it */
	return scope_given(scope, path) || !dot || !said(scope->sources, scope->prefix, path, (size_t)(dot - path));
}

void scope_path(const struct option_scope *scope, const char *path, char ret_path[LIMIT_CONFIG_PATH])
{
	(void)snprintf(ret_path, LIMIT_CONFIG_PATH, "%s%s", is_outer(scope, path) ? scope->outer : scope->prefix, path);
	size_t len = strlen(ret_path);
	if (!path[0] && len)
		ret_path[len - 1] = '\0'; /* "effects.crm." as a whole is "effects.crm" */
}

void scope_error(const struct option_scope *scope, const char *path, const char *format, ...)
{
	char full[LIMIT_CONFIG_PATH];
	va_list args;

	scope_path(scope, path, full);
	va_start(args, format);
	sources_finding(scope->sources, scope->sources->errors, full, format, args);
	va_end(args);
}

void scope_warn(const struct option_scope *scope, const char *path, const char *format, ...)
{
	char full[LIMIT_CONFIG_PATH];
	va_list args;

	scope_path(scope, path, full);
	va_start(args, format);
	sources_finding(scope->sources, scope->sources->warnings, full, format, args);
	va_end(args);
}

json_t *scope_find(const struct option_scope *scope, const char *path)
{
	char full[LIMIT_CONFIG_PATH];

	if (scope->merged)
		return sources_member(scope->merged, path);
	(void)snprintf(full, sizeof full, "%s%s", scope->prefix, path);
	return sources_find(scope->sources, full);
}

bool scope_given(const struct option_scope *scope, const char *path)
{
	return scope_find(scope, path) != NULL;
}

json_t *option_value(const struct option *row, const char *text)
{
	char *end = NULL;
	json_t *value = NULL;

	if (row->type == OPTION_NUMBER) {
		errno = 0;
		int64_t number = strtoll(text, &end, 10);
		if (end != text && !*end && !errno)
			return json_integer(number);
	} else if (row->type == OPTION_BOOL && (!strcmp(text, "true") || !strcmp(text, "false"))) {
		return json_boolean(text[0] == 't');
	} else if (row->type == OPTION_LIST && text[0] == '[') {
		value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	} else if (row->type == OPTION_LIST && !row->secret) { /* a secret may hold a comma: it stays whole */
		value = json_array();
		for (const char *part = text; value && part; part = end) {
			size_t len = strcspn(part, ",");
			end = part[len] ? (char *)part + len + 1 : NULL;
			if (json_array_append_new(value, json_stringn(part, len))) {
				json_decref(value);
				return NULL;
			}
		}
	}
	/* what is not of its type stays a text, for option_read to refuse */
	return value ? value : json_string(text);
}

void option_describe(const struct option *row, char *ret_text, size_t size)
{
	char min[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE];
	size_t used = 0;

	switch (row->type) {
	case OPTION_TEXT:
		(void)snprintf(ret_text, size, "text");
		break;
	case OPTION_WORD:
	case OPTION_CHOICE:
		(void)snprintf(ret_text, size, "one of");
		for (size_t i = 0; row->words[i] && used < size; i++) {
			used = strlen(ret_text);
			(void)snprintf(ret_text + used, size - used, "%s \"%s\"", i ? "," : "", row->words[i]);
		}
		break;
	case OPTION_NUMBER:
		(void)snprintf(ret_text, size, "a whole number%s%s from %" PRId64 " to %" PRId64,
			row->unit ? " of " : "", row->unit ? row->unit : "", row->min, row->max);
		break;
	case OPTION_DURATION:
		units_format_duration(min, row->min);
		units_format_duration(max, row->max);
		(void)snprintf(ret_text, size, "a duration (ms, s, m, h, d) from \"%s\" to \"%s\"", min, max);
		break;
	case OPTION_SIZE:
		units_format_size(min, row->min);
		units_format_size(max, row->max);
		(void)snprintf(ret_text, size, "a size (B, KiB, MiB, GiB) from \"%s\" to \"%s\"", min, max);
		break;
	case OPTION_BOOL:
		(void)snprintf(ret_text, size, "true or false");
		break;
	case OPTION_LIST:
		(void)snprintf(
			ret_text, size, "a %slist of 1 to %" PRId64 " texts", row->lone ? "text or a " : "", row->max);
		break;
	case OPTION_MAP:
		(void)snprintf(ret_text, size, "objects by name");
		break;
	case OPTION_OBJECTS:
		(void)snprintf(ret_text, size, "a list of 1 to %" PRId64 " objects", row->max);
		break;
	}
}

void option_set(const struct option_scope *scope, const struct option *row, const char *text)
{
	json_t *value = option_value(row, text);

	if (value)
		option_read(scope, row, value);
	else
		scope->sources->no_memory = true;
	json_decref(value);
}

void option_defaults(const struct option_scope *scope)
{
	for (size_t i = 0; i < scope->table->count; i++) {
		const struct option *row = &scope->table->rows[i];
		if (row->fallback)
			option_set(scope, row, row->fallback);
	}
}

void option_free_list(char **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i]);
	free(list);
}

void option_release(const struct option_table *table, void *base)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option *row = &table->rows[i];
		char *at = (char *)base + row->offset;
		if (row->type == OPTION_TEXT || row->type == OPTION_WORD)
			free(*(char **)(void *)at);
		else if (row->type == OPTION_LIST)
			option_free_list(*(char ***)(void *)at, *(size_t *)(void *)((char *)base + row->count_offset));
	}
}

void option_help(const struct option *row, const char *prefix, FILE *out)
{
	char takes[LIMIT_CONFIG_MESSAGE / 2];

	option_describe(row, takes, sizeof takes);
	(void)fprintf(out, "%s%s  (%s", prefix, row->path, takes);
	if (row->fallback)
		(void)fprintf(out, "; default %s", row->fallback);
	(void)fprintf(out, "%s)\n        %s\n", row->required ? "; required" : "", row->doc);
}
