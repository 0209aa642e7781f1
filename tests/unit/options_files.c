/*
 * The tables themselves, their help, and the example files, against each other. Runs from
 * the root of the source tree.
 */
#include <jansson.h>

#include "config/tables.h"
#include "tests/unit/options_fixture.h"

static char *help_text(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	cr_assert_not_null(out);
	options_help(out);
	cr_assert_eq(fclose(out), 0);
	return text;
}

/* "\nPATH  (" for every row, and its meaning. */
static void expect_rows(const char *help, const struct option_table *table, const char *prefix)
{
	for (size_t i = 0; i < table->count; i++) {
		char line[256];
		(void)snprintf(line, sizeof line, "\n%s%s  (", prefix, table->rows[i].path);
		cr_assert_not_null(strstr(help, line), "%s", line);
		cr_assert_not_null(strstr(help, table->rows[i].doc), "%s", table->rows[i].doc);
	}
}

Test(options_files, help_mentions_every_row)
{
	char *help = help_text();
	cr_assert_gt(server_options.count, 25);
	cr_assert_gt(effect_options.count, 25);
	expect_rows(help, &server_options, "");
	expect_rows(help, &effect_options, "effects.NAME.");
	expect_rows(help, &service_options, "services.NAME.");
	cr_assert_not_null(strstr(help, "\n  chat: retry.max_attempts 8\n"), "what differs by type is shown");
	cr_assert_not_null(
		strstr(help, "password.memory_kib  (a whole number of KiB from 8 to 4194304; default 19456)"));
	cr_assert_not_null(strstr(help, "effects.NAME.url  (text; required)"));
	for (size_t i = 0; i < effect_type_count; i++)
		cr_assert_not_null(strstr(help, effect_types[i].name));
	free(help);
}

static void expect_sound(const struct option_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option *row = &table->rows[i];
		cr_assert(row->doc && row->doc[0], "%s", row->path);
		cr_assert_leq(strlen(row->doc), 110, "%s", row->path);
		cr_assert_leq(row->min, row->max, "%s", row->path);
		bool words = row->type == OPTION_WORD || row->type == OPTION_CHOICE;
		cr_assert_eq(words, row->words != NULL, "%s", row->path);
		bool objects = row->type == OPTION_MAP || row->type == OPTION_OBJECTS;
		bool sized = row->type != OPTION_BOOL && row->type != OPTION_MAP && !words;
		cr_assert(!sized || row->max > 0, "%s has no upper limit", row->path);
		for (size_t j = 0; j < i; j++) {
			cr_assert_str_neq(row->path, table->rows[j].path);
			/* two rows with one field would free its text twice */
			cr_assert(objects || row->offset != table->rows[j].offset, "%s and %s", row->path,
				table->rows[j].path);
		}
	}
}

Test(options_files, tables_are_sound)
{
	expect_sound(&server_options);
	expect_sound(&effect_options);
	expect_sound(&service_options);
}

/* Each is given for a type that exists, and would be taken if it were written in a file. */
Test(options_files, defaults_of_types_are_right)
{
	size_t found = 0;
	for (size_t i = 0; i < effect_type_count; i++) {
		for (size_t j = 0; j < effect_options.count; j++) {
			const struct option *row = &effect_options.rows[j];
			const char *text = effect_default(effect_types[i].name, row);
			if (!text)
				continue;
			char setting[128], full[512];
			const char *settings[] = {setting, NULL};
			(void)snprintf(setting, sizeof setting, "effects.x.%s=%s", row->path, text);
			(void)snprintf(full, sizeof full,
				"{\"effects\": {\"x\": {\"type\": \"%s\", \"url\": \"%s://a\", \"on\": [\"*\"],"
				"\"template\": \"/tmp\", \"from\": \"a@b\", \"delivery\": \"durable\"}}}",
				effect_types[i].name, effect_types[i].mail ? "smtp" : "http");
			struct loaded loaded = load(full, settings, NULL);
			cr_assert_null(find(&loaded.errors, setting, ""));
			for (size_t k = 0; k < loaded.errors.count; k++)
				cr_assert_null(strstr(loaded.errors.items[k].path, row->path), "%s", setting);
			unload(&loaded);
			cr_assert(!row->fallback || strcmp(row->fallback, text) != 0, "%s says nothing", setting);
			found++;
		}
	}
	cr_assert_eq(found, 5);
}

