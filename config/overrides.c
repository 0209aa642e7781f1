/*
 * TOKENFIRST_PASSWORD__MEMORY_KIB=8192 and --set password.memory_kib=8192: both name
 * an option by its path and give its value as text. A name that starts with TOKENFIRST_
 * but leads to no option is an error, as a mistyped limit would otherwise not hold and
 * nobody would know.
 */
#include <stdlib.h>
#include <string.h>

#include "config/findings.h"
#include "config/tables.h"

static const char environment_prefix[] = "TOKENFIRST_";
static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

enum { PREFIX_LENGTH = sizeof environment_prefix - 1 };

/* One text under which an option can be set. */
struct setting {
	char name[LIMIT_CONFIG_PATH];	  /* as the user wrote it */
	char path[LIMIT_CONFIG_PATH];	  /* of the option */
	char place[LIMIT_CONFIG_MESSAGE]; /* for findings */
	const char *text;
	enum source_rank rank;
};

static char translate(char c, const char *from, const char *to)
{
	const char *at = c ? strchr(from, c) : NULL;

	return at ? to[at - from] : c;
}

/* PASSWORD__MEMORY_KIB → password.memory_kib. No part begins with '_', so of "___" the last two separate. */
static void path_from_variable(char ret_path[LIMIT_CONFIG_PATH], const char *name)
{
	size_t used = 0;

	for (; *name && used + 1 < LIMIT_CONFIG_PATH; name++) {
		bool separates = name[0] == '_' && name[1] == '_' && name[2] != '_';
		ret_path[used++] = separates ? '.' : translate(*name, upper, lower);
		name += separates;
	}
	ret_path[used] = '\0';
}

static void variable_from_path(char ret_name[LIMIT_CONFIG_PATH], const char *path)
{
	size_t used = PREFIX_LENGTH;

	memcpy(ret_name, environment_prefix, PREFIX_LENGTH);
	for (; *path && used + 2 < LIMIT_CONFIG_PATH; path++) {
		if (*path == '.')
			ret_name[used++] = '_';
		ret_name[used++] = *path == '.' ? '_' : translate(*path, lower, upper);
	}
	ret_name[used] = '\0';
}

static void complain(struct sources *sources, const struct setting *setting, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void complain(struct sources *sources, const struct setting *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	findings_add(sources->errors, setting->place, setting->path, format, args);
	va_end(args);
}

static void apply(struct sources *sources, const struct setting *setting)
{
	char nearest[LIMIT_CONFIG_PATH], variable[LIMIT_CONFIG_PATH];
	const struct option *row = tables_find(setting->path, nearest);
	bool variable_form = setting->rank == SOURCE_ENVIRONMENT;
	bool objects = !row && nearest[0] && !strcmp(nearest, setting->path);

	/* a lower-case variable would read as a path too, but names nothing */
	if (variable_form && setting->name[strcspn(setting->name, lower)]) {
		if (row)
			memcpy(nearest, setting->path, sizeof nearest);
		row = NULL;
	}
	if (!row && nearest[0] && variable_form)
		variable_from_path(variable, nearest);
	if (objects) {
		complain(sources, setting, "is made of objects: only a file can hold it");
	} else if (!row && nearest[0]) {
		complain(sources, setting, "unknown option; did you mean %s?", variable_form ? variable : nearest);
	} else if (!row) {
		complain(sources, setting, "unknown option; `help config` lists all");
	} else {
		json_t *value = option_value(row, setting->text);
		if (value)
			sources_override(sources, setting->path, value, setting->rank, setting->place);
		else
			complain(sources, setting, "the value is not UTF-8");
	}
}

/* Text up to `end`, cut to fit. */
static void copy_name(char ret_name[LIMIT_CONFIG_PATH], const char *text, const char *end)
{
	size_t len = (size_t)(end - text);

	if (len > LIMIT_CONFIG_PATH - 1)
		len = LIMIT_CONFIG_PATH - 1;
	memcpy(ret_name, text, len);
	ret_name[len] = '\0';
}

static void read_variable(struct sources *sources, const char *item)
{
	struct setting setting = {.rank = SOURCE_ENVIRONMENT};
	const char *equals = strchr(item, '=');

	if (strncmp(item, environment_prefix, PREFIX_LENGTH) != 0 || !equals)
		return;
	copy_name(setting.name, item, equals);
	path_from_variable(setting.path, setting.name + PREFIX_LENGTH);
	(void)snprintf(setting.place, sizeof setting.place, "environment %s", setting.name);
	setting.text = equals + 1;
	apply(sources, &setting);
}

static void read_setting(struct sources *sources, const char *item)
{
	struct setting setting = {.rank = SOURCE_SETTING};
	const char *equals = strchr(item, '=');

	copy_name(setting.name, item, equals ? equals : item + strlen(item));
	memcpy(setting.path, setting.name, sizeof setting.path);
	(void)snprintf(setting.place, sizeof setting.place, "--set %s", setting.name);
	if (!equals) {
		complain(sources, &setting, "write --set KEY=VALUE");
		return;
	}
	setting.text = equals + 1;
	apply(sources, &setting);
}

void overrides_read(struct sources *sources, const struct config_source *source)
{
	for (char **item = source->environment; item && *item; item++)
		read_variable(sources, *item);
	for (size_t i = 0; i < source->setting_count; i++)
		read_setting(sources, source->settings[i]);
}
