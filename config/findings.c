#include "config/findings.h"

#include <stdlib.h>
#include <string.h>

#include "config/buf.h"

/* NULL without memory. */
static char *format_message(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static char *format_message(const char *format, va_list args)
{
	struct buf message;

	buf_init(&message, LIMIT_CONFIG_MESSAGE);
	buf_vprintf(&message, format, args);
	if (buf_error(&message) == ERR_LIMIT) {
		buf_reset(&message);
		buf_append_text(&message, "is wrong, at more length than can be said here");
	}
	char *text = buf_steal(&message);
	buf_release(&message);
	return text;
}

static bool known(const struct config_errors *findings, const struct config_error *item)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct config_error *other = &findings->items[i];
		if (!strcmp(other->place, item->place) && !strcmp(other->path, item->path) &&
			!strcmp(other->message, item->message))
			return true;
	}
	return false;
}

void findings_add(struct config_errors *findings, const char *place, const char *path, const char *format, va_list args)
{
	struct config_error item = {NULL, NULL, NULL};

	if (findings->count < LIMIT_CONFIG_ERRORS) {
		item.place = strdup(place);
		item.path = strdup(path);
		item.message = format_message(format, args);
	}
	bool whole = item.place && item.path && item.message;
	if (whole && !known(findings, &item)) {
		findings->items[findings->count++] = item;
		return;
	}
	findings->more += !whole;
	free(item.place);
	free(item.path);
	free(item.message);
}

void config_errors_print(const struct config_errors *errors, const char *severity, FILE *out)
{
	for (size_t i = 0; i < errors->count; i++) {
		const struct config_error *item = &errors->items[i];
		const char *colon = item->path[0] ? ": " : "";
		(void)fprintf(out, "%s: %s: %s%s%s\n", item->place, severity, item->path, colon, item->message);
	}
	if (errors->more)
		(void)fprintf(out, "and %zu more\n", errors->more);
}

void config_errors_release(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++) {
		free(errors->items[i].place);
		free(errors->items[i].path);
		free(errors->items[i].message);
	}
	*errors = (struct config_errors){.count = 0};
}