Test(options_files, the_words_for_types_are_the_types)
{
	const struct option *row = option_find(&effect_options, "type");
	size_t count = 0;
	for (; row->words[count]; count++) {
		cr_assert_lt(count, effect_type_count);
		cr_assert_str_eq(row->words[count], effect_types[count].name);
	}
	cr_assert_eq(count, effect_type_count);
}

static struct loaded load_file(const char *path, const char *const *environment)
{
	struct config_source source = {.file = path, .environment = (char **)environment};
	struct loaded loaded = {.err = 0};
	loaded.err = config_load(&source, &loaded.config, &loaded.errors, &loaded.warnings);
	return loaded;
}

Test(options_files, demo)
{
	struct loaded loaded = load_file("config/demo.json", NULL);
	if (loaded.err)
		print_all(&loaded);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 0);
	cr_assert_str_eq(loaded.config->store, "sqlite:var/demo.db");
	cr_assert_eq(loaded.config->effect_count, 4);
	cr_assert_str_eq(loaded.config->effects[0].name, "email");
	cr_assert_eq(loaded.config->effects[1].delivery, DELIVERY_FIRE_AND_FORGET);
	unload(&loaded);
}

Test(options_files, minimal)
{
	struct loaded loaded = load_file("config/minimal.json", NULL);
	if (loaded.err)
		print_all(&loaded);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 0);
	unload(&loaded);
}

/* It names certificates and secrets of a real machine; all else in it must be right. */
Test(options_files, full_lacks_only_files_of_the_machine)
{
	const char *environment[] = {
		"SEGMENT_WRITE_KEY=a", "HUBSPOT_TOKEN=b", "BUS_API_KEY=c", "SHOP_TOKEN=0123456789abcdef", NULL};
	struct loaded loaded = load_file("config/full.json", environment);
	for (size_t i = 0; i < loaded.errors.count; i++)
		cr_assert_not_null(strstr(loaded.errors.items[i].message, "the file /etc/tokenfirst/"), "%s: %s",
			loaded.errors.items[i].path, loaded.errors.items[i].message);
	cr_assert_eq(loaded.warnings.count, 0);
	unload(&loaded);
	loaded = load_file("config/full.json", NULL);
	cr_assert_not_null(find(&loaded.errors, "effects.crm.auth.token", "HUBSPOT_TOKEN is not set"));
	unload(&loaded);
}

/* The value of a JSON file at a path of members; NULL: none. */
static json_t *at(json_t *object, const char *path)
{
	char name[128];
	while (object && *path) {
		size_t len = strcspn(path, ".");
		(void)snprintf(name, sizeof name, "%.*s", (int)len, path);
		object = json_object_get(object, name);
		path += len + (path[len] == '.');
	}
	return object;
}

Test(options_files, full_shows_every_option_and_its_default)
{
	json_error_t error;
	json_t *full = json_load_file("config/full.json", JSON_REJECT_DUPLICATES, &error), *value = NULL;
	const char *name = NULL;
	cr_assert_not_null(full, "%s", error.text);
	for (size_t i = 0; i < server_options.count; i++) {
		const struct option *row = &server_options.rows[i];
		json_t *shown = at(full, row->path);
		cr_assert_not_null(shown, "%s", row->path);
		json_t *fallback = row->fallback ? option_value(row, row->fallback) : NULL;
		cr_assert(!fallback || json_equal(shown, fallback), "%s is not the default", row->path);
		json_decref(fallback);
	}
	for (size_t i = 0; i < effect_options.count; i++) {
		const char *path = effect_options.rows[i].path;
		bool shown = false;
		json_object_foreach(json_object_get(full, "effects"), name, value)
		{
			shown = shown || at(value, path);
		}
		cr_assert(shown, "no effect shows %s", path);
	}
	for (size_t i = 0; i < service_options.count; i++)
		cr_assert(at(json_object_get(json_object_get(full, "services"), "shop"), service_options.rows[i].path));
	json_decref(full);
}
