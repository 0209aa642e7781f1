/*
 * The tree starts as the file's; each override replaces one value in it and is
 * remembered with its place. Places are looked up only when something is wrong: the
 * path's own override, else its line, else the same for the object that should hold it
 * (that is where a missing option has to be added).
 */
#include "config/sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/file.h"
#include "config/findings.h"
#include "config/locate.h"

static void file_error(struct sources *sources, size_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void file_error(struct sources *sources, size_t line, const char *format, ...)
{
	char place[LIMIT_CONFIG_MESSAGE];
	va_list args;

	if (line)
		(void)snprintf(place, sizeof place, "%s:%zu", sources->file, line);
	else
		(void)snprintf(place, sizeof place, "%s", sources->file);
	va_start(args, format);
	findings_add(sources->errors, place, "", format, args);
	va_end(args);
}

static void syntax_error(struct sources *sources, const json_error_t *error)
{
	size_t line = error->line > 0 ? (size_t)error->line : 1;
	size_t len = strlen(error->text);

	/* "… near 'text'" quotes the file, which may be a secret; the name of a key is none */
	if (json_error_code(error) != json_error_duplicate_key) {
		const char *quote = strstr(error->text, " near ");
		len = quote ? (size_t)(quote - error->text) : len;
	}
	file_error(sources, line, "column %d: %.*s", error->column, (int)len, error->text);
}

static void read_file(struct sources *sources)
{
	char text[ERR_SYSTEM_TEXT_SIZE];
	json_error_t error;
	int err = file_read(sources->file, &sources->text);

	if (err == ERR_MEMORY) {
		sources->no_memory = true;
		return;
	}
	if (err) {
		const char *why = err == ERR_SYSTEM ? err_system_text(errno, text) : "longer than 1 MiB";
		file_error(sources, 0, "can't be read: %s", why);
		return;
	}
	json_t *root = json_loadb(sources->text.data, sources->text.len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		syntax_error(sources, &error);
	else if (!json_is_object(root))
		file_error(sources, 1, "the configuration must be a JSON object");
	else
		sources->root = json_incref(root);
	json_decref(root);
}

void sources_read(struct sources *sources, const struct config_source *source, struct config_errors *errors,
	struct config_errors *warnings)
{
	*sources = (struct sources){
		.file = source->file, .environment = source->environment, .errors = errors, .warnings = warnings};
	buf_init(&sources->text, LIMIT_CONFIG_FILE);
	if (source->file) {
		read_file(sources);
		return;
	}
	sources->root = json_object();
	if (!sources->root)
		sources->no_memory = true;
}

void sources_release(struct sources *sources)
{
	for (size_t i = 0; i < sources->override_count; i++) {
		free(sources->overrides[i].path);
		free(sources->overrides[i].place);
	}
	free(sources->overrides);
	json_decref(sources->root);
	buf_release(&sources->text);
}

/* The member "url", or "urls[1]", the second of a list. */
static json_t *member(json_t *object, const char *name)
{
	char list[LIMIT_CONFIG_PATH];
	const char *bracket = strchr(name, '[');

	if (!bracket)
		return json_object_get(object, name);
	(void)snprintf(list, sizeof list, "%.*s", (int)(bracket - name), name);
	return json_array_get(json_object_get(object, list), strtoul(bracket + 1, NULL, 10));
}

/* The object that holds the last part of `path`, made if need be and `make` says so; NULL: there can be none. */
static json_t *holder(json_t *root, const char *path, bool make, const char **ret_key)
{
	json_t *object = root;
	const char *part = path;

	for (const char *dot = strchr(part, '.'); dot && object; dot = strchr(part, '.')) {
		char name[LIMIT_CONFIG_PATH];
		(void)snprintf(name, sizeof name, "%.*s", (int)(dot - part), part);
		json_t *child = member(object, name);
		if (!child && make && !json_object_set_new(object, name, json_object()))
			child = json_object_get(object, name);
		object = json_is_object(child) ? child : NULL;
		part = dot + 1;
	}
	*ret_key = part;
	return object;
}

json_t *sources_member(json_t *object, const char *path)
{
	const char *key = NULL;
	json_t *found = holder(object, path, false, &key);

	return member(found, key);
}

json_t *sources_find(const struct sources *sources, const char *path)
{
	return sources_member(sources->root, path);
}

static bool remember(struct sources *sources, const char *path, enum source_rank rank, const char *place)
{
	struct override item = {.path = strdup(path), .place = strdup(place), .rank = rank};
	struct override *items =
		realloc(sources->overrides, (sources->override_count + 1) * sizeof *sources->overrides);

	if (items)
		sources->overrides = items;
	if (!items || !item.path || !item.place) {
		free(item.path);
		free(item.place);
		return false;
	}
	items[sources->override_count++] = item;
	return true;
}

void sources_override(
	struct sources *sources, const char *path, json_t *value, enum source_rank rank, const char *place)
{
	const char *key = NULL;
	json_t *object = holder(sources->root, path, true, &key);

	if (!object) {
		/* the file has something else where an object belongs, which is an error of its own */
		json_decref(value);
		return;
	}
	if (json_object_set_new(object, key, value) || !remember(sources, path, rank, place))
		sources->no_memory = true;
}

/* The latest override of `path`, or, with `below`, of anything in it; NULL: none. */
static const struct override *overridden(const struct sources *sources, const char *path, bool below)
{
	size_t len = strlen(path);

	for (size_t i = sources->override_count; i-- > 0;) {
		const struct override *item = &sources->overrides[i];
		if (below && (!len || (!strncmp(item->path, path, len) && item->path[len] == '.')))
			return item;
		if (!below && !strcmp(item->path, path))
			return item;
	}
	return NULL;
}

enum source_rank sources_rank(const struct sources *sources, const char *path)
{
	const struct override *item = overridden(sources, path, false);

	return item ? item->rank : SOURCE_FILE;
}

const char *sources_environment(const struct sources *sources, const char *name)
{
	size_t len = strlen(name);

	for (char **item = sources->environment; item && *item; item++) {
		if (!strncmp(*item, name, len) && (*item)[len] == '=')
			return *item + len + 1;
	}
	return NULL;
}

/* The place of `path` itself; false: nothing is there. */
static bool place_at(const struct sources *sources, const char *path, char *ret_place, size_t size)
{
	const struct override *item = overridden(sources, path, false);

	if (item) {
		(void)snprintf(ret_place, size, "%s", item->place);
		return true;
	}
	size_t line = sources->root && sources->file ? locate_line(sources->text.data, path) : 0;
	if (line) {
		(void)snprintf(ret_place, size, "%s:%zu", sources->file, line);
		return true;
	}
	item = overridden(sources, path, true);
	if (item)
		(void)snprintf(ret_place, size, "%s", item->place);
	return item;
}

void sources_place(const struct sources *sources, const char *path, char ret_place[LIMIT_CONFIG_MESSAGE])
{
	char part[LIMIT_CONFIG_PATH];

	(void)snprintf(part, sizeof part, "%s", path);
	for (;;) {
		if (part[0] && place_at(sources, part, ret_place, LIMIT_CONFIG_MESSAGE))
			return;
		char *dot = strrchr(part, '.');
		if (!dot)
			break;
		*dot = '\0';
	}
	(void)snprintf(ret_place, LIMIT_CONFIG_MESSAGE, "%s", sources->file ? sources->file : "defaults");
}

void sources_finding(
	struct sources *sources, struct config_errors *list, const char *path, const char *format, va_list args)
{
	char place[LIMIT_CONFIG_MESSAGE];

	sources_place(sources, path, place);
	findings_add(list, place, path, format, args);
}
